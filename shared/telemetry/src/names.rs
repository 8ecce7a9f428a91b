//! Every span and every metric by name, with its attributes. `docs/telemetry.md` is this list, and a test holds the two together.

/// A kind of span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanName {
    /// As collectors show it.
    pub name: &'static str,
    /// All that may be said of it.
    pub attributes: &'static [&'static str],
}

/// A request to the API.
pub const REQUEST: SpanName = SpanName {
    name: "waybill.request",
    attributes: &["http.request.method", "http.route", "http.response.status_code", "waybill.request.id"],
};
/// A message being accepted: from its first write to its tasks in their queues.
pub const SUBMIT: SpanName =
    SpanName { name: "waybill.submit", attributes: &["waybill.organization", "waybill.message", "waybill.deliveries"] };
/// A task's stay in its queue.
pub const QUEUE: SpanName = SpanName { name: "waybill.queue", attributes: &["waybill.delivery", "waybill.receives"] };
/// One attempt, from lease to settle.
pub const ATTEMPT: SpanName = SpanName {
    name: "waybill.attempt",
    attributes: &[
        "waybill.organization",
        "waybill.message",
        "waybill.delivery",
        "waybill.destination",
        "waybill.destination_type",
        "waybill.attempt",
        "waybill.outcome",
        "waybill.reason",
    ],
};
/// The attempt's conversation with the destination: its id is the parent in the `traceparent` header that a receiver gets.
pub const SEND: SpanName = SpanName { name: "waybill.send", attributes: &["waybill.destination_type"] };
/// The attempt being recorded.
pub const SETTLE: SpanName = SpanName { name: "waybill.settle", attributes: &["waybill.delivery"] };

/// Every span.
pub const SPANS: [SpanName; 6] = [REQUEST, SUBMIT, QUEUE, ATTEMPT, SEND, SETTLE];

/// How a metric's points add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A count since the last flush.
    Counter,
    /// Values since the last flush, in buckets.
    Histogram,
    /// The last value.
    Gauge,
}

impl Shape {
    /// As the documentation says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Gauge => "gauge",
        }
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $shape:ident, $unit:literal, [$($attribute:literal),*];)*) => {
        /// A metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric { $($(#[$doc])* $variant,)* }

        impl Metric {
            /// Every metric.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As collectors show it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How its points add up.
            #[must_use]
            pub fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)* }
            }

            /// In UCUM, as OpenTelemetry writes units.
            #[must_use]
            pub fn unit(self) -> &'static str {
                match self { $(Self::$variant => $unit,)* }
            }

            /// What its points are told apart by.
            #[must_use]
            pub fn attributes(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($attribute),*],)* }
            }
        }
    };
}

metrics! {
    /// Deliveries that ended.
    Deliveries = "waybill.deliveries", Counter, "{delivery}", ["destination_type", "outcome"];
    /// Attempts made.
    Attempts = "waybill.attempts", Counter, "{attempt}", ["destination_type", "outcome"];
    /// How long attempts took.
    AttemptDuration = "waybill.attempt.duration", Histogram, "ms", ["destination_type", "outcome"];
    /// From accepted to delivered.
    DeliveryLatency = "waybill.delivery.latency", Histogram, "ms", ["destination_type"];
    /// Attempts that failed, by why.
    Failures = "waybill.failures", Counter, "{attempt}", ["destination_type", "reason"];
    /// Destinations disabled by Waybill.
    DestinationsDisabled = "waybill.destinations.disabled", Counter, "{destination}", ["destination_type", "reason"];
    /// Age of the oldest task in a queue.
    QueueAge = "waybill.queue.age", Gauge, "s", ["queue"];
    /// A warning: something is over its threshold.
    ThresholdExceeded = "waybill.threshold.exceeded", Counter, "{warning}", ["threshold"];
    /// Refused on grounds of security.
    SecurityEvents = "waybill.security.events", Counter, "{event}", ["event"];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(names: &[&str]) -> String {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_documentation_lists_what_there_is() {
        let page = include_str!("../../../docs/telemetry.md");
        let mut expected: Vec<String> = SPANS.iter().map(|span| format!("| `{}` | {} |", span.name, quoted(span.attributes))).collect();
        expected.extend(Metric::ALL.iter().map(|metric| {
            let (shape, unit) = (metric.shape().as_str(), metric.unit());
            format!("| `{}` | {shape} | `{unit}` | {} |", metric.name(), quoted(metric.attributes()))
        }));
        for line in &expected {
            assert!(page.contains(line), "docs/telemetry.md has no line {line}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `waybill.")).count();
        assert_eq!(rows, expected.len(), "docs/telemetry.md lists something else too");
    }
}

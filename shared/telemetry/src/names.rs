//! Every span and metric with its attributes, in the order of the tables of `docs/telemetry.md`.

use opentelemetry::trace::SpanKind;

/// A kind of span, with every attribute that it may have.
#[derive(Clone, Debug)]
pub struct SpanName {
    /// The name that collectors show.
    pub name: &'static str,
    /// The side of a call that the span describes.
    pub kind: SpanKind,
    /// The attributes that the span may have.
    pub attributes: &'static [&'static str],
}

const fn span(name: &'static str, kind: SpanKind, attributes: &'static [&'static str]) -> SpanName {
    SpanName {
        name,
        kind,
        attributes,
    }
}

/// A request to the API or the console.
pub const REQUEST: SpanName = span(
    "waybill.request",
    SpanKind::Server,
    &[
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "waybill.request.id",
    ],
);
/// A message being accepted, from its first write until its tasks are in their queues.
pub const SUBMIT: SpanName = span(
    "waybill.submit",
    SpanKind::Producer,
    &[
        "waybill.organization",
        "waybill.message",
        "waybill.deliveries",
    ],
);
/// The time that a task spent in its queue.
pub const QUEUE: SpanName = span(
    "waybill.queue",
    SpanKind::Internal,
    &["waybill.delivery", "waybill.receives"],
);
/// One attempt at a delivery, from its lease until its outcome is stored.
pub const ATTEMPT: SpanName = span(
    "waybill.attempt",
    SpanKind::Consumer,
    &[
        "waybill.organization",
        "waybill.message",
        "waybill.delivery",
        "waybill.destination",
        "waybill.destination_type",
        "waybill.attempt",
        "waybill.outcome",
        "waybill.reason",
    ],
);
/// The exchange with the destination. A webhook's receiver gets its id as the parent in
/// `traceparent`.
pub const SEND: SpanName = span(
    "waybill.send",
    SpanKind::Client,
    &["waybill.destination_type"],
);
/// Storing the outcome of an attempt.
pub const SETTLE: SpanName = span("waybill.settle", SpanKind::Internal, &["waybill.delivery"]);

/// Every kind of span.
pub const SPANS: [SpanName; 6] = [REQUEST, SUBMIT, QUEUE, ATTEMPT, SEND, SETTLE];

/// How the values of a metric are aggregated between two flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The sum of the values.
    Counter,
    /// The number of values in each bucket.
    Histogram,
    /// The last value before the flush.
    Gauge,
}

/// A metric, with the attributes that each of its values has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name that collectors show.
    pub name: &'static str,
    /// How its values are aggregated.
    pub shape: Shape,
    /// The unit in UCUM, the notation that OpenTelemetry uses.
    pub unit: &'static str,
    /// The attributes that each value has.
    pub attributes: &'static [&'static str],
}

const fn metric(
    name: &'static str,
    shape: Shape,
    unit: &'static str,
    attributes: &'static [&'static str],
) -> Metric {
    Metric {
        name,
        shape,
        unit,
        attributes,
    }
}

const TYPE_AND_OUTCOME: &[&str] = &["destination_type", "outcome"];
const TYPE_AND_REASON: &[&str] = &["destination_type", "reason"];

/// Every metric of every process.
pub const METRICS: [Metric; 10] = [
    DELIVERIES,
    ATTEMPTS,
    ATTEMPT_DURATION,
    DELIVERY_LATENCY,
    FAILURES,
    DESTINATIONS_DISABLED,
    DESTINATIONS_RECOVERED,
    QUEUE_AGE,
    THRESHOLD_EXCEEDED,
    SECURITY_EVENTS,
];
/// Deliveries that ended, by their status.
pub const DELIVERIES: Metric = metric(
    "waybill.deliveries",
    Shape::Counter,
    "{delivery}",
    TYPE_AND_OUTCOME,
);
/// Attempts that were made, by their outcome.
pub const ATTEMPTS: Metric = metric(
    "waybill.attempts",
    Shape::Counter,
    "{attempt}",
    TYPE_AND_OUTCOME,
);
/// How long attempts took.
pub const ATTEMPT_DURATION: Metric = metric(
    "waybill.attempt.duration",
    Shape::Histogram,
    "ms",
    TYPE_AND_OUTCOME,
);
/// The time from accepting a message to delivering it.
pub const DELIVERY_LATENCY: Metric = metric(
    "waybill.delivery.latency",
    Shape::Histogram,
    "ms",
    &["destination_type"],
);
/// Attempts that failed, by failure category.
pub const FAILURES: Metric = metric(
    "waybill.failures",
    Shape::Counter,
    "{attempt}",
    TYPE_AND_REASON,
);
/// Destinations that Waybill disabled.
pub const DESTINATIONS_DISABLED: Metric = metric(
    "waybill.destinations.disabled",
    Shape::Counter,
    "{destination}",
    TYPE_AND_REASON,
);
/// Destinations that Waybill enabled because a check passed.
pub const DESTINATIONS_RECOVERED: Metric = metric(
    "waybill.destinations.recovered",
    Shape::Counter,
    "{destination}",
    &["destination_type"],
);
/// The age of the oldest task in a queue.
pub const QUEUE_AGE: Metric = metric("waybill.queue.age", Shape::Gauge, "s", &["queue"]);
/// Warnings that a value exceeded its threshold.
pub const THRESHOLD_EXCEEDED: Metric = metric(
    "waybill.threshold.exceeded",
    Shape::Counter,
    "{warning}",
    &["threshold"],
);
/// Requests that were refused for security reasons.
pub const SECURITY_EVENTS: Metric = metric(
    "waybill.security.events",
    Shape::Counter,
    "{event}",
    &["event"],
);

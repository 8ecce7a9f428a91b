//! One function for each value that is counted or measured.

use std::time::Duration;

use domain::settings::DestinationType;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream};

/// Declares metrics, each with its instrument and the function that records it.
macro_rules! metrics {
    ($($(#[$doc:meta])+ $shape:ident $build:ident $name:literal $unit:literal
        $function:ident($($attribute:ident: $type:ty),+ $(; $measured:ident)?)
        $record:ident $value:expr;)+) => {
        /// The name, shape, unit and attributes of every metric, in the order of the table of
        /// `docs/telemetry.md`.
        #[cfg(test)]
        pub(crate) const METRICS: &[(&str, &str, &str, &[&str])] = &[$(
            ($name, stringify!($shape), $unit, &[$(stringify!($attribute)),+]),
        )+];

        /// The SDK's instruments of a process.
        pub(crate) struct Instruments {
            $(pub(crate) $function: $shape<f64>,)+
        }

        impl Instruments {
            pub(crate) fn new(meter: &Meter) -> Self {
                Self { $($function: meter.$build($name).with_unit($unit).build(),)+ }
            }
        }

        $($(#[$doc])+
        pub fn $function($($attribute: $type,)+ $($measured: Duration)?) {
            if let Some(pipeline) = crate::pipeline::PIPELINE.get() {
                let pair = |name, value: &'static str| KeyValue::new(name, value);
                let attributes = [$(pair(stringify!($attribute), $attribute.into())),+];
                pipeline.instruments.$function.$record($value, &attributes);
            }
        })+
    };
}

metrics! {
    /// Counts a delivery that ended with this status.
    Counter f64_counter "waybill.deliveries" "{delivery}"
        delivery_ended(destination_type: DestinationType, outcome: &'static str) add 1.0;
    /// Counts an attempt. `outcome` is `delivered`, `retry`, `throttled`, `client_error` or
    /// `rejected`.
    Counter f64_counter "waybill.attempts" "{attempt}"
        attempt_made(destination_type: DestinationType, outcome: &'static str) add 1.0;
    /// Records how long an attempt took.
    Histogram f64_histogram "waybill.attempt.duration" "ms"
        attempt_took(destination_type: DestinationType, outcome: &'static str; took)
        record took.as_secs_f64() * 1e3;
    /// Records the time from accepting a message to delivering it.
    Histogram f64_histogram "waybill.delivery.latency" "ms"
        delivered(destination_type: DestinationType; latency) record latency.as_secs_f64() * 1e3;
    /// Counts an attempt that failed in this failure category.
    Counter f64_counter "waybill.failures" "{attempt}"
        failed(destination_type: DestinationType, reason: &'static str) add 1.0;
    /// Counts a destination that Waybill disabled for this reason.
    Counter f64_counter "waybill.destinations.disabled" "{destination}"
        destination_disabled(destination_type: DestinationType, reason: &'static str) add 1.0;
    /// Counts a destination that Waybill enabled because a check passed.
    Counter f64_counter "waybill.destinations.recovered" "{destination}"
        destination_recovered(destination_type: DestinationType) add 1.0;
    /// Records the age of the oldest task in a queue, which is named by its lane.
    Gauge f64_gauge "waybill.queue.age" "s" queue_age(queue: &'static str; age)
        record age.as_secs_f64();
    /// Counts a warning that a value exceeded its threshold.
    Counter f64_counter "waybill.threshold.exceeded" "{warning}"
        threshold_exceeded(threshold: Threshold) add 1.0;
    /// Counts a request that was refused for security reasons; `event` is the action of its audit
    /// event.
    Counter f64_counter "waybill.security.events" "{event}"
        security_event(event: &'static str) add 1.0;
}

/// What exceeded its threshold. The attribute `threshold` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Threshold {
    /// A delivery took longer than its organization's warning threshold.
    Latency,
    /// The oldest task in a queue is too old.
    QueueAge,
    /// There are messages in a dead-letter queue.
    DeadLetters,
    /// A destination's failures reached its alert threshold.
    DestinationFailures,
    /// A destination's failure rate reached its percentage.
    FailureRate,
    /// A stored item cannot be read. The log names its key.
    UnreadableItems,
}

/// Aggregates histograms in buckets from a fast receiver to a day of retries, in milliseconds. With
/// `narrow`, there are so many that a value in this range is known within half a percent.
pub(crate) fn histograms(narrow: bool) -> impl Fn(&Instrument) -> Option<Stream> {
    let boundaries = [
        5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4,
        6e5, 3.6e6, 8.64e7,
    ];
    let aggregation = if narrow {
        Aggregation::Base2ExponentialHistogram {
            max_size: 4_096,
            max_scale: 20,
            record_min_max: true,
        }
    } else {
        Aggregation::ExplicitBucketHistogram {
            boundaries: boundaries.to_vec(),
            record_min_max: true,
        }
    };
    move |instrument| {
        let stream = Stream::builder().with_aggregation(aggregation.clone());
        let is_histogram = instrument.kind() == InstrumentKind::Histogram;
        stream.build().ok().filter(|_| is_histogram)
    }
}

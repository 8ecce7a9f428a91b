//! What is counted and measured: a function for each.

use std::time::Duration;

use domain::Reason;
use domain::settings::DestinationType;

use crate::hub;
use crate::names::Metric;

/// What can be over its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// A delivery took longer than its organization's warning.
    Latency,
    /// A queue's oldest task is old.
    QueueAge,
    /// Dead letters wait.
    DeadLetters,
    /// A destination's failures reached its alert threshold.
    DestinationFailures,
}

impl Threshold {
    /// As the attribute says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::QueueAge => "queue_age",
            Self::DeadLetters => "dead_letters",
            Self::DestinationFailures => "destination_failures",
        }
    }
}

/// A delivery ended, in this status.
pub fn delivery_ended(kind: DestinationType, outcome: &'static str) {
    hub::record(Metric::Deliveries, vec![kind.as_str(), outcome], 1.0);
}

/// An attempt was made. Its outcome is `delivered`, `retry`, `throttled`, `client_error` or `rejected`.
pub fn attempt_made(kind: DestinationType, outcome: &'static str, took: Duration) {
    hub::record(Metric::Attempts, vec![kind.as_str(), outcome], 1.0);
    hub::record(Metric::AttemptDuration, vec![kind.as_str(), outcome], took.as_secs_f64() * 1000.0);
}

/// A message arrived, this long after it was accepted.
pub fn delivered(kind: DestinationType, latency: Duration) {
    hub::record(Metric::DeliveryLatency, vec![kind.as_str()], latency.as_secs_f64() * 1000.0);
}

/// An attempt failed.
pub fn failed(kind: DestinationType, reason: Reason) {
    hub::record(Metric::Failures, vec![kind.as_str(), reason.as_str()], 1.0);
}

/// A destination was disabled by Waybill, for this reason.
pub fn destination_disabled(kind: DestinationType, reason: &'static str) {
    hub::record(Metric::DestinationsDisabled, vec![kind.as_str(), reason], 1.0);
}

/// The age of the oldest task in a queue; `queue` is a lane's name.
pub fn queue_age(queue: &'static str, age: Duration) {
    hub::record(Metric::QueueAge, vec![queue], age.as_secs_f64());
}

/// Something is over its threshold.
pub fn threshold_exceeded(threshold: Threshold) {
    hub::record(Metric::ThresholdExceeded, vec![threshold.as_str()], 1.0);
}

/// Something was refused on grounds of security; `event` is the audit event's action.
pub fn security_event(event: &'static str) {
    hub::record(Metric::SecurityEvents, vec![event], 1.0);
}

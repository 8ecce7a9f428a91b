//! One function for each value that is counted or measured.

use std::time::Duration;

use domain::Reason;
use domain::settings::DestinationType;

use crate::names;
use crate::pipeline::record;

/// What exceeded its threshold. The attribute `threshold` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Counts a delivery that ended with this status.
pub fn delivery_ended(kind: DestinationType, outcome: &'static str) {
    record(names::DELIVERIES, &[kind.as_str(), outcome], 1.0);
}

/// Counts an attempt and its duration. `outcome` is `delivered`, `retry`, `throttled`,
/// `client_error` or `rejected`.
pub fn attempt_made(kind: DestinationType, outcome: &'static str, took: Duration) {
    record(names::ATTEMPTS, &[kind.as_str(), outcome], 1.0);
    record(
        names::ATTEMPT_DURATION,
        &[kind.as_str(), outcome],
        took.as_secs_f64() * 1000.0,
    );
}

/// Records the time from accepting a message to delivering it.
pub fn delivered(kind: DestinationType, latency: Duration) {
    record(
        names::DELIVERY_LATENCY,
        &[kind.as_str()],
        latency.as_secs_f64() * 1000.0,
    );
}

/// Counts an attempt that failed for this reason.
pub fn failed(kind: DestinationType, reason: Reason) {
    record(names::FAILURES, &[kind.as_str(), reason.as_str()], 1.0);
}

/// Counts a destination that Waybill disabled for this reason.
pub fn destination_disabled(kind: DestinationType, reason: &'static str) {
    record(names::DESTINATIONS_DISABLED, &[kind.as_str(), reason], 1.0);
}

/// Counts a destination that Waybill enabled because a check passed.
pub fn destination_recovered(kind: DestinationType) {
    record(names::DESTINATIONS_RECOVERED, &[kind.as_str()], 1.0);
}

/// Records the age of the oldest task in a queue, which is named by its lane.
pub fn queue_age(queue: &'static str, age: Duration) {
    record(names::QUEUE_AGE, &[queue], age.as_secs_f64());
}

/// Counts a warning that a value exceeded its threshold.
pub fn threshold_exceeded(threshold: Threshold) {
    let name = match threshold {
        Threshold::Latency => "latency",
        Threshold::QueueAge => "queue_age",
        Threshold::DeadLetters => "dead_letters",
        Threshold::DestinationFailures => "destination_failures",
        Threshold::FailureRate => "failure_rate",
        Threshold::UnreadableItems => "unreadable_items",
    };
    record(names::THRESHOLD_EXCEEDED, &[name], 1.0);
}

/// Counts a request that was refused for security reasons; `event` is the action of its audit
/// event.
pub fn security_event(event: &'static str) {
    record(names::SECURITY_EVENTS, &[event], 1.0);
}

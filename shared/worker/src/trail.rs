//! The spans, log fields and metrics of an attempt.

use std::time::Duration;

use domain::attempt::Attempt;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::destination::Destination;
use domain::settle::Outcome;
use domain::{Reason, Timestamp};
use queue::Received;
use telemetry::names::{ATTEMPT, QUEUE};
use telemetry::{Span, metrics, trace_of, without_span};

/// Starts the span of an attempt, which follows the span of its task's time in the queue. Both
/// continue the work that sent the task if that belongs to the message's own trace. A task that the
/// monitor sends again continues only the trace.
pub(crate) fn attempt_span(
    received: &Received,
    delivery: &Delivery,
    destination: &Destination,
) -> Span {
    let trace = delivery.message.trace;
    let cause = received
        .cause
        .clone()
        .filter(|cause| trace_of(cause) == trace)
        .unwrap_or_else(|| without_span(trace));
    let waited = received.sent_at.map(|sent_at| {
        let mut span = Span::since(QUEUE, &cause, sent_at);
        span.set("waybill.delivery", delivery.id.to_string());
        span.set("waybill.receives", i64::from(received.receives));
        span.context()
    });
    let mut span = Span::start(ATTEMPT, waited.as_ref().unwrap_or(&cause));
    span.set("waybill.organization", delivery.organization.to_string());
    span.set("waybill.message", delivery.id.message.to_string());
    span.set("waybill.delivery", delivery.id.to_string());
    span.set("waybill.destination", destination.id.to_string());
    span.set(
        "waybill.destination_type",
        delivery.destination_type.as_str(),
    );
    span.set("waybill.attempt", i64::from(delivery.attempts) + 1);
    span
}

/// Returns the log span whose fields every line of an attempt has.
pub(crate) fn log_span(delivery: &Delivery) -> tracing::Span {
    tracing::info_span!(
        "attempt",
        message = %delivery.id.message,
        delivery = %delivery.id,
        destination = %delivery.destination,
        organization = %delivery.organization,
        trace_id = %delivery.message.trace,
    )
}

/// Returns the name of an outcome for metrics and spans.
pub(crate) fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered(_) => "delivered",
        Outcome::Throttled(Reason::RateLimited, _) => "throttled",
        Outcome::Retry(_) | Outcome::Throttled(..) => "retry",
        Outcome::ClientError(_) => "client_error",
        Outcome::Reject(_) | Outcome::Gone(_) => "rejected",
    }
}

/// Counts an attempt that was stored, and the end of its delivery if it has finished.
pub(crate) fn count(after: &Delivery, attempt: &Attempt, outcome: &'static str, now: Timestamp) {
    let kind = after.destination_type;
    metrics::attempt_made(kind, outcome);
    metrics::attempt_took(kind, outcome, Duration::from_millis(attempt.duration_ms));
    if let Some(failure) = &attempt.failure {
        metrics::failed(kind, failure.reason.as_str());
    }
    if after.status() == DeliveryStatus::Succeeded {
        metrics::delivered(kind, now.since(after.created_at));
    }
    if after.status().is_finished() {
        metrics::delivery_ended(kind, after.status().as_str());
    }
}

//! Deliveries and messages as status updates show them: as the API does, without the attempts' bodies.

use domain::attempt::Attempt;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::MessageId;
use domain::receipt::Receipt;
use serde_json::{Map, Value, json};

/// What every read of a delivery shows.
fn facts(delivery: &Delivery, public_url: &str) -> Map<String, Value> {
    let message = &delivery.message;
    let shown = json!({
        "id": delivery.id,
        "organization_id": delivery.organization,
        "message_id": delivery.id.message,
        "destination_id": delivery.destination,
        "destination_type": delivery.destination_type.as_str(),
        "event_type": message.event_type,
        "reference": message.reference,
        "metadata": message.metadata,
        "status": delivery.status(),
        "reason": delivery.reason(),
        "trigger": delivery.shown_trigger(),
        "exhausted": delivery.state.is_exhausted(),
        "test": message.test,
        "in_flight": false,
        "attempt_count": delivery.attempts,
        "next_attempt_at": delivery.state.next_attempt_at(),
        "waiting_for": delivery.waiting.map(|waiting| waiting.reason),
        "expected_at": delivery.waiting.and_then(|waiting| waiting.expected_at),
        "failed_delivery_id": delivery.fallback_of.map(|failed| failed.delivery),
        "failed_reason": delivery.fallback_of.map(|failed| failed.reason),
        "created_at": delivery.created_at,
        "updated_at": delivery.updated_at,
        "finished_at": delivery.state.finished_at(),
        "tracking": delivery.state.receipt().map(Receipt::to_json),
        "url": format!("{public_url}/deliveries/{}", delivery.id),
    });
    match shown {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn outcome(attempt: &Attempt) -> &'static str {
    if attempt.failure.is_none() { "succeeded" } else { "failed" }
}

/// A delivery with its attempts.
pub(crate) fn delivery(delivery: &Delivery, attempts: &[Attempt], omitted: u32, public_url: &str) -> Value {
    let mut shown = facts(delivery, public_url);
    shown.insert("attempts".to_owned(), attempts.iter().map(attempt).collect());
    shown.insert("attempts_omitted".to_owned(), omitted.into());
    Value::Object(shown)
}

fn attempt(attempt: &Attempt) -> Value {
    let names = |headers: &[(String, String)]| -> Map<String, Value> {
        headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
    };
    let request = attempt.request.as_ref().map(|request| {
        json!({"method": request.method, "url": request.url, "headers": names(&request.headers), "size_bytes": request.size_bytes,
               "body_sha256": request.body_sha256})
    });
    let response = attempt.response.as_ref().map(|response| json!({"status": response.status, "headers": names(&response.headers)}));
    json!({
        "number": attempt.number,
        "trigger": attempt.trigger,
        "started_at": attempt.started_at,
        "duration_ms": attempt.duration_ms,
        "outcome": outcome(attempt),
        "reason": attempt.failure.as_ref().map(|failure| failure.reason),
        "detail": attempt.failure.as_ref().map(|failure| failure.detail.as_str()),
        "request": request,
        "response": response,
        "trace_id": attempt.trace_id,
    })
}

fn summary(delivery: &Delivery, public_url: &str) -> Value {
    let mut shown = facts(delivery, public_url);
    let last = delivery.last_attempt.as_ref().map(|attempt| {
        json!({
            "number": attempt.number,
            "started_at": attempt.started_at,
            "duration_ms": attempt.duration_ms,
            "outcome": outcome(attempt),
            "reason": attempt.failure.as_ref().map(|failure| failure.reason),
            "detail": attempt.failure.as_ref().map(|failure| failure.detail.as_str()),
            "response_status": attempt.response.as_ref().map(|response| response.status),
        })
    });
    shown.insert("last_attempt".to_owned(), last.into());
    Value::Object(shown)
}

/// A message whose deliveries are all finished.
pub(crate) fn message(id: MessageId, deliveries: &[Delivery], public_url: &str) -> Value {
    let Some(first) = deliveries.first() else { return Value::Null };
    let succeeded = deliveries.iter().filter(|delivery| delivery.status() == DeliveryStatus::Succeeded).count();
    let status = match succeeded {
        0 => "failed",
        all if all == deliveries.len() => "succeeded",
        _ => "partially_failed",
    };
    json!({
        "id": id,
        "organization_id": first.organization,
        "event_type": first.message.event_type,
        "reference": first.message.reference,
        "metadata": first.message.metadata,
        "payload_info": first.message.payload,
        "status": status,
        "deliveries": deliveries.iter().map(|delivery| summary(delivery, public_url)).collect::<Vec<_>>(),
        "created_at": first.created_at,
        "expires_at": first.message.expires_at,
        "url": format!("{public_url}/messages/{id}"),
    })
}

//! An ordinary delivery and an ordinary attempt of it, for tests.

use domain::Timestamp;
use domain::attempt::{Attempt, RequestRecord, ResponseRecord, Trigger};
use domain::delivery::{Delivery, NewDelivery};
use domain::id::{DeliveryId, DestinationId, Id as _, MessageId, OrganizationId};
use domain::message::{MessageFacts, PayloadInfo};
use sha2::Digest as _;

pub(crate) const PAYLOAD: &[u8] = br#"{"report_id":"rep_8f14e45fceea167a5a36dedd4bea2543","name":"Monthly revenue","period":"2025-10","rows":18234,"url":"https://app.example.com/reports/8f14e45f/download","requested_by":"jana.novakova"}"#;

pub(crate) fn delivery() -> Delivery {
    let message: MessageId = "msg_01kastx800030drg7rz3j4xk7q".parse().unwrap();
    let organization: OrganizationId = "org_01kasqzt8c04ktz8awbk9d2xnv".parse().unwrap();
    let destination: DestinationId = "dst_01kasr5v3e026nfs5he6gvcp8d".parse().unwrap();
    let sha256 = Some(hex::encode(sha2::Sha256::digest(PAYLOAD)));
    let payload = PayloadInfo {
        size_bytes: PAYLOAD.len() as u64,
        sha256,
        ..samples::message().payload
    };
    let facts = MessageFacts {
        payload,
        trace: "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap(),
        ..samples::message()
    };
    let id = DeliveryId {
        message,
        position: 0,
    };
    Delivery::accept(
        NewDelivery {
            id,
            organization,
            destination,
            ..samples::new_delivery(facts)
        },
        message.ulid().time(),
    )
}

/// Returns what a worker records of a first attempt that succeeds, with twelve ordinary response
/// headers.
pub(crate) fn attempt(delivery: &Delivery) -> Attempt {
    let started_at = Timestamp::from_millis(delivery.created_at.as_millis() + 87);
    let seconds = started_at.as_seconds().to_string();
    let id = delivery.id.to_string();
    let headers = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    Attempt {
        number: 1,
        trigger: Trigger::First,
        started_at,
        duration_ms: 143,
        failure: None,
        request: Some(RequestRecord {
            method: "POST".to_owned(),
            url: "https://hooks.customer-name.com/v1/webhooks/reports".to_owned(),
            headers: headers(&[
                ("content-type", "application/json"),
                ("user-agent", "Waybill/0.1.0"),
                ("idempotency-key", &id),
                ("webhook-id", &id),
                ("webhook-timestamp", &seconds),
                (
                    "webhook-signature",
                    "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
                ),
                ("waybill-timestamp", &seconds),
                ("waybill-message-id", &delivery.id.message.to_string()),
                ("waybill-event-type", delivery.message.event_type.as_str()),
                ("waybill-attempt", "1"),
                (
                    "traceparent",
                    &format!("00-{}-00f067aa0ba902b7-01", delivery.message.trace),
                ),
            ]),
            size_bytes: delivery.message.payload.size_bytes,
            body_sha256: delivery.message.payload.sha256.clone().unwrap(),
        }),
        response: Some(ResponseRecord {
            status: 200,
            headers: headers(&[
                ("date", "Mon, 24 Nov 2025 03:12:44 GMT"),
                ("content-type", "application/json; charset=utf-8"),
                ("content-length", "17"),
                ("connection", "keep-alive"),
                ("server", "nginx/1.24.0 (Ubuntu)"),
                ("x-request-id", "7b1f4c52-9e0d-4c35-8a3e-2f6d1b9a0c47"),
                ("etag", "W/\"11-6rKn1ZcQ2vX8fGhJ4pLw9sTqBzE\""),
                ("cache-control", "no-store"),
                ("vary", "Accept-Encoding"),
                (
                    "strict-transport-security",
                    "max-age=31536000; includeSubDomains",
                ),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
            ]),
            body: r#"{"received":true}"#.to_owned(),
            truncated: false,
        }),
        trace_id: delivery.message.trace,
    }
}

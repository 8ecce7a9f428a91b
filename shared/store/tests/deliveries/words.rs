//! Helpers: messages, their deliveries, and what workers record about them.

use std::time::Duration;

use bytes::Bytes;
use domain::attempt::{Attempt, Failure, RequestRecord, ResponseRecord};
use domain::delivery::{Delivery, NewDelivery};
use domain::id::{DeliveryId, DestinationId, Id, MessageId, OrganizationId};
use domain::message::{MessageFacts, PayloadInfo};
use domain::receipt::Receipt;
use domain::settle::AfterAttempt;
use domain::{Reason, Timestamp};
use store::Settled;

use crate::fixture::Fixture;

pub(crate) const SHARDS: u8 = 4;
pub(crate) const PAYLOAD: &[u8] = br#"{"report_id":"rep_8f14e45fceea167a5a36dedd4bea2543","name":"Monthly revenue","period":"2025-10","rows":18234,"url":"https://app.example.com/reports/8f14e45f/download","requested_by":"j.novak"}"#;

impl Fixture {
    /// A message to these destinations, a millisecond after the previous one, not yet committed.
    pub(crate) fn message_to(
        &self,
        organization: OrganizationId,
        destinations: &[DestinationId],
    ) -> Vec<Delivery> {
        self.advance(Duration::from_millis(1));
        let message: MessageId = self.ids.mint(organization, SHARDS);
        let fan_out = u16::try_from(destinations.len()).unwrap();
        let delivery = |(position, destination): (u16, &DestinationId)| {
            let id = DeliveryId { message, position };
            let new = NewDelivery {
                id,
                organization,
                destination: *destination,
                fan_out,
                ..samples::new_delivery(facts())
            };
            Delivery::accept(new, message.ulid().time())
        };
        (0..).zip(destinations).map(delivery).collect()
    }

    /// A committed message to one destination.
    pub(crate) async fn committed(&self) -> Delivery {
        let organization = self.ids.organization();
        self.committed_for(organization, self.ids.mint(organization, 1))
            .await
    }

    /// A committed message of this organization to this destination.
    pub(crate) async fn committed_for(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
    ) -> Delivery {
        let deliveries = self.message_to(organization, &[destination]);
        self.store
            .commit(
                &deliveries,
                &store::Content::Bytes(Bytes::from_static(PAYLOAD)),
            )
            .await
            .unwrap();
        deliveries.into_iter().next().unwrap()
    }

    /// Reads the delivery in its current state.
    pub(crate) async fn current(&self, delivery: &Delivery) -> Delivery {
        self.store
            .delivery(delivery.organization, delivery.id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Makes an attempt that succeeds.
    pub(crate) async fn succeed(&self, before: &Delivery) -> Delivery {
        let after = self.succeeded(before);
        assert_eq!(
            self.store.settle(before, &after, "token").await.unwrap(),
            Settled::Done
        );
        after
    }

    /// The delivery after an attempt that succeeds.
    pub(crate) fn succeeded(&self, before: &Delivery) -> Delivery {
        self.advance(Duration::from_millis(150));
        let receipt = Receipt::HttpResponse {
            id: Some("7b1f4c52-9e0d-4c35-8a3e-2f6d1b9a0c47".to_owned()),
            status: 200,
        };
        before
            .clone()
            .settle(
                self.attempt(before),
                AfterAttempt::Succeeded(receipt),
                self.now(),
            )
            .unwrap()
    }

    /// Makes an attempt that fails; the next one is due after `wait`.
    pub(crate) async fn fail(&self, before: &Delivery, wait: Duration) -> Delivery {
        let after = self.failed(before, wait);
        assert_eq!(
            self.store
                .settle(before, &after, &format!("token {}", after.attempts))
                .await
                .unwrap(),
            Settled::Done
        );
        after
    }

    /// The delivery after an attempt that fails.
    pub(crate) fn failed(&self, before: &Delivery, wait: Duration) -> Delivery {
        self.advance(Duration::from_millis(150));
        let failure = Failure {
            reason: Reason::ServerError,
            detail: "the destination answered 503".to_owned(),
        };
        let attempt = Attempt {
            failure: Some(failure),
            ..self.attempt(before)
        };
        let after = AfterAttempt::Retrying {
            next_attempt_at: self.now().plus(wait),
            reason: Reason::ServerError,
        };
        before.clone().settle(attempt, after, self.now()).unwrap()
    }

    /// Returns what a worker records of the delivery's next attempt, with twelve ordinary response
    /// headers.
    pub(crate) fn attempt(&self, delivery: &Delivery) -> Attempt {
        let number = delivery.attempts + 1;
        let started_at = Timestamp::from_millis(self.now().as_millis() - 143);
        Attempt {
            number,
            trigger: delivery.trigger,
            started_at,
            duration_ms: 143,
            failure: None,
            request: Some(request(delivery, number, started_at)),
            response: Some(response()),
            trace_id: delivery.message.trace,
        }
    }
}

/// The facts that every message has.
pub(crate) fn facts() -> MessageFacts {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
    MessageFacts {
        payload: info(PAYLOAD),
        trace,
        ..samples::message()
    }
}

/// The facts about a JSON payload.
pub(crate) fn info(payload: &[u8]) -> PayloadInfo {
    use sha2::{Digest, Sha256};
    let sha256 = hex::encode(Sha256::digest(payload));
    let content_type = "application/json".to_owned();
    PayloadInfo {
        size_bytes: payload.len() as u64,
        content_type,
        filename: None,
        sha256: Some(sha256),
    }
}

fn request(delivery: &Delivery, number: u32, started_at: Timestamp) -> RequestRecord {
    let id = delivery.id.to_string();
    let seconds = started_at.as_seconds().to_string();
    RequestRecord {
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
            ("waybill-attempt", &number.to_string()),
            (
                "traceparent",
                &format!("00-{}-00f067aa0ba902b7-01", delivery.message.trace),
            ),
        ]),
        size_bytes: delivery.message.payload.size_bytes,
        body_sha256: delivery.message.payload.sha256.clone().unwrap(),
    }
}

fn response() -> ResponseRecord {
    ResponseRecord {
        status: 200,
        headers: headers(&[
            ("date", "Mon, 24 Nov 2025 16:00:00 GMT"),
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
    }
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

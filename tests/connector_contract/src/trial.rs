//! A connector under test: deliveries, attempts and checks in the harness of its worker.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use domain::Timestamp;
use domain::check::CheckReport;
use domain::delivery::{Delivery, NewDelivery};
use domain::destination::Destination;
use domain::id::{DeliveryId, Ulid};
use domain::message::{MessageFacts, PayloadInfo};
use domain::settings::DestinationType;
use futures_util::stream;
use tokio::time::Instant;
use worker::{Attempted, Job, Payload, Unavailable};

use crate::test_services::within;
use crate::{Arrival, Login, ServerAddress, Subject, TestServices};

/// How long a receiver may take to show what arrived.
const SHOWN_MAX: Duration = Duration::from_secs(10);
/// The time limit of attempts that are meant to succeed.
const PATIENT_SECONDS: u64 = 60;
/// How many bytes a payload store sends in one chunk.
const PIECE_BYTES: usize = 70_001;

/// A connector, its server and its secrets.
#[derive(Debug)]
pub struct Trial<S> {
    pub(crate) services: TestServices,
    pub(crate) subject: S,
}

impl<S: Subject> Trial<S> {
    pub(crate) async fn start() -> Self {
        let services = TestServices::new();
        let subject = S::start(&services).await;
        Self { services, subject }
    }

    /// Returns the address of the server itself.
    pub(crate) fn address(&self) -> ServerAddress {
        ServerAddress {
            host: "127.0.0.1".to_owned(),
            port: self.subject.port(),
        }
    }

    /// Returns a destination that works.
    pub(crate) async fn destination(&self) -> Destination {
        self.destination_at(&self.address(), PATIENT_SECONDS).await
    }

    /// Returns a destination with its server at `address` and with a time limit.
    pub(crate) async fn destination_at(
        &self,
        address: &ServerAddress,
        seconds: u64,
    ) -> Destination {
        self.destination_of(
            within(self.subject.settings(address), seconds),
            &self.subject.login(),
        )
        .await
    }

    pub(crate) async fn destination_of(
        &self,
        settings: serde_json::Value,
        login: &Login,
    ) -> Destination {
        self.services
            .destination(S::DESTINATION, settings, login)
            .await
    }

    pub(crate) async fn attempt(
        &self,
        destination: &Destination,
        delivery: &Delivery,
        payload: Payload,
    ) -> Result<Attempted, Unavailable> {
        let deadline =
            Instant::now() + Duration::from_secs(destination.settings.timeout_seconds().into());
        let job = Job {
            delivery,
            destination,
            payload,
            attempt_number: delivery.attempts + 1,
            deadline,
        };
        worker::deliver(self.subject.connector(), job).await
    }

    pub(crate) async fn check(&self, destination: &Destination) -> CheckReport {
        worker::check(self.subject.connector(), destination).await
    }

    /// Delivers to a destination and returns what arrived.
    pub(crate) async fn delivers(
        &self,
        destination: &Destination,
        delivery: &Delivery,
        bytes: &Bytes,
    ) -> Vec<Arrival> {
        let attempted = self
            .attempt(destination, delivery, streamed(bytes))
            .await
            .expect("nothing of Waybill failed");
        assert!(
            attempted.outcome.reason().is_none(),
            "{:?}: {}",
            attempted.outcome,
            attempted.detail
        );
        let arrived = self.arrivals(delivery).await;
        let expected = sha256(bytes);
        assert!(
            arrived.iter().all(|arrival| arrival.sha256 == expected),
            "other bytes arrived than were sent"
        );
        arrived
    }

    /// Waits until something has arrived and returns it.
    pub(crate) async fn arrivals(&self, delivery: &Delivery) -> Vec<Arrival> {
        let until = Instant::now() + SHOWN_MAX;
        loop {
            let arrived = self.subject.arrived(delivery).await;
            if !arrived.is_empty() || Instant::now() > until {
                assert!(
                    !arrived.is_empty(),
                    "the attempt succeeded and nothing arrived"
                );
                return arrived;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn nothing_arrived(&self, delivery: &Delivery, what: &str) {
        let arrived = self.subject.arrived(delivery).await;
        assert!(arrived.is_empty(), "{what}: {arrived:?}");
    }
}

/// Returns a delivery with a unique id.
pub(crate) fn delivery(kind: DestinationType, bytes: &Bytes) -> Delivery {
    static COUNT: AtomicI64 = AtomicI64::new(1);
    let id = Ulid::first_at(Timestamp::from_millis(
        1_764_000_000_000 + COUNT.fetch_add(1, Ordering::Relaxed),
    ));
    let payload = PayloadInfo {
        size_bytes: bytes.len() as u64,
        content_type: "application/octet-stream".to_owned(),
        filename: Some("payload.bin".to_owned()),
        sha256: Some(sha256(bytes)),
    };
    let new = NewDelivery {
        id: DeliveryId {
            message: id.into(),
            position: 0,
        },
        organization: id.into(),
        destination: id.into(),
        destination_type: kind,
        ..samples::new_delivery(MessageFacts {
            payload,
            ..samples::message()
        })
    };
    Delivery::accept(new, id.time())
}

/// Returns bytes that do not repeat.
pub(crate) fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

pub(crate) fn pieces(bytes: &Bytes) -> Vec<Result<Bytes, Unavailable>> {
    let starts = (0..bytes.len()).step_by(PIECE_BYTES);
    starts
        .map(|start| Ok(bytes.slice(start..bytes.len().min(start + PIECE_BYTES))))
        .collect()
}

/// Returns a payload that is streamed like that of a payload store.
pub(crate) fn streamed(bytes: &Bytes) -> Payload {
    Payload::streamed(bytes.len() as u64, stream::iter(pieces(bytes)))
}

/// Returns the SHA-256 of these bytes, lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

//! The destination, as the seed has it: answers, refuses, throttles, or never comes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Reason;
use domain::check::CheckReport;
use domain::destination::Destination;
use domain::id::DeliveryId;
use domain::settle::Outcome;
use worker::{Attempted, Connector, Job, Unavailable};

/// One request that reached the receiver.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) delivery: DeliveryId,
    pub(crate) attempt_number: u32,
    pub(crate) accepted: bool,
}

/// Plays the destination and remembers what reached it.
#[derive(Clone)]
pub(crate) struct Receiver(Arc<Mutex<Inner>>);

struct Inner {
    rng: fastrand::Rng,
    /// Out of ten requests, how many are accepted.
    kindness: u32,
    sent: Vec<Sent>,
}

impl Receiver {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let kindness = rng.u32(1..10);
        Self(Arc::new(Mutex::new(Inner { rng, kindness, sent: Vec::new() })))
    }

    /// Everything that reached it, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sent.clone()
    }

    fn answer(&self, job: &Job<'_>) -> (Outcome, Duration) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let accepted = inner.rng.u32(0..10) < inner.kindness;
        let outcome = match inner.rng.u32(0..12) {
            _ if accepted => Outcome::Delivered(None),
            0 => Outcome::Reject(Reason::Rejected),
            1 => Outcome::ClientError(Reason::Authentication),
            2 => Outcome::Throttled(Reason::RateLimited, Duration::from_secs(inner.rng.u64(0..200))),
            3..6 => Outcome::Retry(Reason::Timeout),
            _ => Outcome::Retry(Reason::ServerError),
        };
        let took = Duration::from_millis(inner.rng.u64(0..4000));
        inner.sent.push(Sent { delivery: job.delivery.id, attempt_number: job.attempt_number, accepted });
        (outcome, took)
    }
}

impl Connector for Receiver {
    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, Unavailable> {
        let (outcome, took) = self.answer(&job);
        tokio::time::sleep(took).await;
        Ok(Attempted { outcome, detail: "as the seed has it".to_owned(), request: None, response: None })
    }

    async fn check(&self, _: &Destination) -> CheckReport {
        CheckReport::of(Vec::new())
    }
}

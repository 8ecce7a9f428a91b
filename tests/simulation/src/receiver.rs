//! The destination, as the seed has it: answers, refuses, throttles, or never comes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Reason;
use domain::id::DeliveryId;
use domain::settle::Outcome;
use worker::{Attempted, Check, Connector, ConnectorError, Job};

/// One request that reached the receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Which attempt of it.
    pub attempt_number: u32,
    /// Whether the receiver took it.
    pub accepted: bool,
}

/// How the receiver answers.
enum Manner {
    /// Accepts so many out of ten requests, and otherwise does what the seed says.
    Seeded(u32),
    /// Answers as a test says; an answer that panics plays a connector that kills its worker.
    Scripted(Box<dyn Fn(DeliveryId, u32) -> Outcome + Send>),
}

/// Plays the destination and remembers what reached it.
#[derive(Clone)]
pub struct Receiver(Arc<Mutex<Inner>>);

struct Inner {
    rng: fastrand::Rng,
    manner: Manner,
    sent: Vec<Sent>,
}

impl Receiver {
    /// One whose manners the seed decides.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let manner = Manner::Seeded(rng.u32(1..10));
        Self(Arc::new(Mutex::new(Inner { rng, manner, sent: Vec::new() })))
    }

    /// One that answers each delivery's attempts as `answer` says, at once.
    pub fn scripted(answer: impl Fn(DeliveryId, u32) -> Outcome + Send + 'static) -> Self {
        let manner = Manner::Scripted(Box::new(answer));
        Self(Arc::new(Mutex::new(Inner { rng: fastrand::Rng::with_seed(0), manner, sent: Vec::new() })))
    }

    /// Everything that reached it, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sent.clone()
    }

    fn answer(&self, job: &Job<'_>) -> (Outcome, Duration) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let kindness = match &inner.manner {
            Manner::Seeded(kindness) => *kindness,
            Manner::Scripted(answer) => {
                let outcome = answer(job.delivery.id, job.attempt_number);
                let accepted = matches!(outcome, Outcome::Delivered(_));
                inner.sent.push(Sent { delivery: job.delivery.id, attempt_number: job.attempt_number, accepted });
                return (outcome, Duration::ZERO);
            }
        };
        let accepted = inner.rng.u32(0..10) < kindness;
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
    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        let (outcome, took) = self.answer(&job);
        tokio::time::sleep(took).await;
        Ok(Attempted { outcome, detail: "as the seed has it".to_owned(), request: None, response: None, body: None })
    }

    async fn check(&self, _: Check<'_>) -> Result<(), ConnectorError> {
        Ok(())
    }
}

//! The destination, which accepts, refuses, throttles or hangs as the seed determines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Reason;
use domain::id::{DeliveryId, DestinationId};
use domain::receipt::Receipt;
use domain::settle::Outcome;
use tokio::time::Instant;
use worker::{Attempted, Check, Connector, ConnectorError, Job};

/// A request that reached the receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The delivery of the request.
    pub delivery: DeliveryId,
    /// The number of the attempt.
    pub attempt_number: u32,
    /// Whether the receiver accepted the request.
    pub accepted: bool,
}

/// Returns what a connector reports for a request that the receiver accepted.
#[must_use]
pub fn delivered() -> Outcome {
    Outcome::delivered(Receipt::HttpResponse {
        id: None,
        status: 200,
    })
}

/// How the receiver responds.
enum ResponseMode {
    /// Accepts this many out of ten requests, and otherwise does what the seed determines.
    Seeded(u32),
    /// Responds as a test determines. A response that panics acts as a connector that kills its
    /// worker.
    Scripted(Box<dyn Fn(DeliveryId, u32) -> Outcome + Send>),
    /// Accepts everything after this long, or at once if the destination is mended.
    Slow(Duration),
}

/// Acts as the destination and records what reached it.
#[derive(Clone)]
pub struct Receiver(Arc<Mutex<Inner>>);

struct Inner {
    rng: fastrand::Rng,
    manner: ResponseMode,
    sent: Vec<Sent>,
    /// The requests that run at each destination, and the most that ran concurrently.
    running: BTreeMap<DestinationId, (u32, u32)>,
    /// When requests began at each destination.
    starts: BTreeMap<DestinationId, Vec<Instant>>,
    /// Destinations that accept everything from now on.
    mended: BTreeSet<DestinationId>,
}

/// A running request. It ends when its worker has finished or dies.
struct Running(Receiver, DestinationId);

impl Drop for Running {
    fn drop(&mut self) {
        let mut inner = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running.entry(self.1).or_default().0 -= 1;
    }
}

impl Receiver {
    /// Creates a receiver whose behaviour the seed determines.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let manner = ResponseMode::Seeded(rng.u32(1..10));
        Self::of(rng, manner)
    }

    fn of(rng: fastrand::Rng, manner: ResponseMode) -> Self {
        let (sent, running, starts, mended) = (
            Vec::new(),
            BTreeMap::new(),
            BTreeMap::new(),
            BTreeSet::new(),
        );
        Self(Arc::new(Mutex::new(Inner {
            rng,
            manner,
            sent,
            running,
            starts,
            mended,
        })))
    }

    /// Creates a receiver that responds to each attempt with `answer`, at once.
    pub fn scripted(answer: impl Fn(DeliveryId, u32) -> Outcome + Send + 'static) -> Self {
        Self::of(
            fastrand::Rng::with_seed(0),
            ResponseMode::Scripted(Box::new(answer)),
        )
    }

    /// Creates a receiver that accepts everything and takes this long for each request.
    #[must_use]
    pub fn slow(took: Duration) -> Self {
        Self::of(fastrand::Rng::with_seed(0), ResponseMode::Slow(took))
    }

    /// Returns when requests began at this destination, relative to the first one.
    #[must_use]
    pub fn starts(&self, destination: DestinationId) -> Vec<Duration> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let starts = inner
            .starts
            .get(&destination)
            .map_or(&[][..], Vec::as_slice);
        starts.iter().map(|start| *start - starts[0]).collect()
    }

    /// Makes this destination accept everything from now on.
    pub fn mend(&self, destination: DestinationId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .mended
            .insert(destination);
    }

    /// Returns whether this destination accepts everything.
    #[must_use]
    pub fn is_mended(&self, destination: DestinationId) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .mended
            .contains(&destination)
    }

    /// Returns the most requests that ran concurrently at this destination.
    #[must_use]
    pub fn most_at_once(&self, destination: DestinationId) -> u32 {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running.get(&destination).map_or(0, |(_, most)| *most)
    }

    /// Returns the most requests that began at this destination within a second.
    #[must_use]
    pub fn most_within_a_second(&self, destination: DestinationId) -> usize {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let starts = inner
            .starts
            .get(&destination)
            .map_or(&[][..], Vec::as_slice);
        let within = |first: &Instant| {
            starts
                .iter()
                .filter(|start| *start >= first && **start - *first < Duration::from_secs(1))
                .count()
        };
        starts.iter().map(within).max().unwrap_or_default()
    }

    fn begins(&self, destination: DestinationId) -> Running {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (running, most) = inner.running.entry(destination).or_default();
        *running += 1;
        *most = (*most).max(*running);
        inner
            .starts
            .entry(destination)
            .or_default()
            .push(Instant::now());
        Running(self.clone(), destination)
    }

    /// Returns everything that reached the receiver, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sent
            .clone()
    }

    fn answer(&self, job: &Job<'_>) -> (Outcome, Duration) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let kindness = match &inner.manner {
            ResponseMode::Seeded(_) if inner.mended.contains(&job.destination.id) => 10,
            ResponseMode::Seeded(kindness) => *kindness,
            ResponseMode::Slow(took) => {
                inner.sent.push(Sent {
                    delivery: job.delivery.id,
                    attempt_number: job.attempt_number,
                    accepted: true,
                });
                let took = if inner.mended.contains(&job.destination.id) {
                    Duration::ZERO
                } else {
                    *took
                };
                return (delivered(), took);
            }
            ResponseMode::Scripted(answer) => {
                let outcome = answer(job.delivery.id, job.attempt_number);
                let accepted = matches!(outcome, Outcome::Delivered(_));
                inner.sent.push(Sent {
                    delivery: job.delivery.id,
                    attempt_number: job.attempt_number,
                    accepted,
                });
                return (outcome, Duration::ZERO);
            }
        };
        let accepted = inner.rng.u32(0..10) < kindness;
        let outcome = match inner.rng.u32(0..12) {
            _ if accepted => delivered(),
            0 => Outcome::Reject(Reason::Rejected),
            1 => Outcome::ClientError(Reason::Authentication),
            2 => Outcome::Throttled(
                Reason::RateLimited,
                Duration::from_secs(inner.rng.u64(0..200)),
            ),
            3..6 => Outcome::Retry(Reason::Timeout),
            _ => Outcome::Retry(Reason::ServerError),
        };
        let took = Duration::from_millis(inner.rng.u64(0..4000));
        inner.sent.push(Sent {
            delivery: job.delivery.id,
            attempt_number: job.attempt_number,
            accepted,
        });
        (outcome, took)
    }
}

impl Connector for Receiver {
    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        let running = self.begins(job.destination.id);
        let (outcome, took) = self.answer(&job);
        tokio::time::sleep(took).await;
        drop(running);
        Ok(Attempted {
            outcome,
            detail: "as the seed has it".to_owned(),
            request: None,
            response: None,
            body: None,
        })
    }

    async fn check(&self, _: Check<'_>) -> Result<(), ConnectorError> {
        Ok(())
    }
}

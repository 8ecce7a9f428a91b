//! A connector speaks one destination type's protocol.

use std::time::Duration;

use domain::alert_email::{Confirmation, ConfirmationAnswer};
use domain::attempt::{RequestRecord, ResponseRecord};
use domain::authorization::{Exchange, ExchangeAnswer};
use domain::check::{CheckReport, HostKeysAnswer, HostKeysPlace};
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::settle::Outcome;
use store::SentBody;
use tokio::time::Instant;

use crate::Payload;

/// Speaks one destination type's protocol.
pub trait Connector: Send + Sync + 'static {
    /// Makes one attempt, within the job's deadline. What the destination does is an outcome; `Unavailable` is only for what is ours.
    fn deliver(&self, job: Job<'_>) -> impl Future<Output = Result<Attempted, Unavailable>> + Send;

    /// Tests connection and credentials of a destination about to be saved, step by step.
    fn check(&self, destination: &Destination) -> impl Future<Output = CheckReport> + Send;

    /// The longest that an attempt may take: the job's deadline, and what a protocol demands beyond it.
    fn attempt_max(&self, destination: &Destination) -> Duration {
        Duration::from_secs(destination.settings.timeout_seconds().into())
    }

    /// The most bytes that an attempt for a payload of this size holds in memory at once, its encodings included.
    fn memory_bytes(&self, _: &Destination, payload_bytes: u64) -> u64 {
        payload_bytes
    }

    /// Shows the keys that a server presents, where the protocol knows such.
    fn host_keys(&self, _: HostKeysPlace) -> impl Future<Output = HostKeysAnswer> + Send {
        let CheckReport { ok, steps } = crate::refused_check("this type of destination has no host keys");
        std::future::ready(HostKeysAnswer::Refused { ok, steps })
    }

    /// Exchanges the code of a person's consent, where destinations are signed into with such.
    fn exchange(&self, _: Exchange) -> impl Future<Output = ExchangeAnswer> + Send {
        std::future::ready(ExchangeAnswer::refused(false, "this type of destination is not signed into with a person's consent"))
    }

    /// Mails a link by which a person confirms an address, where mails are sent.
    fn confirm_address(&self, _: Confirmation) -> impl Future<Output = ConfirmationAnswer> + Send {
        let detail = "this type of destination sends no mails".to_owned();
        std::future::ready(ConfirmationAnswer { mailed: false, detail })
    }
}

/// A server that says nothing until here is given up, however long the attempt may take: what waits behind it should not.
const LOGIN_MAX: Duration = Duration::from_secs(30);

/// When to give up on a server that has not let us in, in an attempt that may last until `deadline`.
#[must_use]
pub fn login_deadline(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + LOGIN_MAX)
}

/// One attempt to make.
#[derive(Debug)]
pub struct Job<'j> {
    /// What is delivered, with its message's facts.
    pub delivery: &'j Delivery,
    /// Where to.
    pub destination: &'j Destination,
    /// The bytes.
    pub payload: Payload,
    /// The attempt's number, from 1.
    pub attempt_number: u32,
    /// When the whole attempt must be over.
    pub deadline: Instant,
}

/// How an attempt went.
#[derive(Debug)]
pub struct Attempted {
    /// What it means for the delivery.
    pub outcome: Outcome,
    /// In words, for people; no secrets.
    pub detail: String,
    /// What was sent, credentials redacted; `None` when it did not get that far.
    pub request: Option<RequestRecord>,
    /// What came back.
    pub response: Option<ResponseRecord>,
    /// The body of the request, where it is not the payload as it was submitted. The request's size and hash are those of this body.
    pub body: Option<SentBody>,
}

impl Attempted {
    /// An attempt that ended before anything was sent.
    pub fn unsent(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), request: None, response: None, body: None }
    }
}

/// Something of ours that the attempt needs (KMS, Secrets Manager, the table) does not answer: the delivery waits, it does not fail.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

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

use crate::{ConnectorError, Payload, StepRecorder};

/// Speaks one destination type's protocol.
pub trait Connector: Send + Sync + 'static {
    /// Makes one attempt, within the job's deadline. An error is an attempt before anything was sent;
    /// one that failed later is [`Attempted`], with the record of its request.
    fn deliver(&self, job: Job<'_>) -> impl Future<Output = Result<Attempted, ConnectorError>> + Send;

    /// Takes the steps of a delivery to a destination about to be saved, and records each. An error
    /// is the failure of the step in progress, unless it names another.
    fn check(&self, check: Check<'_>) -> impl Future<Output = Result<(), ConnectorError>> + Send;

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

/// One check to make.
#[derive(Debug)]
pub struct Check<'c> {
    /// The destination as it would be saved.
    pub destination: &'c Destination,
    /// When it must be over: the destination's own time limit, or that of checks.
    pub deadline: Instant,
    /// The time limit of checks: for one whose steps each have the destination's own time limit.
    pub latest: Instant,
    /// Where the steps are recorded.
    pub steps: &'c mut StepRecorder,
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

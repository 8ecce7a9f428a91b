//! The interface of connectors.

use std::time::Duration;

use domain::alert_email::{Confirmation, ConfirmationAnswer};
use domain::attempt::{RequestRecord, ResponseRecord};
use domain::authorization::{Exchange, ExchangeAnswer};
use domain::check::{CheckReport, HostKeysAnswer, HostKeysServer};
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::settle::Outcome;
use store::SentBody;
use tokio::time::Instant;

use crate::{ConnectorError, Payload, StepRecorder};

/// Implements the protocol of one destination type.
pub trait Connector: Send + Sync + 'static {
    /// Makes one attempt within the job's deadline. An error means that the attempt failed before
    /// anything was sent. A later failure is returned as [`Attempted`], with the record of its
    /// request.
    fn deliver(
        &self,
        job: Job<'_>,
    ) -> impl Future<Output = Result<Attempted, ConnectorError>> + Send;

    /// Runs the steps of a delivery to a destination that is about to be saved, and records each.
    /// An error is the failure of the step in progress, unless it names another step.
    fn check(&self, check: Check<'_>) -> impl Future<Output = Result<(), ConnectorError>> + Send;

    /// Returns the longest time that an attempt may take: the destination's time limit, and the
    /// time that a protocol requires beyond it.
    fn attempt_max(&self, destination: &Destination) -> Duration {
        Duration::from_secs(destination.settings.timeout_seconds().into())
    }

    /// Returns the most bytes that an attempt holds in memory at the same time for a payload of
    /// this size, including its encodings.
    fn memory_bytes(&self, _: &Destination, payload_bytes: u64) -> u64 {
        payload_bytes
    }

    /// Returns the host keys that a server presents, if the protocol has host keys.
    fn host_keys(&self, _: HostKeysServer) -> impl Future<Output = HostKeysAnswer> + Send {
        let CheckReport { ok, steps } =
            crate::refused_check("this destination type has no host keys");
        std::future::ready(HostKeysAnswer::Refused { ok, steps })
    }

    /// Exchanges the authorization code of a person's consent, if the destination type supports it.
    fn exchange(&self, _: Exchange) -> impl Future<Output = ExchangeAnswer> + Send {
        std::future::ready(ExchangeAnswer::refused(
            false,
            "this destination type does not use a person's authorization",
        ))
    }

    /// Sends the e-mail with which a person confirms an address, if this worker sends e-mail.
    fn confirm_address(&self, _: Confirmation) -> impl Future<Output = ConfirmationAnswer> + Send {
        let detail = "this destination type sends no e-mail".to_owned();
        std::future::ready(ConfirmationAnswer {
            mailed: false,
            detail,
        })
    }
}

/// An attempt to make.
#[derive(Debug)]
pub struct Job<'j> {
    /// The delivery, with the facts of its message.
    pub delivery: &'j Delivery,
    /// The destination of the delivery.
    pub destination: &'j Destination,
    /// The payload of the message.
    pub payload: Payload,
    /// The number of the attempt, from 1.
    pub attempt_number: u32,
    /// When the whole attempt has to end.
    pub deadline: Instant,
}

/// A check to make.
#[derive(Debug)]
pub struct Check<'c> {
    /// The destination as it would be saved.
    pub destination: &'c Destination,
    /// When the check has to end: the destination's own time limit, or that of all checks if it is
    /// shorter.
    pub deadline: Instant,
    /// The time limit of all checks, for a check in which each step has the destination's own time
    /// limit.
    pub latest: Instant,
    /// Records the steps of the check.
    pub steps: &'c mut StepRecorder,
}

/// The result of an attempt.
#[derive(Debug)]
pub struct Attempted {
    /// The outcome for the delivery.
    pub outcome: Outcome,
    /// A description for people, without secrets.
    pub detail: String,
    /// The request with credentials redacted, or `None` if no request was sent.
    pub request: Option<RequestRecord>,
    /// The response, if there was one.
    pub response: Option<ResponseRecord>,
    /// The body of the request if it is not the payload as submitted. The size and hash in the
    /// request are those of this body.
    pub body: Option<SentBody>,
}

impl Attempted {
    /// Creates the result of an attempt that ended before anything was sent.
    pub fn unsent(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
            request: None,
            response: None,
            body: None,
        }
    }
}

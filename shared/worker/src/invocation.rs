//! The payloads with which a worker function is invoked, and its answers.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::alert_email::{ConfirmationAnswer, ConfirmationRequest};
use domain::authorization::{ExchangeAnswer, ExchangeRequest};
use domain::check::{CheckReport, CheckRequest, HostKeysAnswer, HostKeysRequest};
use serde::{Deserialize, Serialize};

/// A batch from the queue, or a request from the API.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Invocation {
    /// A batch of tasks.
    Queue(SqsEvent),
    /// A destination to check before it is saved. Contains sealed credentials and is never logged.
    Check(Box<CheckRequest>),
    /// A server whose host keys are requested.
    HostKeys(HostKeysRequest),
    /// An authorization code from a person's consent.
    Exchange(Box<ExchangeRequest>),
    /// An address to confirm. Contains the link and is never logged.
    Confirmation(Box<ConfirmationRequest>),
}

/// The answer to an [`Invocation`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// The tasks that stay in the queue.
    Batch(SqsBatchResponse),
    /// The report of the check.
    Check(CheckReport),
    /// The host keys that the server presents.
    HostKeys(HostKeysAnswer),
    /// The result of the exchange.
    Exchange(ExchangeAnswer),
    /// Whether the e-mail was sent.
    Confirmation(ConfirmationAnswer),
}

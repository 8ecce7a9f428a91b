//! What a worker function is invoked with, and what it answers.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::alert_email::{ConfirmationAnswer, ConfirmationRequest};
use domain::authorization::{ExchangeAnswer, ExchangeRequest};
use domain::check::{CheckReport, CheckRequest, HostKeysAnswer, HostKeysRequest};
use serde::{Deserialize, Serialize};

/// A batch from the queue, or a connection check from the api.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Invocation {
    /// Tasks.
    Queue(SqsEvent),
    /// A destination about to be saved. Holds sealed credentials; never logged.
    Check(Box<CheckRequest>),
    /// A server whose keys are to be looked at.
    HostKeys(HostKeysRequest),
    /// A code that a person's consent brought.
    Exchange(Box<ExchangeRequest>),
    /// An address that is to be confirmed. Holds the link; never logged.
    Confirmation(Box<ConfirmationRequest>),
}

/// The answer to an [`Invocation`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// Which tasks stay in the queue.
    Batch(SqsBatchResponse),
    /// What the check found.
    Check(CheckReport),
    /// The keys a server presents.
    HostKeys(HostKeysAnswer),
    /// What became of the code.
    Exchange(ExchangeAnswer),
    /// What became of the mail.
    Confirmation(ConfirmationAnswer),
}

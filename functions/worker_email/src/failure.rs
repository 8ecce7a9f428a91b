//! How an attempt fails, and at which step.

use domain::Reason;
use domain::attempt::{DETAIL_MAX_BYTES, bounded};
use domain::check::StepName;
use domain::settle::Outcome;
use mail_send::Error;
use worker::{Hindrance, Unavailable};

use crate::reply::{self, Reply};

/// An attempt or a check that ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The destination's doing.
    Theirs {
        /// In which step.
        step: StepName,
        /// What it means for the delivery.
        outcome: Outcome,
        /// In words; no secrets.
        detail: String,
    },
    /// Ours.
    Ours(Unavailable),
}

impl Failure {
    pub(crate) fn new(step: StepName, outcome: Outcome, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self::Theirs { step, outcome, detail: bounded(&detail, DETAIL_MAX_BYTES).to_owned() }
    }

    /// The egress guard's.
    pub(crate) fn egress(failure: &egress::Failure) -> Self {
        let step = match failure.kind() {
            egress::FailureKind::Dns | egress::FailureKind::Blocked => StepName::Resolve,
            egress::FailureKind::Tls => StepName::Tls,
            egress::FailureKind::Identity => StepName::Authenticate,
            _ => StepName::Connect,
        };
        Self::new(step, worker::unanswered(failure.kind()), failure.detail())
    }

    /// The mail server's, or the conversation's with it.
    pub(crate) fn smtp(step: StepName, error: &Error) -> Self {
        match error {
            Error::UnexpectedReply(reply) | Error::AuthenticationFailed(reply) => Self::reply(step, reply),
            Error::Timeout => Self::new(step, Outcome::Retry(Reason::Timeout), "the mail server did not answer in time"),
            Error::UnparseableReply => {
                Self::new(step, Outcome::Retry(Reason::Protocol), "the mail server closed the connection or sent an invalid reply")
            }
            _ => Self::new(step, Outcome::Retry(Reason::Protocol), "the connection to the mail server broke off"),
        }
    }

    /// A refusal of the mail server.
    pub(crate) fn reply(step: StepName, reply: &Reply) -> Self {
        Self::new(step, reply::outcome(step, reply), format!("the mail server answered {}", reply::shown(reply)))
    }

    /// In words.
    pub(crate) fn detail(&self) -> &str {
        match self {
            Self::Theirs { detail, .. } => detail,
            Self::Ours(_) => "something of ours did not answer just now; try again",
        }
    }
}

impl From<Hindrance> for Failure {
    fn from(hindrance: Hindrance) -> Self {
        match hindrance {
            Hindrance::Ours(unavailable) => Self::Ours(unavailable),
            Hindrance::Ends { outcome, detail } => Self::Theirs { step: StepName::Authenticate, outcome, detail },
        }
    }
}

//! How an attempt fails, and at which step.

use domain::Reason;
use domain::attempt::{DETAIL_MAX_BYTES, bounded};
use domain::check::StepName;
use domain::settle::Outcome;
use worker::Unavailable;

/// An attempt or a check that ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The destination's doing, or the payload's.
    Theirs {
        /// What it means for the delivery.
        outcome: Outcome,
        /// In words; no secrets.
        detail: String,
        /// The step it belongs to, when it is not the one under way.
        step: Option<StepName>,
    },
    /// Ours: the payload cannot be read just now.
    Ours(Unavailable),
}

impl Failure {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self::Theirs { outcome, detail: bounded(&detail, DETAIL_MAX_BYTES).to_owned(), step: None }
    }

    /// What is wrong with the settings.
    pub(crate) fn misconfigured(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Reject(Reason::Misconfigured), detail)
    }

    /// The payload is not what this destination's mode takes, and never will be.
    pub(crate) fn unfit(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Reject(Reason::Rejected), detail)
    }

    /// A failure for want of rights says first what they are needed for; any other stays as it is.
    pub(crate) fn about(self, what: &str) -> Self {
        match self {
            Self::Theirs { outcome: outcome @ Outcome::ClientError(Reason::Authorization), detail, step } => {
                Self::Theirs { outcome, detail: bounded(&format!("{what}: {detail}"), DETAIL_MAX_BYTES).to_owned(), step }
            }
            other => other,
        }
    }

    /// Whether a row is refused for what it holds.
    pub(crate) fn is_rejected(&self) -> bool {
        matches!(self, Self::Theirs { outcome: Outcome::ClientError(Reason::Rejected), .. })
    }

    /// Of another step than the one under way: a login that is refused only once the session begins.
    pub(crate) fn at(self, at: StepName) -> Self {
        match self {
            Self::Theirs { outcome, detail, .. } => Self::Theirs { outcome, detail, step: Some(at) },
            ours @ Self::Ours(_) => ours,
        }
    }
}

/// Shows the detail of a failure, which holds no secrets.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Theirs { detail, .. } => f.write_str(detail),
            Self::Ours(unavailable) => unavailable.fmt(f),
        }
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Self::Ours(unavailable)
    }
}

impl From<egress::Failure> for Failure {
    fn from(failure: egress::Failure) -> Self {
        let outcome = worker::unanswered(failure.kind());
        Self::new(outcome, failure.detail())
    }
}

//! Everything that can stop an attempt: what the protocol has to look at, and all else.

use std::error::Error;

use domain::Reason;
use domain::settle::Outcome;
use egress::Refusal;
use http::StatusCode;
use worker::{ConnectorError, Unavailable};

use crate::answer::Answer;
use crate::verdict;

/// The stores' codes for a key that is taken.
const TAKEN: &[&str] = &[
    // S3, Google
    "PreconditionFailed",
    "ConditionalRequestConflict",
    // Azure
    "BlobAlreadyExists",
    "ConditionNotMet",
    "TargetConditionNotMet",
];
/// The text of an upload, or a check, whose time is up.
pub(crate) const LATE: &str = "the upload did not end in time";

/// Why an attempt is not a success. `Display` is one sentence for the destination's owner.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StorageError {
    /// The store answered with a refusal.
    #[error("{0}")]
    Refused(Answer),
    /// A condition on a write was not met.
    #[error("there is an object at the key already")]
    Taken,
    /// No answer, or a failure before there could be one.
    #[error("{}", .0.detail())]
    Other(#[from] ConnectorError),
}

impl StorageError {
    /// A URL of the destination's that is refused.
    pub(crate) fn address(refusal: &Refusal) -> Self {
        Self::misconfigured(format!("the endpoint cannot be used: {refusal}"))
    }

    pub(crate) fn misconfigured(detail: impl Into<String>) -> Self {
        ConnectorError::misconfigured(detail).into()
    }

    /// Credentials that cannot be used, or that their issuer does not honor.
    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        ConnectorError::unauthenticated(detail).into()
    }

    /// An answer that does not follow the protocol.
    pub(crate) fn unintelligible() -> Self {
        Self::protocol("the store's answer is not what its protocol says")
    }

    pub(crate) fn protocol(detail: &str) -> Self {
        ConnectorError::new(Outcome::Retry(Reason::Protocol), detail).into()
    }

    /// Another object is at the key.
    pub(crate) fn occupied(detail: String) -> Self {
        ConnectorError::new(Outcome::ClientError(Reason::Rejected), detail).into()
    }

    /// The refusal, if it was one.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Refused(answer) => Some(answer),
            Self::Taken | Self::Other(_) => None,
        }
    }

    /// Whether the key is taken: `If-None-Match` failed. Leases and other conflicts have the same statuses.
    pub(crate) fn is_taken(&self) -> bool {
        let Some(answer) = self.answer() else { return matches!(self, Self::Taken) };
        let is_conflict = matches!(answer.status.as_u16(), 304 | 409 | 412);
        is_conflict && answer.code.as_deref().is_none_or(|code| TAKEN.contains(&code))
    }

    /// Whether the store does not implement what a request asks for.
    pub(crate) fn is_not_implemented(&self) -> bool {
        let is_it =
            |answer: &Answer| matches!(answer.status, StatusCode::NOT_IMPLEMENTED) || answer.code.as_deref() == Some("NotImplemented");
        self.answer().is_some_and(is_it)
    }

    /// Whether the credentials were not believed.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.outcome() == Some(Outcome::ClientError(Reason::Authentication))
    }

    /// The effect on the delivery; `None` for a failure of Waybill.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Refused(answer) => Some(verdict::refused(answer)),
            Self::Taken => Some(Outcome::ClientError(Reason::Rejected)),
            Self::Other(error) => error.outcome().cloned(),
        }
    }
}

impl From<StorageError> for ConnectorError {
    fn from(error: StorageError) -> Self {
        let detail = error.to_string();
        match error {
            StorageError::Refused(answer) => Self::new(verdict::refused(&answer), detail),
            StorageError::Taken => Self::new(Outcome::ClientError(Reason::Rejected), detail),
            StorageError::Other(error) => error,
        }
    }
}

impl From<Unavailable> for StorageError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Other(unavailable.into())
    }
}

impl From<egress::Failure> for StorageError {
    fn from(failure: egress::Failure) -> Self {
        Self::Other(failure.into())
    }
}

impl From<object_store::Error> for StorageError {
    /// Finds our own in what the library wrapped around it.
    fn from(error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<Self>() {
                return found.clone();
            }
            cause = error.source();
        }
        tracing::warn!(error = worker::redacted(&error.to_string()), "the object-store library failed without an answer of the store");
        Self::unintelligible()
    }
}

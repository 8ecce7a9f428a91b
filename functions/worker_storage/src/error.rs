//! The errors that can end an attempt.

use std::error::Error;

use domain::Reason;
use domain::settle::Outcome;
use egress::Refusal;
use http::StatusCode;
use worker::{ConnectorError, Unavailable};

use crate::answer::Answer;
use crate::verdict;

/// The stores' error codes for a key at which an object exists.
const TAKEN: &[&str] = &[
    // S3, Google
    "PreconditionFailed",
    "ConditionalRequestConflict",
    // Azure
    "BlobAlreadyExists",
    "ConditionNotMet",
    "TargetConditionNotMet",
];
/// The detail of an upload or a check that did not end by its deadline.
pub(crate) const UPLOAD_TIMED_OUT: &str = "the upload did not end in time";

/// Why an attempt failed. `Display` is one sentence for the destination's owner.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StorageError {
    /// The store refused the request.
    #[error("{0}")]
    Refused(Answer),
    /// A condition on a write was not met.
    #[error("an object already exists at the key")]
    Taken,
    /// No answer was received, or the request could not be sent.
    #[error("{}", .0.detail())]
    Other(#[from] ConnectorError),
}

impl StorageError {
    /// The destination's URL is not allowed.
    pub(crate) fn address(refusal: &Refusal) -> Self {
        Self::misconfigured(format!("the endpoint cannot be used: {refusal}"))
    }

    pub(crate) fn misconfigured(detail: impl Into<String>) -> Self {
        ConnectorError::misconfigured(detail).into()
    }

    /// The credentials cannot be used, or their issuer rejects them.
    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        ConnectorError::unauthenticated(detail).into()
    }

    /// The answer does not follow the protocol.
    pub(crate) fn unintelligible() -> Self {
        Self::protocol("the store's answer does not follow its protocol")
    }

    pub(crate) fn protocol(detail: &str) -> Self {
        ConnectorError::new(Outcome::Retry(Reason::Protocol), detail).into()
    }

    /// Another object exists at the key.
    pub(crate) fn occupied(detail: String) -> Self {
        ConnectorError::new(Outcome::ClientError(Reason::Rejected), detail).into()
    }

    /// Returns the store's answer if it refused the request.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Refused(answer) => Some(answer),
            Self::Taken | Self::Other(_) => None,
        }
    }

    /// Whether an object exists at the key, because `If-None-Match` failed. Leases and other
    /// conflicts have the same status codes.
    pub(crate) fn is_taken(&self) -> bool {
        let Some(answer) = self.answer() else {
            return matches!(self, Self::Taken);
        };
        let is_conflict = matches!(answer.status.as_u16(), 304 | 409 | 412);
        is_conflict
            && answer
                .code
                .as_deref()
                .is_none_or(|code| TAKEN.contains(&code))
    }

    /// Whether the store does not implement what the request uses.
    pub(crate) fn is_not_implemented(&self) -> bool {
        let is_it = |answer: &Answer| {
            matches!(answer.status, StatusCode::NOT_IMPLEMENTED)
                || answer.code.as_deref() == Some("NotImplemented")
        };
        self.answer().is_some_and(is_it)
    }

    /// Whether the store may have refused an upload because it has no checksum.
    pub(crate) fn may_require_checksum(&self) -> bool {
        self.answer().is_some_and(|answer| {
            matches!(answer.status, StatusCode::BAD_REQUEST)
                && matches!(
                    answer.code.as_deref(),
                    Some("InvalidRequest" | "MissingContentMD5")
                )
        })
    }

    /// Whether the store rejected the credentials.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.outcome() == Some(Outcome::ClientError(Reason::Authentication))
    }

    /// The outcome of the attempt, or `None` if Waybill itself failed.
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
    /// Recovers the [`StorageError`] that the library wrapped.
    fn from(error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<Self>() {
                return found.clone();
            }
            cause = error.source();
        }
        tracing::warn!(
            error = worker::redacted(&error.to_string()),
            "the object-store library failed without an answer from the store"
        );
        Self::unintelligible()
    }
}

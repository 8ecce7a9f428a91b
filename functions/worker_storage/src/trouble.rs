//! Everything that can stop an attempt.

use std::error::Error;

use egress::{Failure, Refusal};
use http::StatusCode;
use worker::Unavailable;

use crate::answer::Answer;

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

/// Why an attempt is not a success. `Display` is one sentence for the destination's owner.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Trouble {
    /// No answer.
    #[error("{0}")]
    Unanswered(Failure),
    /// An answer that began and did not end.
    #[error("the store's answer broke off")]
    BrokenOff,
    /// The time is up.
    #[error("the upload did not end in time")]
    TooSlow,
    /// A refusal.
    #[error("{0}")]
    Refused(Answer),
    /// Credentials that cannot be used, or that their issuer does not honour.
    #[error("{0}")]
    Unauthenticated(String),
    /// Not for this organization.
    #[error("{0}")]
    Unauthorized(String),
    /// Settings that do not work out.
    #[error("{0}")]
    Misconfigured(String),
    /// A condition on a write was not met.
    #[error("there is an object at the key already")]
    Taken,
    /// Something else is at the key.
    #[error("there is another object at {0}")]
    Occupied(String),
    /// Something is at the key, and what it is cannot be seen.
    #[error("there is an object at {0}, and the credentials may not read it to tell whether it is this delivery's")]
    OccupiedUnseen(String),
    /// Another upload to the same key is under way.
    #[error("another upload to {0} is under way")]
    Contended(String),
    /// An answer that the library makes nothing of.
    #[error("the store's answer is not what its protocol says")]
    Unintelligible,
    /// Something of ours.
    #[error("{0}")]
    Ours(String),
}

impl Trouble {
    /// What a URL of the destination's is refused for.
    pub(crate) fn address(refusal: &Refusal) -> Self {
        Self::Misconfigured(format!("the endpoint cannot be used: {refusal}"))
    }

    /// The payload did not come as it should.
    pub(crate) fn payload(error: &Unavailable) -> Self {
        tracing::warn!(%error, "a payload could not be read");
        Self::Ours("the payload could not be read".to_owned())
    }

    /// The refusal, if it was one.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Refused(answer) => Some(answer),
            _ => None,
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
        self.answer().is_some_and(|answer| answer.status == StatusCode::NOT_IMPLEMENTED || answer.code.as_deref() == Some("NotImplemented"))
    }
}

impl From<object_store::Error> for Trouble {
    /// Finds our own in what the library wrapped around it.
    fn from(error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(trouble) = error.downcast_ref::<Self>() {
                return trouble.clone();
            }
            cause = error.source();
        }
        tracing::warn!(error = worker::redacted(&error.to_string()), "the object-store library gives up by itself");
        Self::Unintelligible
    }
}

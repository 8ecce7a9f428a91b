//! Why the store could not do what it was asked to, sorted by what the caller can do about it.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The error of any SDK call. Requests that shared the call share it.
type Source = Arc<dyn Error + Send + Sync>;

/// Why the store could not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The service is throttled, slow or down: try again later. Never a reason to fail a delivery.
    #[error("the table could not {action} for now")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// The SDK's error.
        source: Source,
    },
    /// The service understood and refused: a permission, a limit, a request that is wrong. Ours to mend.
    #[error("the table refused to {action}")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// The SDK's error.
        source: Source,
    },
    /// An item does not read as what its key says it is. Ours to mend.
    #[error("the item {key} is unreadable: {problem}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store was built without a bucket and met a payload that is in one. Ours to mend.
    #[error("no bucket is configured, and the payload is an object")]
    NoBucket,
}

/// Error codes by which AWS says "later", besides every status of 500 and above.
const LATER: &[&str] = &[
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ReplicatedWriteConflictException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottlingException",
    "Throttling",
    "TransactionConflictException",
    "TransactionInProgressException",
];

impl StoreError {
    /// Is waiting the answer?
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The same error of another action: requests that shared a call each say what they were doing.
    pub(crate) fn during(mut self, own: &'static str) -> Self {
        if let Self::Unavailable { action, .. } | Self::Refused { action, .. } = &mut self {
            *action = own;
        }
        self
    }

    /// Sorts an SDK call's error; `action` completes "the table could not …".
    pub(crate) fn of<E>(action: &'static str) -> impl Fn(SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        move |error| {
            let later = match &error {
                SdkError::ConstructionFailure(_) => false,
                SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
                SdkError::ServiceError(refused) => {
                    refused.raw().status().is_server_error() || refused.err().code().is_some_and(|code| LATER.contains(&code))
                }
                _ => false,
            };
            let source: Source = Arc::new(error);
            if later { Self::Unavailable { action, source } } else { Self::Refused { action, source } }
        }
    }

    /// A thing that others kept changing for as long as we tried.
    pub(crate) fn contended(action: &'static str) -> Self {
        Self::Unavailable { action, source: described("it kept changing") }
    }

    /// A batch of which the service left something undone, every time it was asked.
    pub(crate) fn unprocessed(action: &'static str) -> Self {
        Self::Unavailable { action, source: described("the service left part of a batch unprocessed") }
    }
}

/// An error that is these words.
pub(crate) fn described(what: &'static str) -> Source {
    Box::<dyn Error + Send + Sync>::from(what).into()
}

//! The errors of the store, grouped by what a caller can do about them.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The error of an SDK call. It is shared by the requests that shared the call.
type Source = Arc<dyn Error + Send + Sync>;

/// Why a call of the store failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The service is throttled, slow or down; try again later. This must never fail a delivery.
    #[error("the table could not {action} for now")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// The error of the AWS SDK.
        source: Source,
    },
    /// The service refused the request because of a permission, a limit or a mistake. This needs a
    /// fix in Waybill or its deployment.
    #[error("the table refused to {action}")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// The error of the AWS SDK.
        source: Source,
    },
    /// An item does not contain what its key promises. This needs a fix in Waybill.
    #[error("the item {key} is unreadable: {problem}")]
    Corrupt {
        /// The key of the item.
        key: String,
        /// What is wrong with the item.
        problem: String,
    },
    /// The store has no bucket but met a payload that is an object. This needs a fix in the
    /// configuration.
    #[error("no bucket is configured, and the payload is an object")]
    NoBucket,
}

/// AWS error codes that mean "try again later", in addition to every status from 500.
const RETRYABLE_CODES: &[&str] = &[
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
    /// Whether the call may succeed when it is tried again later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Returns the same error with another action: requests that shared a call each name their own.
    pub(crate) fn during(mut self, own: &'static str) -> Self {
        if let Self::Unavailable { action, .. } | Self::Refused { action, .. } = &mut self {
            *action = own;
        }
        self
    }

    /// Makes a function that classifies an SDK error. `action` completes "the table could not …".
    pub(crate) fn of<E>(action: &'static str) -> impl Fn(SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        move |error| {
            let later = match &error {
                SdkError::ConstructionFailure(_) => false,
                SdkError::TimeoutError(_)
                | SdkError::DispatchFailure(_)
                | SdkError::ResponseError(_) => true,
                SdkError::ServiceError(refused) => {
                    refused.raw().status().is_server_error()
                        || refused
                            .err()
                            .code()
                            .is_some_and(|code| RETRYABLE_CODES.contains(&code))
                }
                _ => false,
            };
            let source: Source = Arc::new(error);
            if later {
                Self::Unavailable { action, source }
            } else {
                Self::Refused { action, source }
            }
        }
    }

    /// An item kept changing for as long as the change was tried.
    pub(crate) fn contended(action: &'static str) -> Self {
        Self::Unavailable {
            action,
            source: described("it kept changing"),
        }
    }

    /// The service left a part of a batch undone each time it was called.
    pub(crate) fn unprocessed(action: &'static str) -> Self {
        Self::Unavailable {
            action,
            source: described("the service left part of a batch unprocessed"),
        }
    }
}

/// Makes an error source with this description.
pub(crate) fn described(what: &'static str) -> Source {
    Box::<dyn Error + Send + Sync>::from(what).into()
}

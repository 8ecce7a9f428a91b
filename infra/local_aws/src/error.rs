//! The error of all engines.

/// The refusal of an engine. The connector converts it to the service's wire format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct ServiceError {
    /// The HTTP status of the response.
    pub status: u16,
    /// The error code, as the service's SDK model names it: `ConditionalCheckFailedException`,
    /// `QueueDoesNotExist`.
    pub code: String,
    /// The message for people.
    pub message: String,
}

impl ServiceError {
    /// Creates an error with this status, code and message.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }
}

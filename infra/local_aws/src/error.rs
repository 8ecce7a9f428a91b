//! The one error an engine answers with.

/// A refusal by an engine, before the connector puts it into the service's wire form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct ServiceError {
    /// HTTP status.
    pub status: u16,
    /// The service's error code, as its SDK model names it: `ConditionalCheckFailedException`, `QueueDoesNotExist`.
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
}

impl ServiceError {
    /// An error with the given status, code and message.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }
}

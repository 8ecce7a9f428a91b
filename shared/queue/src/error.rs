//! Why a queue could not be used.

use aws_sdk_sqs::error::DisplayErrorContext;

/// SQS refused or could not be reached. A dependency's fault: it delays deliveries and never fails them.
#[derive(Debug, thiserror::Error)]
#[error("the queue could not {action}: {cause}")]
pub struct QueueError {
    action: &'static str,
    cause: String,
}

impl QueueError {
    pub(crate) fn of<E: std::error::Error>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self { action, cause: DisplayErrorContext(error).to_string() }
    }
}

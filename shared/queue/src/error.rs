//! The error of using a queue.

use std::error::Error;

/// SQS refused a call or could not be reached. This delays deliveries and never fails them.
#[derive(Debug, thiserror::Error)]
#[error("the queue could not {action}")]
pub struct QueueError {
    action: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl QueueError {
    pub(crate) fn of<E: Error + Send + Sync + 'static>(
        action: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self {
            action,
            source: error.into(),
        }
    }
}

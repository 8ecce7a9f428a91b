//! Returns tasks to the queue when a dependency fails. The task waits longer each time, and its
//! delivery does not fail.

use std::time::Duration;

use queue::{Inbox, Received};
use store::StoreError;
use telemetry::metrics::Threshold;

use crate::plan::{POISON_RECEIVES, SUSPECT_RECEIVES};

/// The longest wait after a failure.
const WAIT_MAX: Duration = Duration::from_secs(900);

/// Whether a task leaves the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposal {
    /// The task is deleted.
    Done,
    /// The task stays and is received again.
    Stays,
}

/// Returns 2^receives seconds, at most 900.
pub(crate) fn setback_wait(receives: u32) -> Duration {
    Duration::from_secs(1 << receives.min(10)).min(WAIT_MAX)
}

/// Returns a task to the queue after a dependency failed. From [`SUSPECT_RECEIVES`] receives on,
/// the task is sent again instead, so that its receive count begins at zero and it is not suspected
/// of crashing workers.
pub(crate) async fn return_to_queue(inbox: &Inbox, received: &Received) -> Disposal {
    let wait = setback_wait(received.receives);
    if let Ok(task) = &received.task
        && received.receives >= SUSPECT_RECEIVES
        && inbox
            .send_again(task, received.cause.as_ref(), wait)
            .await
            .is_ok()
    {
        return Disposal::Done;
    }
    hold(inbox, received, wait).await
}

/// Returns a task that names an unreadable item to the queue. Its receive count rises, and after
/// about eight minutes the task goes to the dead-letter queue. Its delivery continues if the item
/// is repaired before that.
pub(crate) async fn unreadable(inbox: &Inbox, received: &Received, error: &StoreError) -> Disposal {
    let ends = received.receives >= POISON_RECEIVES
        && inbox.move_to_dead_letters(&received.body).await.is_ok();
    let next = if ends {
        "it goes to the dead-letter queue"
    } else {
        "it returns to the queue"
    };
    telemetry::metrics::threshold_exceeded(Threshold::UnreadableItems);
    tracing::error!(
        error = %domain::chain(error),
        message_id = received.message_id,
        next,
        "an item that a task names is unreadable"
    );
    if ends {
        Disposal::Done
    } else {
        hold(inbox, received, setback_wait(received.receives)).await
    }
}

/// Hides a task for this time. If that fails, the queue's own visibility timeout applies.
pub(crate) async fn hold(inbox: &Inbox, received: &Received, wait: Duration) -> Disposal {
    if let Err(error) = inbox.hold(&received.receipt_handle, wait).await {
        tracing::warn!(
            error = %domain::chain(&error),
            message_id = received.message_id,
            "failed to change a task's visibility timeout; the task returns when it ends"
        );
    }
    Disposal::Stays
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setbacks_double_to_a_quarter_of_an_hour() {
        let waits: Vec<u64> = [0, 1, 2, 9, 10, 100]
            .into_iter()
            .map(|n| setback_wait(n).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 512, 900, 900]);
    }
}

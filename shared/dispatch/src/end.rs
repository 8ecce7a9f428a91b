//! Ends deliveries without a worker: cancels, skips and dead-letters them.
//!
//! A worker sends the status update, publishes the failure and creates the fallbacks of such a
//! delivery. Its task is queued before the delivery ends, so that nothing that fails afterwards can
//! lose them. If the delivery does not end after all, the task finds it unfinished and is a second
//! task, which is harmless.

use std::time::Duration;

use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::DeliveryId;
use store::{Routes, StoreError, skip_unreadable};

use crate::{Dispatcher, has_requested_updates};

/// The time between queueing the task and receiving it, so that the delivery has ended by then.
const RECEIVED_AFTER: Duration = Duration::from_secs(5);

/// The reason why a delivery was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No queue accepted the task that sends the status update. The delivery is unchanged.
    #[error(
        "no queue accepted the task that sends the status update of {0}; the delivery is unchanged"
    )]
    Queue(DeliveryId),
}

impl Dispatcher {
    /// Ends a delivery: writes `after`, unless the delivery has changed since `before` was read.
    /// Returns whether it was written. After an error, the delivery is unchanged or its state is
    /// unknown. If it did end, its status update is sent.
    pub async fn end(&self, before: &Delivery, after: &Delivery) -> Result<bool, EndError> {
        let routes = skip_unreadable(self.store.routes(before.organization).await)?.flatten();
        self.end_under(routes.as_ref(), before, after).await
    }

    /// Ends a delivery as [`Self::end`] does, with the routes of its organization.
    pub(crate) async fn end_under(
        &self,
        routes: Option<&Routes>,
        before: &Delivery,
        after: &Delivery,
    ) -> Result<bool, EndError> {
        if needs_worker(routes, after) {
            let now = self.clock.now();
            // An attempt that is still running may succeed later.
            let at = after
                .state
                .attempt_until()
                .unwrap_or(now)
                .max(now.plus(RECEIVED_AFTER));
            if !self.send(std::slice::from_ref(after), at).await.is_empty() {
                return Err(EndError::Queue(after.id));
            }
        }
        let ended = self.store.transition(before, after).await?;
        if ended {
            telemetry::metrics::delivery_ended(after.destination_type, after.status().as_str());
        }
        Ok(ended)
    }
}

/// Returns whether a worker must do something about a finished delivery. A failed one is published
/// on the event bus and may have fallbacks; the worker knows both.
fn needs_worker(routes: Option<&Routes>, finished: &Delivery) -> bool {
    routes.is_some_and(|routes| {
        finished.status() == DeliveryStatus::Failed
            || has_requested_updates(finished, &routes.settings)
    })
}

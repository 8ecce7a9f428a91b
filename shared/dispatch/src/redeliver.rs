//! Redelivers: reopens a delivery with a fresh retry budget, at the request of a user or a job, and
//! cancels deliveries.

use domain::attempt::Trigger;
use domain::delivery::{Delivery, TransitionRefused};
use store::StoreError;

use crate::{Dispatcher, EndError};

/// The maximum number of times that a transition is repeated after another change won the race.
const RACES_MAX: usize = 8;

/// The reason why a delivery was not reopened or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum RedeliverError {
    /// The state of the delivery does not allow it.
    #[error(transparent)]
    Refused(#[from] TransitionRefused),
    /// The delivery no longer exists, or it kept changing.
    #[error("the delivery kept changing; try again")]
    Contended,
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The delivery could not be ended.
    #[error(transparent)]
    End(#[from] EndError),
}

impl Dispatcher {
    /// Reopens a delivery, so that it is due now, and queues its task. A queued delivery is not
    /// changed.
    pub async fn redeliver(
        &self,
        delivery: Delivery,
        trigger: Trigger,
        force: bool,
    ) -> Result<Delivery, RedeliverError> {
        let now = self.clock.now();
        let change = |before: Delivery| match before.reopen(trigger, force, now) {
            Err(TransitionRefused::StillQueued) => Ok(None),
            reopened => reopened.map(Some),
        };
        let (delivery, changed) = self.transition(delivery, change).await?;
        if changed
            && !self
                .send(std::slice::from_ref(&delivery), now)
                .await
                .is_empty()
        {
            tracing::warn!(
                delivery = %delivery.id,
                "failed to queue a task; the due index brings the delivery back within a minute"
            );
        }
        Ok(delivery)
    }

    /// Cancels a delivery, so that no further attempt starts. No step after the cancellation can
    /// fail.
    pub async fn cancel(&self, delivery: Delivery) -> Result<Delivery, RedeliverError> {
        let now = self.clock.now();
        Ok(self
            .transition(delivery, |before| before.cancel(now).map(Some))
            .await?
            .0)
    }

    /// Applies `change` to the delivery, and again to its new state if another change won the race.
    /// Returns the delivery and whether it changed.
    async fn transition(
        &self,
        mut before: Delivery,
        change: impl Fn(Delivery) -> Result<Option<Delivery>, TransitionRefused>,
    ) -> Result<(Delivery, bool), RedeliverError> {
        for _ in 0..RACES_MAX {
            let Some(after) = change(before.clone())? else {
                return Ok((before, false));
            };
            let written = match after.status().is_finished() {
                true => self.end(&before, &after).await?,
                false => self.store.transition(&before, &after).await?,
            };
            if written {
                return Ok((after, true));
            }
            before = self
                .store
                .delivery(before.organization, before.id)
                .await?
                .ok_or(RedeliverError::Contended)?;
        }
        Err(RedeliverError::Contended)
    }
}

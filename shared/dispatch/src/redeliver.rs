//! Redelivers: a person or a job reopens a delivery with a fresh budget of retries.

use domain::attempt::Trigger;
use domain::delivery::{Delivery, TransitionRefused};
use store::StoreError;

use crate::{Dispatcher, EndError};

/// How often a transition that lost its race is tried again on the new state.
const RACES_MAX: usize = 8;

/// Why a delivery was not reopened.
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
    /// Reopens a delivery, due now, and queues its task. A queued one is left unchanged.
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

    /// Cancels a delivery, so that no further attempt starts. Once it is cancelled, nothing fails.
    pub async fn cancel(&self, delivery: Delivery) -> Result<Delivery, RedeliverError> {
        let now = self.clock.now();
        Ok(self
            .transition(delivery, |before| before.cancel(now).map(Some))
            .await?
            .0)
    }

    /// Applies `change` to the delivery, and again to the new state when a race is lost. Returns
    /// the delivery and whether it changed.
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

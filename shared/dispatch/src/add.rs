//! Adds deliveries to an accepted message, at the request of a user or a job, or as the fallback of
//! a failed delivery.

use domain::attempt::Trigger;
use domain::delivery::{Delivery, DeliveryStatus, FallbackOf, NewDelivery, State};
use domain::destination::Destination;
use domain::message::MessageFacts;
use store::{Added, StoreError};

use crate::announce::existing;
use crate::{Dispatcher, Target, UNSENT_DUE};

/// The reason why a delivery is added.
#[derive(Clone, Copy, Debug)]
pub struct Addition {
    /// The trigger of the delivery.
    pub trigger: Trigger,
    /// The failed delivery, if this one is its fallback.
    pub fallback_of: Option<FallbackOf>,
}

impl Dispatcher {
    /// Adds a delivery to the message of `sibling` and queues its task. If the message already has
    /// a delivery to the destination, that one is kept.
    pub async fn add(
        &self,
        sibling: &Delivery,
        target: &Target,
        addition: Addition,
    ) -> Result<Added, StoreError> {
        let now = self.clock.now();
        let Addition {
            trigger,
            fallback_of,
        } = addition;
        // A fallback may be created because the message expired, so it does not inherit the expiry.
        let expires_at = sibling.message.expires_at.filter(|_| fallback_of.is_none());
        let new = NewDelivery {
            id: sibling.id,
            organization: sibling.organization,
            destination: target.destination,
            destination_type: target.kind,
            destination_disabled: !target.enabled,
            message: MessageFacts {
                expires_at,
                test: false,
                ..sibling.message.clone()
            },
            fan_out: sibling.fan_out,
            trigger,
            fallback_of,
            retention_days: sibling.retention_days,
            payload_retention_days: sibling.payload_retention_days,
        };
        let new = Delivery::accept(new, now);
        // A job and a fallback are repeated until they are done. A user's request may be
        // interrupted for good, so its deliveries are in the due index from the start.
        let due_at =
            (trigger == Trigger::Manual && new.is_untouched()).then(|| self.unsent_due(&new));
        let added = self.store.add_delivery(&new, due_at).await?;
        match &added {
            Added::Done(delivery) if delivery.status() == DeliveryStatus::Queued => {
                if !self
                    .send(std::slice::from_ref(&**delivery), now)
                    .await
                    .is_empty()
                {
                    self.store
                        .remember_due(delivery, now.plus(UNSENT_DUE))
                        .await?;
                }
            }
            // The process that added it may have stopped before it queued the task.
            Added::There(delivery)
                if delivery.status() == DeliveryStatus::Queued && delivery.trigger == trigger =>
            {
                self.store
                    .remember_due(delivery, self.unsent_due(delivery))
                    .await?;
            }
            Added::Done(_) | Added::There(_) | Added::Gone => {}
        }
        Ok(added)
    }

    /// Adds the fallbacks of a delivery that failed at this destination. A repeated call has the
    /// same result. Fallbacks and tests have no fallbacks.
    pub async fn fall_back(
        &self,
        failed: &Delivery,
        destination: Option<&Destination>,
    ) -> Result<(), StoreError> {
        let State::Failed { reason, .. } = failed.state else {
            return Ok(());
        };
        let Some(wanted) = destination.and_then(|destination| destination.on_exhausted.as_ref())
        else {
            return Ok(());
        };
        if failed.message.test || failed.fallback_of.is_some() {
            return Ok(());
        }
        let Some(routes) = self.store.routes(failed.organization).await? else {
            return Ok(());
        };
        let addition = Addition {
            trigger: Trigger::Fallback,
            fallback_of: Some(FallbackOf {
                delivery: failed.id,
                reason,
            }),
        };
        // Destinations that were deleted are skipped.
        for target in existing(&routes, &wanted.destination_ids)
            .filter(|target| target.destination != failed.destination)
        {
            self.add(failed, &target, addition).await?;
        }
        Ok(())
    }
}

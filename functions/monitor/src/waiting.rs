//! Ends pauses that have expired, and releases the deliveries that waited for destinations that
//! accept deliveries again.

use std::time::Duration;

use dispatch::Extent;
use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::destination::{Destination, DestinationState};
use domain::id::{DestinationId, OrganizationId};
use domain::waiting::DeliveryLimits;
use store::{ReleaseWalk, Reset, Saved, StoreError};

use crate::Monitor;

/// The limits of what one run releases for one destination, because a run handles all destinations.
const RELEASED: Extent = Extent {
    at_most: 5_000,
    within: Duration::from_secs(30),
};
/// The time within which a worker that found a destination paused has recorded its delivery as
/// waiting.
const RECORDED_WITHIN: Duration = Duration::from_secs(120);

impl Monitor {
    /// Releases the deliveries that wait for a destination, unless it is still paused. Stops
    /// watching the destination once no delivery waits.
    pub(crate) async fn release_for(
        &self,
        organization: OrganizationId,
        id: DestinationId,
    ) -> Result<(), lambda_runtime::Error> {
        let (Some(routes), Some(destination)) = (
            self.store.routes(organization).await?,
            self.store.destination(organization, id).await?,
        ) else {
            return Ok(self.store.forget_waiting(id, u64::MAX).await?);
        };
        let limits = (routes.shards, routes.settings.delivery_limits);
        let now = self.clock.now();
        let destination = match destination.state {
            DestinationState::Enabled => destination,
            DestinationState::Paused { .. } if destination.paused_until(now).is_some() => {
                return Ok(self.release_early(&destination, limits, now).await?);
            }
            DestinationState::Paused { .. } => match self.end_pause(destination).await? {
                Some(resumed) => resumed,
                None => return Ok(()),
            },
            // Another part of the watch skips the waiting deliveries. Until then this entry
            // remains, so that the rest is released if the destination is enabled first.
            DestinationState::Disabled { .. } | DestinationState::Deleted { .. } => {
                let left = self
                    .store
                    .open_deliveries(organization, routes.shards, id, None, 1)
                    .await?;
                if left.items.is_empty() && left.next.is_none() {
                    self.store
                        .forget_waiting(id, destination.revision())
                        .await?;
                }
                return Ok(());
            }
        };
        if let Some(Reset { at, released }) = self.store.turns_reset(id).await? {
            // The position is saved, so that each delivery is released once per reset. A delivery
            // that has taken its new turn still waits, and would otherwise be released again.
            let (count, next) = self
                .dispatcher
                .release_from(&destination, limits, released, RELEASED)
                .await?;
            self.store.keep_release(id, at, next).await?;
            tracing::info!(
                released = count,
                destination = %id,
                "released deliveries to take new turns under changed limits"
            );
            if next.is_some() {
                return Ok(());
            }
        }
        self.release_resumed(&destination, limits).await
    }

    /// Releases the deliveries that waited for a pause that is over, from where the previous run
    /// stopped. Stops watching the destination after a walk over all its open deliveries that
    /// released nothing.
    async fn release_resumed(
        &self,
        destination: &Destination,
        limits: (u8, Option<DeliveryLimits>),
    ) -> Result<(), lambda_runtime::Error> {
        let (id, revision) = (destination.id, destination.revision());
        let now = self.clock.now();
        let walk = self.store.release_walk(id, revision).await?;
        let (released, next) = self
            .dispatcher
            .release_paused_from(
                destination,
                limits,
                now,
                walk.map(|walk| walk.after),
                RELEASED,
            )
            .await?;
        if released > 0 {
            tracing::info!(released, destination = %id, "waiting deliveries were released");
        }
        let idle_since = walk
            .map_or(Some(now), |walk| walk.idle_since)
            .filter(|_| released == 0);
        if let Some(after) = next {
            let walk = ReleaseWalk {
                revision,
                after,
                idle_since,
            };
            return Ok(self.store.keep_release_walk(id, Some(&walk)).await?);
        }
        if walk.is_some() {
            self.store.keep_release_walk(id, None).await?;
        }
        if idle_since.is_some_and(|since| since.since(destination.updated_at) > RECORDED_WITHIN) {
            self.store.unwatch_waiting(id, revision).await?;
        }
        Ok(())
    }

    /// Queues the deliveries that wait for a pause that ends before the next run, so that they
    /// start when it ends. A delivery that is received later waits in its queue.
    async fn release_early(
        &self,
        destination: &Destination,
        limits: (u8, Option<DeliveryLimits>),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let next_run = now.plus(Duration::from_secs(self.interval_seconds.into()));
        let Some(until) = destination
            .paused_until(now)
            .filter(|until| *until <= next_run)
        else {
            return Ok(());
        };
        let released = self
            .dispatcher
            .release_paused(destination, limits, until, RELEASED)
            .await?;
        tracing::info!(
            released,
            destination = %destination.id,
            %until,
            "queued waiting deliveries for the end of a pause"
        );
        Ok(())
    }

    /// Resumes a destination whose pause has expired. Returns `None` if the destination was changed
    /// first.
    async fn end_pause(
        &self,
        before: Destination,
    ) -> Result<Option<Destination>, lambda_runtime::Error> {
        let now = self.clock.now();
        let after = Destination {
            state: DestinationState::Enabled,
            ..before.revised(now)
        };
        let event = AuditEvent::by_system(
            self.ids().await?.mint(after.organization_id, 1),
            after.organization_id,
            now,
            "destination.resumed",
            after.id,
        );
        let saved = self
            .store
            .save_flow(&after, after.revision() - 1, &event)
            .await?;
        Ok((saved == Saved::Done).then_some(after))
    }
}

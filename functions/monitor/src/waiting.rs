//! Ends pauses that have expired, and releases the deliveries that waited for destinations that
//! accept deliveries again.

use std::time::Duration;

use dispatch::ReleaseLimits;
use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::destination::{Destination, DestinationState};
use domain::id::{DeliveryId, DestinationId, OrganizationId};
use domain::waiting::DeliveryLimits;
use store::{ReleaseWalk, Reset, Saved, StoreError};

use crate::Monitor;

/// Approximately how many deliveries are released for one destination before the others have their
/// turn, because a run handles all destinations.
const RELEASED_MAX: usize = 5_000;
/// How long deliveries are released for one destination before the others have their turn.
const TURN: Duration = Duration::from_secs(5);
/// The time within which a worker that found a destination paused has recorded its delivery as
/// waiting.
const RECORDED_WITHIN: Duration = Duration::from_secs(120);

/// How far the release for a destination has come in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReleaseProgress {
    /// Nothing is left to do in this run.
    Done,
    /// The time of the destination's turn was over. A further turn continues.
    Unfinished,
}

impl ReleaseProgress {
    /// Returns how far a release has come that released this many deliveries and continues at
    /// `next`. What is released for one destination in a run is limited.
    fn after(count: usize, next: Option<DeliveryId>) -> Self {
        match next {
            Some(_) if count < RELEASED_MAX => Self::Unfinished,
            _ => Self::Done,
        }
    }
}

impl Monitor {
    /// Releases the deliveries that wait for a destination, unless it is still paused. Stops at
    /// `ends_at` or when its turn is over. Stops watching the destination once no delivery waits.
    pub(crate) async fn release_for(
        &self,
        organization: OrganizationId,
        id: DestinationId,
        ends_at: Timestamp,
    ) -> Result<ReleaseProgress, lambda_runtime::Error> {
        let release_limits = ReleaseLimits {
            at_most: RELEASED_MAX,
            within: ends_at.since(self.clock.now()).min(TURN),
        };
        if release_limits.within.is_zero() {
            return Ok(ReleaseProgress::Done);
        }
        let (Some(routes), Some(destination)) = (
            self.store.routes(organization).await?,
            self.store.destination(organization, id).await?,
        ) else {
            self.store.forget_waiting(id, u64::MAX).await?;
            return Ok(ReleaseProgress::Done);
        };
        let limits = (routes.shards, routes.settings.delivery_limits);
        let now = self.clock.now();
        let destination = match destination.state {
            DestinationState::Enabled => destination,
            DestinationState::Paused { .. } if destination.paused_until(now).is_some() => {
                return Ok(self
                    .release_early(&destination, limits, release_limits)
                    .await?);
            }
            DestinationState::Paused { .. } => match self.end_pause(destination).await? {
                Some(resumed) => resumed,
                None => return Ok(ReleaseProgress::Done),
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
                return Ok(ReleaseProgress::Done);
            }
        };
        if let Some(Reset { at, released }) = self.store.turns_reset(id).await? {
            // The position is saved, so that each delivery is released once per reset. A delivery
            // that has taken its new turn still waits, and would otherwise be released again.
            let (count, next) = self
                .dispatcher
                .release_from(&destination, limits, released, release_limits)
                .await?;
            self.store.keep_release(id, at, next).await?;
            tracing::info!(
                released = count,
                destination = %id,
                "released deliveries to take new turns under changed limits"
            );
            if next.is_some() {
                return Ok(ReleaseProgress::after(count, next));
            }
        }
        self.release_resumed(&destination, limits, release_limits)
            .await
    }

    /// Releases the deliveries that waited for a pause that is over. Stops watching the destination
    /// after a walk over all its open deliveries that released nothing.
    async fn release_resumed(
        &self,
        destination: &Destination,
        limits: (u8, Option<DeliveryLimits>),
        release_limits: ReleaseLimits,
    ) -> Result<ReleaseProgress, lambda_runtime::Error> {
        let now = self.clock.now();
        let (released, idle_since) = self
            .continue_walk(destination, limits, now, release_limits)
            .await?;
        let is_over = |since: Timestamp| since.since(destination.updated_at) > RECORDED_WITHIN;
        if idle_since.is_some_and(is_over) {
            self.store
                .unwatch_waiting(destination.id, destination.revision())
                .await?;
        }
        Ok(released)
    }

    /// Queues the deliveries that wait for a pause that ends before the next run, so that they
    /// start when it ends. A delivery that is received later waits in its queue.
    async fn release_early(
        &self,
        destination: &Destination,
        limits: (u8, Option<DeliveryLimits>),
        release_limits: ReleaseLimits,
    ) -> Result<ReleaseProgress, StoreError> {
        let now = self.clock.now();
        let next_run = now.plus(Duration::from_secs(self.interval_seconds.into()));
        let Some(until) = destination
            .paused_until(now)
            .filter(|until| *until <= next_run)
        else {
            return Ok(ReleaseProgress::Done);
        };
        let (released, _) = self
            .continue_walk(destination, limits, until, release_limits)
            .await?;
        Ok(released)
    }

    /// Releases deliveries that wait for a pause, so that they start at `at`, from where the
    /// previous run or turn stopped. Once all open deliveries have been passed, also returns when
    /// the walk began, unless it released any.
    async fn continue_walk(
        &self,
        destination: &Destination,
        limits: (u8, Option<DeliveryLimits>),
        at: Timestamp,
        release_limits: ReleaseLimits,
    ) -> Result<(ReleaseProgress, Option<Timestamp>), StoreError> {
        let (id, revision) = (destination.id, destination.revision());
        let now = self.clock.now();
        let walk = self.store.release_walk(id, revision).await?;
        let after = walk.map(|walk| walk.after);
        let (released, next) = self
            .dispatcher
            .release_paused_from(destination, limits, at, after, release_limits)
            .await?;
        if released > 0 {
            tracing::info!(released, destination = %id, %at, "released waiting deliveries");
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
            self.store.keep_release_walk(id, Some(&walk)).await?;
            return Ok((ReleaseProgress::after(released, next), None));
        }
        if walk.is_some() {
            self.store.keep_release_walk(id, None).await?;
        }
        Ok((ReleaseProgress::Done, idle_since))
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

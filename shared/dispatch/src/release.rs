//! Releases the deliveries that wait for a destination, oldest first.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::id::DeliveryId;
use domain::settle::LONGEST_QUEUED_WAIT;
use domain::waiting::{DeliveryLimits, Waiting, WaitingFor};
use futures_util::future::join_all;
use store::StoreError;

use crate::{Dispatcher, separate};

/// How many deliveries one read of the destination's index returns.
const PAGE: u32 = 100;
/// The number of deliveries that are released together. Their records are written and their tasks
/// queued before the next ones are released.
const CONCURRENCY: usize = 20;
/// The time between the release and the first turn, so that the tasks are received in time.
const FIRST_TURN_AFTER: Duration = Duration::from_secs(1);
/// The time after which a released delivery whose task was lost comes due.
const DUE_AFTER: Duration = Duration::from_secs(600);

/// The limits on how much is released in one run.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseLimits {
    /// The approximate maximum number of deliveries to release.
    pub at_most: usize,
    /// The time after the start of the run at which releasing stops.
    pub within: Duration,
}

impl Dispatcher {
    /// Releases the deliveries that wait because the destination is paused, oldest first, so that
    /// they start at `at`. If the destination or its organization (`default`) limits the starts per
    /// second, the deliveries start in turns. Returns the number of released deliveries.
    pub async fn release_paused(
        &self,
        destination: &Destination,
        limits: (u8, Option<DeliveryLimits>),
        at: Timestamp,
        release_limits: ReleaseLimits,
    ) -> Result<usize, StoreError> {
        let (released, _) = self
            .release_paused_from(destination, limits, at, None, release_limits)
            .await?;
        Ok(released)
    }

    /// Releases as [`Self::release_paused`] does, but only the deliveries after `after`. Returns the
    /// number of released deliveries and where to continue, which is `None` once the whole index
    /// has been read.
    pub async fn release_paused_from(
        &self,
        destination: &Destination,
        (shards, default): (u8, Option<DeliveryLimits>),
        at: Timestamp,
        after: Option<DeliveryId>,
        release_limits: ReleaseLimits,
    ) -> Result<(usize, Option<DeliveryId>), StoreError> {
        let is_paused = |waiting: &Waiting| waiting.reason == WaitingFor::Pause;
        let step = step(destination, default);
        self.release_where(
            destination,
            shards,
            (after, release_limits),
            (at, step),
            is_paused,
        )
        .await
    }

    /// Releases the deliveries after `after` that wait for a destination whose limits have changed,
    /// oldest first. Each takes a new turn. Returns the number of released deliveries and where to
    /// continue, which is `None` once all are released.
    pub async fn release_from(
        &self,
        destination: &Destination,
        (shards, default): (u8, Option<DeliveryLimits>),
        after: Option<DeliveryId>,
        release_limits: ReleaseLimits,
    ) -> Result<(usize, Option<DeliveryId>), StoreError> {
        let at = (self.clock.now(), step(destination, default));
        self.release_where(destination, shards, (after, release_limits), at, |_| true)
            .await
    }

    /// Releases the deliveries after `after` whose wait `is_meant` accepts, oldest first. They
    /// start at `at`, or in turns that are `step` apart. A delivery whose attempt is running no
    /// longer waits. Returns how many were released and where to continue; `None` once the whole
    /// index has been read.
    async fn release_where(
        &self,
        destination: &Destination,
        shards: u8,
        (mut after, release_limits): (Option<DeliveryId>, ReleaseLimits),
        (at, step): (Timestamp, Option<Duration>),
        is_meant: fn(&Waiting) -> bool,
    ) -> Result<(usize, Option<DeliveryId>), StoreError> {
        let (began_at, mut released) = (self.clock.now(), 0);
        loop {
            let page = self
                .store
                .open_deliveries(
                    destination.organization_id,
                    shards,
                    destination.id,
                    after,
                    PAGE,
                )
                .await?;
            let now = self.clock.now();
            let waiting: Vec<Delivery> = page
                .items
                .into_iter()
                .filter(|delivery| delivery.waiting.as_ref().is_some_and(is_meant))
                .filter(|delivery| !delivery.in_flight(now))
                .collect();
            for some in waiting.chunks(CONCURRENCY) {
                released += match step {
                    Some(step) => {
                        self.release_in_turns(some, at.plus(FIRST_TURN_AFTER), step)
                            .await?
                    }
                    None => self.release(some, at).await?,
                };
                if released >= release_limits.at_most
                    || self.clock.now().since(began_at) >= release_limits.within
                {
                    return Ok((released, some.last().map(|last| last.id)));
                }
            }
            after = page.next;
            // Pages without waiting deliveries also take time.
            if after.is_none() || self.clock.now().since(began_at) >= release_limits.within {
                return Ok((released, after));
            }
        }
    }

    /// Releases these deliveries in their order, so that they start at `at`. Returns the number of
    /// tasks that were queued. The other deliveries were changed by another writer, or no queue
    /// accepted their tasks and they come due a minute later.
    pub async fn release(&self, waiting: &[Delivery], at: Timestamp) -> Result<usize, StoreError> {
        let writes = waiting.iter().cloned().map(|before| async move {
            let Ok(after) = before.clone().release() else {
                return Ok(None);
            };
            let due_at = after
                .starts_at()
                .map_or(at, |starts_at| starts_at.max(at))
                .plus(DUE_AFTER);
            Ok::<_, StoreError>(
                self.store
                    .move_due(&before, &after, due_at)
                    .await?
                    .then_some(after),
            )
        });
        let (released, outcome) = separate(join_all(writes).await);
        let sent = self.send_or_remember(&released, at).await;
        outcome.map(|()| sent)
    }

    /// Assigns the destination's next turns, starting at `at`, to these deliveries in their order.
    /// Returns the number of released deliveries.
    async fn release_in_turns(
        &self,
        waiting: &[Delivery],
        at: Timestamp,
        step: Duration,
    ) -> Result<usize, StoreError> {
        let Some(first) = waiting.first() else {
            return Ok(0);
        };
        let turns = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let first_turn = self
            .store
            .next_turn(first.destination, at, step * turns)
            .await?;
        let now = self.clock.now();
        let writes = waiting
            .iter()
            .cloned()
            .zip(0_u32..)
            .map(|(before, position)| async move {
                let turn = first_turn.plus(step * position);
                let waiting = Waiting {
                    reason: WaitingFor::Rate,
                    expected_at: Some(turn),
                };
                let Ok(after) = before.clone().wait(waiting) else {
                    return Ok(None);
                };
                if turn.since(now) > LONGEST_QUEUED_WAIT {
                    return Ok(self
                        .store
                        .move_due(&before, &after, turn)
                        .await?
                        .then_some(1));
                }
                if !self.store.transition(&before, &after).await? {
                    return Ok(None);
                }
                Ok::<_, StoreError>(Some(
                    self.send_or_remember(std::slice::from_ref(&after), turn)
                        .await,
                ))
            });
        let (released, outcome) = separate(join_all(writes).await);
        outcome.map(|()| released.into_iter().sum())
    }
}

/// Returns the time between two turns, or `None` if starts are not limited.
fn step(destination: &Destination, default: Option<DeliveryLimits>) -> Option<Duration> {
    destination
        .limits(default)
        .max_per_second
        .map(|per_second| Duration::from_secs_f64(1.0 / per_second))
}

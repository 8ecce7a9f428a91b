//! Releases deliveries that waited for a destination, oldest first.

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
/// How many deliveries are released together. Their records are written and their tasks are queued
/// before the next deliveries are released.
const AT_ONCE: usize = 20;
/// The time between the release and the first turn, so that the tasks are received in time.
const FIRST_TURN_AFTER: Duration = Duration::from_secs(1);
/// How long after its start time a released delivery comes due if its task is lost.
const DUE_AFTER: Duration = Duration::from_secs(600);

/// Limits how much is released in one run.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// The number of released deliveries at which the run ends. The last group may exceed it.
    pub at_most: usize,
    /// The time after which no further group is released.
    pub within: Duration,
}

impl Dispatcher {
    /// Releases the deliveries that wait for a destination's pause, oldest first, to start at `at`.
    /// Where the destination or its organization (`default`) limits starts per second, they start
    /// in turns. Returns how many were released.
    pub async fn release_paused(
        &self,
        destination: &Destination,
        (shards, default): (u8, Option<DeliveryLimits>),
        at: Timestamp,
        extent: Extent,
    ) -> Result<usize, StoreError> {
        let is_paused = |waiting: &Waiting| waiting.reason == WaitingFor::Pause;
        let step = step(destination, default);
        let released = self
            .release_where(destination, shards, (None, extent), (at, step), is_paused)
            .await?;
        Ok(released.0)
    }

    /// Releases the deliveries after `after` that wait for a destination whose limits have changed,
    /// oldest first. Each takes a new turn. Returns where to continue; `None` once all are
    /// released.
    pub async fn release_from(
        &self,
        destination: &Destination,
        (shards, default): (u8, Option<DeliveryLimits>),
        after: Option<DeliveryId>,
        extent: Extent,
    ) -> Result<(usize, Option<DeliveryId>), StoreError> {
        let at = (self.clock.now(), step(destination, default));
        self.release_where(destination, shards, (after, extent), at, |_| true)
            .await
    }

    /// Releases the deliveries after `after` whose wait `is_meant` accepts, oldest first. They
    /// start at `at`, or in turns that are `step` apart. Returns how many were released and where
    /// to continue; `None` once the whole index has been read.
    async fn release_where(
        &self,
        destination: &Destination,
        shards: u8,
        (mut after, extent): (Option<DeliveryId>, Extent),
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
            let waiting: Vec<Delivery> = page
                .items
                .into_iter()
                .filter(|delivery| delivery.waiting.as_ref().is_some_and(is_meant))
                .collect();
            for some in waiting.chunks(AT_ONCE) {
                released += match step {
                    Some(step) => {
                        self.release_in_turns(some, at.plus(FIRST_TURN_AFTER), step)
                            .await?
                    }
                    None => self.release(some, at).await?,
                };
                if released >= extent.at_most || self.clock.now().since(began_at) >= extent.within {
                    return Ok((released, some.last().map(|last| last.id)));
                }
            }
            after = page.next;
            // The time is also checked here, because pages without a delivery to release are read
            // too.
            if after.is_none() || self.clock.now().since(began_at) >= extent.within {
                return Ok((released, after));
            }
        }
    }

    /// Releases these deliveries, to start at `at`. Returns how many were queued. A delivery is not
    /// counted if another writer changed it, or if no queue accepted its task; in the second case
    /// it comes due a minute after `at`.
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

    /// Gives these deliveries the destination's next turns in their order, starting at `at`.
    /// Returns how many were released, not counting those that another writer changed or whose task
    /// no queue accepted.
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
            .map(|(before, place)| async move {
                let turn = first_turn.plus(step * place);
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

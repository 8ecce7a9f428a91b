//! The sweep queues tasks for deliveries that fall due before the next sweep. Each task is delayed
//! until its delivery is due, to the second.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::waiting::WaitingFor;
use futures_util::{StreamExt, stream};
use store::{DUE_PARTITIONS, DueAfter, DueEntry, StoreError};

use crate::Monitor;

/// How far a sweep moves the due time of a delivery. If the new task is lost too, the delivery is
/// swept again at that time.
pub(crate) const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// The number of due entries that are read and queued together.
const PAGE: u32 = 100;
/// How many conditional writes run concurrently.
const CLAIMS_AT_ONCE: usize = 16;

/// The number of deliveries that were queued, and the first error about another delivery.
type Sent = (usize, Result<(), StoreError>);

impl Monitor {
    /// Queues a task for every delivery that falls due before the next sweep and of which no
    /// attempt is running.
    ///
    /// An error about one delivery does not affect the others. If the table is unavailable, the
    /// sweep ends, and the next run queues the remaining deliveries.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let until = self
            .clock
            .now()
            .plus(Duration::from_secs(u64::from(self.interval_seconds)));
        let (mut swept, mut first_error) = (0, Ok(()));
        let mut walks: Vec<(u8, Option<DueAfter>)> = (0..DUE_PARTITIONS)
            .map(|partition| (partition, None))
            .collect();
        // Reads one page of each partition in turn, so that a backlog in one does not delay the
        // others, even if the run is cut off.
        while !walks.is_empty() {
            let mut going_on = Vec::new();
            for (partition, after) in walks {
                let page = self.store.due(partition, until, after, PAGE).await?;
                going_on.extend(page.next.map(|next| (partition, Some(next))));
                let (sent, outcome) = self.sweep_page(page.items).await?;
                swept += sent;
                match outcome {
                    Err(error) if error.is_unavailable() => return Err(error),
                    outcome => first_error = first_error.and(outcome),
                }
            }
            walks = going_on;
        }
        if swept > 0 {
            tracing::info!(swept, "queued due deliveries");
        }
        first_error
    }

    /// Queues tasks for the entries of one page that are unfinished and not in flight. An untouched
    /// delivery may have a first attempt without a lease until its entry is due.
    async fn sweep_page(&self, entries: Vec<DueEntry>) -> Result<Sent, StoreError> {
        let keys: Vec<_> = entries
            .iter()
            .map(|entry| (entry.organization, entry.delivery))
            .collect();
        let now = self.clock.now();
        let deliveries = self.store.deliveries(&keys).await?;
        let due: Vec<Delivery> = entries
            .iter()
            .zip(deliveries)
            .filter_map(|(entry, delivery)| Some((entry, delivery?)))
            .filter(|(entry, delivery)| {
                let may_run =
                    delivery.in_flight(now) || (delivery.is_untouched() && now < entry.due_at);
                !delivery.status().is_finished() && !may_run
            })
            .map(|(_, delivery)| delivery)
            .collect();
        Ok(self.send_superseded(due).await)
    }

    /// Makes the earlier tasks of deliveries stale and queues new ones. No task is queued for a
    /// delivery that another writer changed first. A failed write does not affect other deliveries.
    pub(crate) async fn send_superseded(&self, deliveries: Vec<Delivery>) -> Sent {
        let now = self.clock.now();
        let claims = deliveries.into_iter().map(async |before| {
            let Ok(after) = before.clone().supersede_tasks() else {
                return Ok(None);
            };
            let won = self
                .store
                .move_due(&before, &after, due_at(&after, now).plus(SWEEP_INTERVAL))
                .await;
            if let Err(error) = &won {
                tracing::warn!(
                    error = %domain::chain(error),
                    delivery = %before.id,
                    "failed to claim a due delivery; the next run claims it"
                );
            }
            Ok(won?.then_some(after))
        });
        let claimed: Vec<Result<Option<Delivery>, StoreError>> = stream::iter(claims)
            .buffer_unordered(CLAIMS_AT_ONCE)
            .collect()
            .await;
        let (mut ours, outcome) = dispatch::separate(claimed);
        ours.sort_by_key(|delivery| due_at(delivery, now));
        let mut sent = 0;
        for same_second in
            ours.chunk_by(|a, b| due_at(a, now).as_seconds() == due_at(b, now).as_seconds())
        {
            sent += self
                .dispatcher
                .send_or_remember(same_second, due_at(&same_second[0], now))
                .await;
        }
        (sent, outcome)
    }
}

/// Returns when the delivery's next attempt is due, and no earlier than now.
fn due_at(delivery: &Delivery, now: Timestamp) -> Timestamp {
    // A delivery that waits for a pause is due when it expires.
    let is_paused = delivery
        .waiting
        .is_some_and(|waiting| waiting.reason == WaitingFor::Pause);
    let expires_at = delivery
        .message
        .expires_at
        .map(|at| at.plus(Duration::from_secs(1)));
    let starts_at = if is_paused {
        expires_at
    } else {
        delivery.starts_at()
    };
    starts_at.map_or(now, |at| at.max(now))
}

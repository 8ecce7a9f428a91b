//! The sweep queues tasks for deliveries that fall due before the next sweep, delayed to the
//! second.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::id::DeliveryId;
use domain::waiting::WaitingFor;
use futures_util::{StreamExt, stream};
use store::{DUE_PARTITIONS, DueEntry, StoreError};

use crate::Monitor;

/// How far a sweep moves a delivery's due time. If the new task is lost too, the delivery is swept
/// again then.
pub(crate) const SWEPT_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// Due entries that are read and queued together.
const PAGE: u32 = 100;
/// How many conditional writes run concurrently.
const CLAIMS_AT_ONCE: usize = 16;

/// The last entry of a page.
type Last = (DeliveryId, Timestamp);

impl Monitor {
    /// Queues a task for every delivery that falls due before the next sweep and that no worker
    /// runs.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let until = self.clock.now().plus(Duration::from_secs(u64::from(self.interval_seconds)));
        let mut swept = 0;
        let mut walks: Vec<(u8, Option<Last>)> = (0..DUE_PARTITIONS).map(|partition| (partition, None)).collect();
        // Reads one page of each partition in turn, so that a backlog in one does not delay the
        // others, even if the run is cut off.
        while !walks.is_empty() {
            let mut going_on = Vec::new();
            for (partition, last) in walks {
                let entries = self.store.due(partition, until, PAGE).await?;
                // Entries that cannot be moved, because a worker runs them, stay at the front. A
                // page that repeats ends the walk.
                let ends = entries.last().map(|entry| (entry.delivery, entry.due_at));
                if ends.is_none() || ends == last {
                    continue;
                }
                if entries.len() == PAGE as usize {
                    going_on.push((partition, ends));
                }
                swept += self.sweep_page(entries).await?;
            }
            walks = going_on;
        }
        if swept > 0 {
            tracing::info!(swept, "queued due deliveries");
        }
        Ok(())
    }

    async fn sweep_page(&self, entries: Vec<DueEntry>) -> Result<usize, StoreError> {
        let keys: Vec<_> = entries.iter().map(|entry| (entry.organization, entry.delivery)).collect();
        let now = self.clock.now();
        let due = self.store.deliveries(&keys).await?.into_iter().flatten();
        let due: Vec<Delivery> = due.filter(|delivery| !delivery.status().is_finished() && !delivery.in_flight(now)).collect();
        self.send_superseded(due).await
    }

    /// Makes the earlier tasks of deliveries stale and queues new ones. Nothing is queued for a
    /// delivery whose conditional write is lost.
    pub(crate) async fn send_superseded(&self, deliveries: Vec<Delivery>) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let claims = deliveries.into_iter().map(async |before| {
            let Ok(after) = before.clone().supersede_tasks() else { return Ok(None) };
            let won = self.store.move_due(&before, &after, due_at(&after, now).plus(SWEPT_AGAIN_AFTER)).await?;
            Ok(won.then_some(after))
        });
        let claimed: Vec<Result<Option<Delivery>, StoreError>> = stream::iter(claims).buffer_unordered(CLAIMS_AT_ONCE).collect().await;
        let mut ours = Vec::new();
        for claim in claimed {
            ours.extend(claim?);
        }
        ours.sort_by_key(|delivery| due_at(delivery, now));
        let sent = ours.len();
        for same_second in ours.chunk_by(|a, b| due_at(a, now).as_seconds() == due_at(b, now).as_seconds()) {
            self.dispatcher.send(same_second, due_at(&same_second[0], now)).await;
        }
        Ok(sent)
    }
}

/// Returns when the delivery's next attempt is due, and no earlier than now.
fn due_at(delivery: &Delivery, now: Timestamp) -> Timestamp {
    // A delivery that waits for a pause is due when it expires.
    let is_paused = delivery.waiting.is_some_and(|waiting| waiting.reason == WaitingFor::Pause);
    let expires_at = delivery.message.expires_at.map(|at| at.plus(Duration::from_secs(1)));
    let starts_at = if is_paused { expires_at } else { delivery.starts_at() };
    starts_at.map_or(now, |at| at.max(now))
}

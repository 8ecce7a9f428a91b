//! Release: what waited for a destination may start, oldest first.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::id::DeliveryId;
use domain::waiting::{Waiting, WaitingFor};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use store::StoreError;

use crate::Dispatcher;

const PAGE: u32 = 100;
/// Conditional writes under way at once.
const WRITES_AT_ONCE: usize = 16;
/// Tasks sent in one call, in their order.
const SENT_AT_ONCE: usize = 10;
/// When the task of a released delivery is lost, the due index brings it back after this long.
const DUE_AFTER: Duration = Duration::from_secs(600);

impl Dispatcher {
    /// Releases what waits for a destination's pause, to start at `at`: oldest first, and about `at_most`. Returns how many were released.
    pub async fn release_paused(&self, destination: &Destination, shards: u8, at: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        let is_paused = |waiting: &Waiting| waiting.reason == WaitingFor::Pause;
        let (released, _) = self.release_where(destination, shards, (None, at_most), at, is_paused).await?;
        Ok(released)
    }

    /// Releases whatever waits for a destination whose limits have changed, oldest first, those after `after` and about `at_most`: each takes
    /// another turn. Returns where to go on; `None` once all are released.
    pub async fn release_from(
        &self,
        destination: &Destination,
        shards: u8,
        after: Option<DeliveryId>,
        at_most: usize,
    ) -> Result<(usize, Option<DeliveryId>), StoreError> {
        self.release_where(destination, shards, (after, at_most), self.clock.now(), |_| true).await
    }

    async fn release_where(
        &self,
        destination: &Destination,
        shards: u8,
        (mut after, at_most): (Option<DeliveryId>, usize),
        start_at: Timestamp,
        is_meant: fn(&Waiting) -> bool,
    ) -> Result<(usize, Option<DeliveryId>), StoreError> {
        let mut released = 0;
        loop {
            let page = self.store.open_deliveries(destination.organization_id, shards, destination.id, after, PAGE).await?;
            let waiting: Vec<Delivery> =
                page.items.into_iter().filter(|delivery| delivery.waiting.as_ref().is_some_and(is_meant)).collect();
            released += self.release(&waiting, start_at).await?;
            after = page.next;
            if after.is_none() || released >= at_most {
                return Ok((released, after));
            }
        }
    }

    /// Releases these deliveries in their order, to start at `at`. Returns how many were released: another writer has moved the rest on.
    pub async fn release(&self, waiting: &[Delivery], at: Timestamp) -> Result<usize, StoreError> {
        let writes = waiting.iter().cloned().map(|before| async move {
            let after = before.clone().released();
            let due_at = after.starts_at().map_or(at, |starts_at| starts_at.max(at)).plus(DUE_AFTER);
            Ok::<_, StoreError>(self.store.move_due(&before, &after, due_at).await?.then_some(after))
        });
        let released: Vec<Option<Delivery>> = stream::iter(writes).buffered(WRITES_AT_ONCE).try_collect().await?;
        let released: Vec<Delivery> = released.into_iter().flatten().collect();
        for some in released.chunks(SENT_AT_ONCE) {
            self.send(some, at).await;
        }
        Ok(released.len())
    }
}

//! Skips deliveries that wait for a destination that takes no more deliveries, instead of letting
//! them wait for their time first.

use domain::delivery::{Delivery, SkipReason};
use domain::destination::Destination;
use futures_util::{StreamExt as _, stream};
use store::StoreError;

use crate::Dispatcher;

const PAGE: u32 = 100;
/// How many conditional writes run concurrently.
const WRITES_AT_ONCE: usize = 16;

impl Dispatcher {
    /// Skips about `at_most` deliveries to this destination that will be retried or are waiting.
    /// Returns how many were found. Tests are not skipped at a disabled destination. Queued
    /// deliveries are skipped by the worker.
    pub async fn skip_retrying(
        &self,
        destination: &Destination,
        shards: u8,
        reason: SkipReason,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let (mut after, mut found) = (None, 0);
        loop {
            let page = self.store.open_deliveries(destination.organization_id, shards, destination.id, after, PAGE).await?;
            // Read after the list, so that no delivery is skipped that was retried after the
            // destination was enabled again.
            let stands = self.store.destination(destination.organization_id, destination.id).await?;
            if stands.is_some_and(|stands| stands.managed_by != destination.managed_by) {
                return Ok(found);
            }
            let tests_go_on = |delivery: &Delivery| !(delivery.message.test && reason == SkipReason::DestinationDisabled);
            let skips = page.items.into_iter().filter(tests_go_on).map(|before| async move {
                let now = self.clock.now();
                let Ok(after) = before.clone().skip(reason, now) else { return Ok(None) };
                // A lost race does not matter: another writer moved the delivery on, or the worker
                // skips it.
                Ok(self.store.transition(&before, &after).await?.then_some(after))
            });
            let written: Vec<Result<Option<Delivery>, StoreError>> = stream::iter(skips).buffer_unordered(WRITES_AT_ONCE).collect().await;
            let written = written.into_iter().collect::<Result<Vec<Option<Delivery>>, StoreError>>()?;
            found += written.len();
            let skipped: Vec<Delivery> = written.into_iter().flatten().collect();
            skipped.iter().for_each(|delivery| telemetry::metrics::delivery_ended(delivery.destination_type, delivery.status().as_str()));
            self.have_told(&skipped).await?;
            after = page.next;
            if after.is_none() || found >= at_most {
                return Ok(found);
            }
        }
    }
}

//! Skips deliveries that wait for a destination that no longer accepts deliveries, so that they do
//! not wait until they are due.

use domain::delivery::{Delivery, SkipReason};
use domain::destination::Destination;
use futures_util::{StreamExt as _, stream};

use crate::{Dispatcher, EndError};

const PAGE: u32 = 100;
/// The number of conditional writes that run concurrently.
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
    ) -> Result<usize, EndError> {
        let routes = self.store.routes(destination.organization_id).await?;
        let (mut after, mut found) = (None, 0);
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
            // The destination is read after the list, so that no delivery is skipped that was
            // retried after the destination was enabled again.
            let stands = self
                .store
                .destination(destination.organization_id, destination.id)
                .await?;
            if stands.is_some_and(|stands| stands.managed_by != destination.managed_by) {
                return Ok(found);
            }
            let tests_go_on = |delivery: &Delivery| {
                !(delivery.message.test && reason == SkipReason::DestinationDisabled)
            };
            let routes = routes.as_ref();
            let skips = page
                .items
                .into_iter()
                .filter(tests_go_on)
                .map(|before| async move {
                    let now = self.clock.now();
                    let Ok(after) = before.clone().skip(reason, now) else {
                        return Ok(());
                    };
                    // A lost race does not matter: another writer changed the delivery, or the
                    // worker skips it.
                    self.end_under(routes, &before, &after).await.map(drop)
                });
            // All writes are attempted, because they are independent of each other.
            let written: Vec<Result<(), EndError>> = stream::iter(skips)
                .buffer_unordered(WRITES_AT_ONCE)
                .collect()
                .await;
            found += written.len();
            written.into_iter().collect::<Result<(), EndError>>()?;
            after = page.next;
            if after.is_none() || found >= at_most {
                return Ok(found);
            }
        }
    }
}

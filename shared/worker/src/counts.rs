//! What a batch's attempts amount to: one update of the statistics for each destination.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use domain::Timestamp;
use domain::attempt::Attempt;
use domain::delivery::Delivery;
use domain::id::DestinationId;
use domain::statistics::Tally;
use futures_util::future::join_all;
use store::Store;

/// The attempts of a batch, by destination.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<DestinationId, Tally>>);

impl Counts {
    /// Counts an attempt that was recorded; one of a test is in no statistic.
    pub(crate) fn add(&self, delivery: &Delivery, attempt: &Attempt) {
        if delivery.message.test {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = attempt.failure.as_ref().map(|failure| failure.reason);
        counts.entry(delivery.destination).or_default().add(delivery.message.event_type.as_str(), reason, attempt.duration_ms);
    }

    /// Has an attempt of this batch failed there?
    pub(crate) fn has_failed(&self, destination: DestinationId) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&destination).is_some_and(|tally| tally.failed_attempts() > 0)
    }

    /// Adds them to the statistics. What could not be added is missing there: nothing is decided by them.
    pub(crate) async fn write(&self, store: &Store, now: Timestamp) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let writes = counts.iter().map(async |(destination, tally)| {
            if let Err(error) = store.add_statistics(*destination, now, tally).await {
                tracing::warn!(%error, %destination, "attempts are missing in the statistics");
            }
        });
        join_all(writes).await;
    }
}

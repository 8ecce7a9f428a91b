//! What a batch's attempts amount to: one update of the statistics for each destination.

use std::collections::{BTreeMap, BTreeSet};
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
pub(crate) struct Counts {
    tallies: Mutex<BTreeMap<DestinationId, Tally>>,
    /// Where attempts have failed, noted before they are recorded: the order in which records that share a call are
    /// answered is not the order in which the attempts ended.
    failing: Mutex<BTreeSet<DestinationId>>,
}

impl Counts {
    /// Counts an attempt that was recorded; one of a test is in no statistic.
    pub(crate) fn add(&self, delivery: &Delivery, attempt: &Attempt) {
        if delivery.message.test {
            return;
        }
        let mut counts = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = attempt.failure.as_ref().map(|failure| failure.reason);
        counts.entry(delivery.destination).or_default().add(delivery.message.event_type.as_str(), reason, attempt.duration_ms);
    }

    /// Notes that an attempt failed, which is about to be recorded.
    pub(crate) fn note_failure(&self, destination: DestinationId) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(destination);
    }

    /// Has an attempt of this batch failed there?
    pub(crate) fn has_failed(&self, destination: DestinationId) -> bool {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).contains(&destination)
    }

    /// Adds them to the statistics. What could not be added is missing there: nothing is decided by them.
    pub(crate) async fn write(&self, store: &Store, now: Timestamp) {
        let counts = std::mem::take(&mut *self.tallies.lock().unwrap_or_else(PoisonError::into_inner));
        let writes = counts.iter().map(async |(destination, tally)| {
            if let Err(error) = store.add_statistics(*destination, now, tally).await {
                tracing::warn!(error = %domain::chain(&error), %destination, "failed to add attempts to the statistics, which miss them");
            }
        });
        join_all(writes).await;
    }
}

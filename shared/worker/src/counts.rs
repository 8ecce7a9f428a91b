//! Sums up the attempts of a batch, so that each destination is updated once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use domain::Timestamp;
use domain::attempt::Attempt;
use domain::delivery::Delivery;
use domain::failure_rate::minute_of;
use domain::id::DestinationId;
use domain::statistics::{Counted, Tally};

/// The attempts of a batch, by destination.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    tallies: Mutex<BTreeMap<DestinationId, (Tally, Counted)>>,
    /// The destinations where attempts have failed, recorded before the attempts are stored: the
    /// answers to a shared call do not arrive in the order in which the attempts ended.
    failing: Mutex<BTreeSet<DestinationId>>,
    /// The destinations where a success of this batch is noted in the health.
    noted: Mutex<BTreeSet<DestinationId>>,
}

impl Counts {
    /// Counts an attempt that was stored. Attempts of tests are not counted. If `rated` is `true`,
    /// the attempt also counts in the failure rate.
    pub(crate) fn add(&self, delivery: &Delivery, attempt: &Attempt, rated: bool) {
        if delivery.message.test {
            return;
        }
        let mut counts = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = attempt.failure.as_ref().map(|failure| failure.reason);
        let (tally, in_rate) = counts.entry(delivery.destination).or_default();
        tally.add(
            delivery.message.event_type.as_str(),
            reason,
            attempt.duration_ms,
        );
        if rated {
            in_rate.succeeded += u64::from(reason.is_none());
            in_rate.failed += u64::from(reason.is_some());
        }
    }

    /// Records a failed attempt that is about to be stored.
    pub(crate) fn note_failure(&self, destination: DestinationId) {
        self.failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(destination);
    }

    /// Returns whether an attempt of this batch failed at this destination.
    pub(crate) fn has_failed(&self, destination: DestinationId) -> bool {
        self.failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&destination)
    }

    /// Records a success that is about to be noted in its destination's health. Returns whether it
    /// is the first of this batch.
    pub(crate) fn note_success(&self, destination: DestinationId) -> bool {
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(destination)
    }

    /// Takes the attempts of the batch, which ended at `now`.
    pub(crate) fn take(&self, now: Timestamp) -> Vec<(DestinationId, Tally)> {
        let counts =
            std::mem::take(&mut *self.tallies.lock().unwrap_or_else(PoisonError::into_inner));
        counts
            .into_iter()
            .map(|(destination, (mut tally, in_rate))| {
                if in_rate != Counted::default() {
                    tally.minutes.insert(minute_of(now), in_rate);
                }
                (destination, tally)
            })
            .collect()
    }
}

//! Attempts that are added to the statistics together with those of the next batches, which saves
//! most of these writes while batches are full (decision 57).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::id::DestinationId;
use domain::statistics::{Tally, hour_of};
use futures_util::future::join_all;
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The number of tasks in a full batch.
const FULL_BATCH: usize = 10;
/// Attempts are added to the statistics when there are this many. Together with those of one more
/// batch they have no more event types than the table counts by name in an hour.
const PENDING_MAX: u64 = 30;
/// The longest time until attempts are added to the statistics, if the process runs.
const PENDING_FOR: Duration = Duration::from_secs(1);

/// The attempts of each destination, by the hour in which they are counted.
type Tallies = BTreeMap<(DestinationId, Timestamp), Tally>;

/// The attempts of earlier batches that are not in the statistics yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PendingStatistics {
    state: Arc<Mutex<State>>,
    /// Waits for the last write when the process stops.
    background: TaskTracker,
}

#[derive(Debug, Default)]
struct State {
    tallies: Tallies,
    attempts: u64,
    /// When the last batch ended, if it was full.
    full_at: Option<Timestamp>,
    /// Whether a timer is running, after which the attempts are written.
    is_timed: bool,
}

/// What happens to the attempts of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Counting {
    /// These attempts are written now.
    Now(Tallies),
    /// A later batch or a timer writes them.
    Later {
        /// Whether the timer must be started.
        start_timer: bool,
    },
}

impl PendingStatistics {
    /// Creates an empty collection, whose timer runs as part of `background`.
    #[must_use]
    pub fn new(background: TaskTracker) -> Self {
        Self {
            background,
            ..Self::default()
        }
    }

    /// Adds the attempts of a batch of `tasks` tasks to the statistics: now, or together with those
    /// of the next batches. `shutdown` ends the waiting.
    pub(crate) async fn count(
        &self,
        batch: Vec<(DestinationId, Tally)>,
        tasks: usize,
        now: Timestamp,
        store: &Store,
        shutdown: &CancellationToken,
    ) {
        match self.add(batch, tasks, now) {
            Counting::Now(tallies) => write(store, tallies).await,
            Counting::Later { start_timer: true } => {
                let (pending_statistics, store, shutdown) =
                    (self.clone(), store.clone(), shutdown.clone());
                self.background.spawn(async move {
                    tokio::select! {
                        () = tokio::time::sleep(PENDING_FOR) => {}
                        () = shutdown.cancelled() => {}
                    }
                    write(&store, pending_statistics.after_timer()).await;
                });
            }
            Counting::Later { start_timer: false } => {}
        }
    }

    /// Adds the attempts of a batch that ended at `now`. They are carried while one full batch
    /// follows another. Those that count in a failure rate never are.
    fn add(&self, batch: Vec<(DestinationId, Tally)>, tasks: usize, now: Timestamp) -> Counting {
        let mut state = self.lock();
        let is_full = tasks >= FULL_BATCH;
        let follows = state
            .full_at
            .is_some_and(|before| now.since(before) < PENDING_FOR);
        state.full_at = is_full.then_some(now);
        let is_rated = batch.iter().any(|(_, tally)| !tally.minutes.is_empty());
        for (destination, tally) in batch {
            state.attempts += tally.succeeded + tally.failed_attempts();
            let hour = (destination, hour_of(now));
            state.tallies.entry(hour).or_default().merge(&tally);
        }
        if !is_full || !follows || is_rated || state.attempts >= PENDING_MAX {
            return Counting::Now(state.take());
        }
        Counting::Later {
            start_timer: !std::mem::replace(&mut state.is_timed, true),
        }
    }

    fn after_timer(&self) -> Tallies {
        let mut state = self.lock();
        state.is_timed = false;
        state.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Tallies {
        self.attempts = 0;
        std::mem::take(&mut self.tallies)
    }
}

/// Adds attempts to the statistics. If a write fails, the attempts of that destination are missing
/// in its statistics and in its failure rate.
async fn write(store: &Store, tallies: Tallies) {
    let writes = tallies
        .into_iter()
        .map(async |((destination, hour), tally)| {
            if let Err(error) = store.add_statistics(destination, hour, &tally).await {
                tracing::warn!(
                    error = %domain::chain(&error),
                    %destination,
                    "failed to add attempts to the statistics; they are not counted"
                );
            }
        });
    join_all(writes).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::Ulid;
    use domain::statistics::Counted;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000 + millis)
    }

    fn destination() -> DestinationId {
        Ulid::first_at(at(0)).into()
    }

    fn attempts(number: u64) -> Vec<(DestinationId, Tally)> {
        let tally = Tally {
            succeeded: number,
            ..Tally::default()
        };
        vec![(destination(), tally)]
    }

    /// Returns how many attempts are written now.
    fn written(counting: &Counting) -> u64 {
        match counting {
            Counting::Now(tallies) => tallies.values().map(|tally| tally.succeeded).sum(),
            Counting::Later { .. } => 0,
        }
    }

    #[test]
    fn full_batches_that_follow_one_another_are_written_together() {
        let pending_statistics = PendingStatistics::default();
        let each: Vec<u64> = (0..7)
            .map(|batch| written(&pending_statistics.add(attempts(10), 10, at(batch * 100))))
            .collect();
        assert_eq!(each, [10, 0, 0, 30, 0, 0, 30]);
    }

    #[test]
    fn a_batch_that_is_not_full_or_comes_later_is_written_with_all_before() {
        for (tasks, later) in [(9, 100), (10, 1000)] {
            let pending_statistics = PendingStatistics::default();
            assert_eq!(
                written(&pending_statistics.add(attempts(10), 10, at(0))),
                10
            );
            assert_eq!(written(&pending_statistics.add(attempts(10), 10, at(1))), 0);
            let last = pending_statistics.add(attempts(4), tasks, at(1 + later));
            assert_eq!(written(&last), 14, "{tasks} tasks after {later} ms");
        }
    }

    #[test]
    fn attempts_that_count_in_a_failure_rate_are_not_carried() {
        let pending_statistics = PendingStatistics::default();
        pending_statistics.add(attempts(10), 10, at(0));
        let mut rated = attempts(10);
        let minute = Counted {
            succeeded: 10,
            failed: 0,
        };
        rated[0].1.minutes.insert(7, minute);
        assert_eq!(written(&pending_statistics.add(rated, 10, at(1))), 10);
    }

    #[test]
    fn one_timer_runs_while_attempts_are_carried() {
        let pending_statistics = PendingStatistics::default();
        pending_statistics.add(attempts(10), 10, at(0));
        let later = |start_timer| Counting::Later { start_timer };
        assert_eq!(pending_statistics.add(attempts(10), 10, at(1)), later(true));
        assert_eq!(
            pending_statistics.add(attempts(10), 10, at(2)),
            later(false)
        );
        assert_eq!(
            written(&Counting::Now(pending_statistics.after_timer())),
            20
        );
        assert_eq!(pending_statistics.add(attempts(10), 10, at(3)), later(true));
    }
}

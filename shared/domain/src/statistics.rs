//! Statistics of attempts: counters and a histogram of durations. A worker adds up a batch, the
//! table stores the sums of each hour, and a read adds up any period.

use std::collections::BTreeMap;

use crate::{Reason, Timestamp};

/// The number of histogram buckets per doubling of a duration. A percentile is accurate to a fifth.
const BUCKETS_PER_DOUBLING: f64 = 4.0;
/// The length of an hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// The sums of several attempts. Tests and checks are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of attempts that succeeded.
    pub succeeded: u64,
    /// The number of attempts that failed, by failure category.
    pub failed: BTreeMap<Reason, u64>,
    /// The durations of the attempts that succeeded.
    pub latency: Latencies,
    /// The numbers of attempts by event type.
    pub event_types: BTreeMap<String, Counted>,
    /// The numbers of attempts that count towards a failure rate, by the minute of the hour from 0
    /// to 59. They are only recorded for destinations whose policy has a failure rate.
    pub minutes: BTreeMap<u8, Counted>,
}

/// The numbers of attempts of one event type or minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The number of attempts that succeeded.
    pub succeeded: u64,
    /// The number of attempts that failed.
    pub failed: u64,
}

/// A histogram of durations. The key is the number of a bucket; the width of the buckets grows
/// exponentially.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(pub BTreeMap<u16, u64>);

impl Tally {
    /// Adds one attempt. `failure` is its failure category, or `None` if it succeeded.
    pub fn add(&mut self, event_type: &str, failure: Option<Reason>, duration_ms: u64) {
        let counted = self.event_types.entry(event_type.to_owned()).or_default();
        match failure {
            None => {
                self.succeeded += 1;
                counted.succeeded += 1;
                self.latency.add(duration_ms);
            }
            Some(reason) => {
                *self.failed.entry(reason).or_default() += 1;
                counted.failed += 1;
            }
        }
    }

    /// Adds the counts of another tally.
    pub fn merge(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        for (reason, count) in &other.failed {
            *self.failed.entry(*reason).or_default() += count;
        }
        for (bucket, count) in &other.latency.0 {
            *self.latency.0.entry(*bucket).or_default() += count;
        }
        for (event_type, counted) in &other.event_types {
            let sum = self.event_types.entry(event_type.clone()).or_default();
            sum.succeeded += counted.succeeded;
            sum.failed += counted.failed;
        }
        for (minute, counted) in &other.minutes {
            let sum = self.minutes.entry(*minute).or_default();
            sum.succeeded += counted.succeeded;
            sum.failed += counted.failed;
        }
    }

    /// Returns the number of attempts that failed.
    #[must_use]
    pub fn failed_attempts(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Returns the share of attempts that succeeded, from 0 to 1; `None` without attempts.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        success_rate(self.succeeded, self.failed_attempts())
    }
}

/// Returns the share of attempts that succeeded, from 0 to 1 and rounded to four decimal places;
/// `None` without attempts.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of attempts are far below 2^52"
)]
pub fn success_rate(succeeded: u64, failed: u64) -> Option<f64> {
    let all = succeeded + failed;
    (all > 0).then(|| (succeeded as f64 / all as f64 * 10_000.0).round() / 10_000.0)
}

impl Latencies {
    /// Adds one duration, in milliseconds.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a logarithm of 64 bits is small and not negative"
    )]
    pub fn add(&mut self, duration_ms: u64) {
        let bucket = ((duration_ms as f64 + 1.0).log2() * BUCKETS_PER_DOUBLING) as u16;
        *self.0.entry(bucket).or_default() += 1;
    }

    /// Returns the duration that the given share of all durations did not exceed, in milliseconds,
    /// rounded up to the end of its bucket. Returns `None` without durations.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and durations are far below 2^52"
    )]
    pub fn percentile(&self, share: f64) -> Option<u64> {
        let all: u64 = self.0.values().sum();
        let rank = (all as f64 * share).ceil().max(1.0) as u64;
        let mut passed = 0;
        let bucket = self.0.iter().find(|(_, count)| {
            passed += **count;
            passed >= rank
        });
        bucket.map(|(bucket, _)| {
            ((f64::from(*bucket) + 1.0) / BUCKETS_PER_DOUBLING)
                .exp2()
                .ceil() as u64
                - 1
        })
    }
}

/// Returns the beginning of the hour in UTC.
#[must_use]
pub fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() / HOUR_MS * HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_fifth() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(0.5), None);
        for duration in 1..=1000 {
            latencies.add(duration);
        }
        for (share, exact) in [(0.5, 500), (0.95, 950), (0.99, 990)] {
            let found = latencies.percentile(share).unwrap();
            assert!(
                (exact..=exact * 12 / 10).contains(&found),
                "{share}: {found}"
            );
        }
    }

    #[test]
    fn tallies_add_up() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.add("a.b", None, 20);
        other.add("a.b", Some(Reason::Timeout), 30_000);
        other.add("c", None, 40);
        one.merge(&other);
        assert_eq!(
            (one.succeeded, one.failed_attempts(), one.success_rate()),
            (2, 1, Some(0.6667))
        );
        assert_eq!(
            one.event_types["a.b"],
            Counted {
                succeeded: 1,
                failed: 1
            }
        );
    }
}

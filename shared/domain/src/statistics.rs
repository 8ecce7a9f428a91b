//! What attempts amount to: counters and a histogram of durations. A worker adds up a batch, the
//! table an hour, a read any stretch of time.

use std::collections::BTreeMap;

use crate::{Reason, Timestamp};

/// Buckets for each doubling of a duration: a percentile is right to a fifth.
const BUCKETS_PER_DOUBLING: f64 = 4.0;
/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// Attempts, added up. Tests and checks are in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed, by why.
    pub failed: BTreeMap<Reason, u64>,
    /// How long those took that succeeded.
    pub latency: Latencies,
    /// By the event's type.
    pub event_types: BTreeMap<String, Counted>,
    /// By the minute of the hour, 0 to 59: attempts that count towards a failure rate. Only
    /// destinations whose policy has a rate have any.
    pub minutes: BTreeMap<u8, Counted>,
}

/// Attempts of one event type or minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// That succeeded.
    pub succeeded: u64,
    /// That failed.
    pub failed: u64,
}

/// Durations by buckets that grow with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(pub BTreeMap<u16, u64>);

impl Tally {
    /// Adds one attempt: `failure` is why it failed.
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

    /// Adds what another one counted.
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

    /// Attempts that failed.
    #[must_use]
    pub fn failed_attempts(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The share of attempts that succeeded; `None` without any.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        success_rate(self.succeeded, self.failed_attempts())
    }
}

/// The share of attempts that succeeded, to four digits; `None` without any.
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
    /// Adds one duration.
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

    /// The duration that this share of all did not exceed, in milliseconds, rounded up to its
    /// bucket's end.
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

/// The beginning of the hour, in UTC.
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

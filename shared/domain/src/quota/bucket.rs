//! A token bucket, represented by the time at which it is full again (the generic cell rate
//! algorithm, ITU-T I.371).

use std::time::Duration;

use crate::Timestamp;

/// The rate at which a bucket fills, and its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u64,
    burst: u64,
}

impl Rate {
    /// Creates a rate of `per_second` tokens per second; a full bucket holds as many tokens as flow
    /// in during `burst_factor` seconds.
    #[must_use]
    pub fn new(per_second: u32, burst_factor: u32) -> Self {
        let per_second = u64::from(per_second.max(1));
        Self {
            per_second,
            burst: per_second * u64::from(burst_factor),
        }
    }

    /// Returns the capacity, which is the largest number of tokens that can be taken at once.
    #[must_use]
    pub fn burst(self) -> u64 {
        self.burst
    }

    /// Returns the time in which `tokens` flow into the bucket, in microseconds.
    fn micros(self, tokens: u64) -> i64 {
        i64::try_from(tokens.saturating_mul(1_000_000) / self.per_second).unwrap_or(i64::MAX / 4)
    }
}

/// A bucket of tokens, which is full at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When the bucket is full again, in microseconds since the epoch.
    full_at: i64,
}

impl Bucket {
    /// Takes all of the tokens or none. The error is the time until the bucket holds enough tokens.
    pub fn take(&mut self, rate: Rate, tokens: u64, now: Timestamp) -> Result<(), Duration> {
        let now = micros(now);
        let full_at = self.full_at.max(now) + rate.micros(tokens);
        let late = full_at - now - rate.micros(rate.burst);
        if late > 0 {
            return Err(Duration::from_micros(late.unsigned_abs()));
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Takes the tokens that other processes took since `since`. The bucket may go into debt by at
    /// most one capacity, so that the processes together keep to the rate.
    pub fn charge(&mut self, rate: Rate, tokens: u64, since: Timestamp, now: Timestamp) {
        let charged = self
            .full_at
            .max(micros(since))
            .saturating_add(rate.micros(tokens));
        self.full_at = charged
            .min(micros(now) + 2 * rate.micros(rate.burst))
            .max(self.full_at);
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_millis() * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000 + millis)
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_its_rate() {
        let (rate, mut bucket) = (Rate::new(5, 4), Bucket::default());
        assert_eq!(
            (0..25)
                .filter(|_| bucket.take(rate, 1, at(0)).is_ok())
                .count(),
            20
        );
        assert_eq!(bucket.take(rate, 1, at(0)), Err(Duration::from_millis(200)));
        assert_eq!(
            (0..1000)
                .filter(|n| bucket.take(rate, 1, at(*n)).is_ok())
                .count(),
            4,
            "one each 200 ms"
        );
    }

    #[test]
    fn either_all_tokens_are_taken_or_nothing() {
        let (rate, mut bucket) = (Rate::new(10, 20), Bucket::default());
        assert_eq!(bucket.take(rate, 150, at(0)), Ok(()));
        assert_eq!(bucket.take(rate, 60, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(rate, 50, at(0)), Ok(()));
        assert!(
            bucket.take(rate, 201, at(3_600_000)).is_err(),
            "more than it ever holds"
        );
    }

    #[test]
    fn tokens_that_other_instances_took_count_from_the_time_they_were_taken() {
        let rate = Rate::new(10, 4);
        let mut bucket = Bucket::default();
        bucket.charge(rate, 40, at(-1000), at(0));
        assert_eq!(
            (0..25)
                .filter(|_| bucket.take(rate, 1, at(0)).is_ok())
                .count(),
            10,
            "a second of filling since"
        );
        let mut empty = Bucket::default();
        empty.charge(rate, 1_000_000, at(0), at(0));
        assert_eq!(
            empty.take(rate, 1, at(0)),
            Err(Duration::from_millis(4100)),
            "a debt of a burst at most"
        );
    }
}

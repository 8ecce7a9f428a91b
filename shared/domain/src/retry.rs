//! How often and how patiently a destination is tried again (R3).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::input::Fields;

/// No wait between attempts, asked for or computed, is longer: 12 h.
pub const LONGEST_WAIT: Duration = Duration::from_secs(43_200);

/// A destination's retry policy; the defaults are 1, 2, 4, 8, 16 s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt, 0–20.
    pub max_retries: u32,
    /// The first wait, in seconds.
    pub initial_seconds: u32,
    /// What each further wait is multiplied by.
    pub multiplier: f64,
    /// The longest computed wait, in seconds, 1–43,200.
    pub max_seconds: u32,
    /// The share of a wait that chance may add, 0–1.
    pub jitter: f64,
    /// Whether 3xx, 401, 403 and other 4xx answers are tried again: a receiver's bad deploy must not lose data.
    pub retry_client_errors: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 5, initial_seconds: 1, multiplier: 2.0, max_seconds: 3600, jitter: 0.1, retry_client_errors: true }
    }
}

impl RetryPolicy {
    /// One attempt and no more: what a test delivery gets.
    #[must_use]
    pub fn single_attempt(&self) -> Self {
        Self { max_retries: 0, ..self.clone() }
    }

    /// The wait before retry `k` (from 1): initial·multiplier^(k−1), capped, plus up to `jitter` of it as `chance` in [0, 1) says.
    #[must_use]
    pub fn wait_before(&self, k: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(k.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = (f64::from(self.initial_seconds) * self.multiplier.powi(exponent)).min(f64::from(self.max_seconds));
        Duration::from_secs_f64((seconds * (1.0 + self.jitter * chance)).min(LONGEST_WAIT.as_secs_f64()))
    }

    /// Reads a policy; members that are absent keep `self`'s values.
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        let integer =
            |fields: &mut Fields<'_>, name, range, old: u32| fields.integer(name, range).and_then(|n| u32::try_from(n).ok()).unwrap_or(old);
        Self {
            max_retries: integer(fields, "max_retries", 0..=20, self.max_retries),
            initial_seconds: integer(fields, "initial_seconds", 1..=43_200, self.initial_seconds),
            multiplier: fields.number("multiplier", 1.0..=10.0).unwrap_or(self.multiplier),
            max_seconds: integer(fields, "max_seconds", 1..=43_200, self.max_seconds),
            jitter: fields.number("jitter", 0.0..=1.0).unwrap_or(self.jitter),
            retry_client_errors: fields.boolean("retry_client_errors").unwrap_or(self.retry_client_errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second() {
        let policy = RetryPolicy::default();
        let waits: Vec<u64> = (1..=5).map(|k| policy.wait_before(k, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16]);
        assert_eq!(policy.wait_before(30, 0.0), Duration::from_secs(3600));
    }

    #[test]
    fn jitter_only_lengthens() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait_before(1, 0.5), Duration::from_millis(1050));
    }
}

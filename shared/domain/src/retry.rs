//! How often and how patiently a destination is tried again (R3).

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::input::Fields;

/// No wait between attempts, asked for or computed, is longer: 12 h.
pub const LONGEST_WAIT: Duration = Duration::from_secs(43_200);

/// The wait that a `Retry-After` header asks for, at most [`LONGEST_WAIT`]: seconds, or a date (RFC 9110, §10.2.3). `None` when its value is
/// neither.
///
/// A date is read against `date`, the answer's own `Date` header, so that a server whose clock is wrong is waited for as long as it meant;
/// without one, against `now`.
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long wait.
        return Some(value.parse().map_or(LONGEST_WAIT, Duration::from_secs).min(LONGEST_WAIT));
    }
    let sent_at = date.and_then(http_date).unwrap_or(now);
    Some(http_date(value)?.since(sent_at).min(LONGEST_WAIT))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)))
}

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

    const NOW: i64 = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT

    fn asked(value: &str, date: Option<&str>) -> Option<Duration> {
        retry_after(value, date, Timestamp::from_millis(NOW))
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_up_to_12_hours() {
        assert_eq!(asked("0", None), Some(Duration::ZERO));
        assert_eq!(asked(" 120 ", None), Some(Duration::from_secs(120)));
        for late in ["43201", "99999999999999999999999", "Mon, 07 Nov 1994 08:49:37 GMT"] {
            assert_eq!(asked(late, None), Some(LONGEST_WAIT), "{late}");
        }
        for soon in ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"] {
            assert_eq!(asked(soon, None), Some(Duration::from_secs(60)), "{soon}");
        }
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT", None), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-1", "1.5", "1e3", "Sun, 06 Nov 1994"] {
            assert_eq!(asked(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn a_retry_after_date_is_read_against_the_answers_own_date() {
        let after = "Sun, 06 Nov 1994 08:50:37 GMT";
        for (date, seconds) in [("Sun, 06 Nov 1994 08:50:07 GMT", 30), ("Sun, 06 Nov 1994 08:00:37 GMT", 3000), ("yesterday", 60)] {
            assert_eq!(asked(after, Some(date)), Some(Duration::from_secs(seconds)), "{date}");
        }
        assert_eq!(asked("5", Some("Sun, 06 Nov 1994 08:00:37 GMT")), Some(Duration::from_secs(5)));
    }
}

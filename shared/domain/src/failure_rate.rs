//! The failure rate of a destination: the share of its recent attempts that failed. Unlike a
//! streak, it is not reset by a success.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::bounds::{Bounds, members};
use crate::input::Fields;
use crate::statistics::{Counted, Tally};

/// The length of a minute, in milliseconds. Recent attempts are counted in whole minutes.
const MINUTE_MS: i64 = 60_000;

/// The percentage of attempts that must have failed.
const PERCENT: Bounds<u32> = Bounds::new(1, 100);
/// The length of the period in which attempts count, in seconds.
const WINDOW_SECONDS: Bounds<u32> = Bounds::new(300, 86_400);
/// The number of attempts that the period must contain.
const MIN_ATTEMPTS: Bounds<u32> = Bounds::new(10, 10_000);

/// The failure rate at which an alert is sent, even if successes keep interrupting the streak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRate {
    /// The percentage of attempts that must have failed.
    pub percent: u32,
    /// The length of the period in which attempts count, in seconds.
    pub window_seconds: u32,
    /// The number of attempts that the period must contain.
    pub min_attempts: u32,
}

/// The attempts within a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentAttempts {
    /// The number of attempts that reflect the state of the destination: successes, and failures
    /// that count towards its streak.
    pub counted: Counted,
    /// The beginning of the first minute that contains a failure.
    pub failing_since: Option<Timestamp>,
}

impl FailureRate {
    /// Returns the JSON schemas of the members of a rate, by their names.
    #[must_use]
    pub fn numbers() -> Map<String, Value> {
        members([
            ("percent", PERCENT.schema()),
            ("window_seconds", WINDOW_SECONDS.schema()),
            ("min_attempts", MIN_ATTEMPTS.schema()),
        ])
    }

    /// Reads a rate. Absent members keep the values of `stored`; if that is `None`, every member is
    /// required.
    pub fn read(stored: Option<Self>, fields: &mut Fields<'_>) -> Option<Self> {
        let mut integer = |name: &str, bounds: Bounds<u32>, stored: Option<u32>| {
            let given = fields.given(name);
            let value = bounds.read(fields, name);
            match stored {
                Some(stored) if !given => Some(stored),
                _ => fields.require(name, given, value),
            }
        };
        let percent = integer("percent", PERCENT, stored.map(|rate| rate.percent));
        let window_seconds = integer(
            "window_seconds",
            WINDOW_SECONDS,
            stored.map(|rate| rate.window_seconds),
        );
        let min_attempts = integer(
            "min_attempts",
            MIN_ATTEMPTS,
            stored.map(|rate| rate.min_attempts),
        );
        Some(Self {
            percent: percent?,
            window_seconds: window_seconds?,
            min_attempts: min_attempts?,
        })
    }

    /// Returns the length of the period in which attempts count.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.window_seconds))
    }

    /// Returns the beginning of the window that ends at `now`.
    #[must_use]
    pub fn window_start(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis() - i64::from(self.window_seconds) * 1000)
    }

    /// Adds up the attempts of `hours` that are within the window that ends at `now`, except those
    /// before `since`.
    ///
    /// A minute counts if it began within the window and not before `since`, so that no attempt
    /// from an earlier time is counted.
    #[must_use]
    pub fn recent(
        &self,
        hours: &[(Timestamp, Tally)],
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> RecentAttempts {
        let window_start = self.window_start(now);
        let start = since.map_or(window_start, |since| since.max(window_start));
        let mut recent = RecentAttempts::default();
        for (hour, tally) in hours {
            for (minute, counted) in &tally.minutes {
                let began_at =
                    Timestamp::from_millis(hour.as_millis() + i64::from(*minute) * MINUTE_MS);
                if began_at < start {
                    continue;
                }
                recent.counted.succeeded += counted.succeeded;
                recent.counted.failed += counted.failed;
                if counted.failed > 0 {
                    recent.failing_since = Some(
                        recent
                            .failing_since
                            .map_or(began_at, |first| first.min(began_at)),
                    );
                }
            }
        }
        recent
    }

    /// Returns whether enough attempts were made and enough of them failed for an alert.
    #[must_use]
    pub fn is_reached(&self, recent: &RecentAttempts) -> bool {
        let Counted { succeeded, failed } = recent.counted;
        let all = succeeded + failed;
        all >= u64::from(self.min_attempts) && failed * 100 >= all * u64::from(self.percent)
    }

    /// Returns whether a destination for which an alert was sent works again: at least one attempt
    /// succeeded, and the failure rate is below half the percentage. A rate that fluctuates around
    /// the percentage thus causes only one alert.
    #[must_use]
    pub fn is_healthy(&self, recent: &RecentAttempts) -> bool {
        let Counted { succeeded, failed } = recent.counted;
        succeeded > 0 && failed * 200 < (succeeded + failed) * u64::from(self.percent)
    }
}

impl RecentAttempts {
    /// Returns the percentage of attempts that failed, rounded down; 0 without attempts.
    #[must_use]
    pub fn percent_failed(&self) -> u64 {
        let Counted { succeeded, failed } = self.counted;
        (failed * 100).checked_div(succeeded + failed).unwrap_or(0)
    }
}

/// Returns the minute of the hour, from 0 to 59.
#[must_use]
pub fn minute_of(at: Timestamp) -> u8 {
    u8::try_from(at.as_millis().div_euclid(MINUTE_MS).rem_euclid(60)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Errors, parse_object};
    use crate::statistics::hour_of;

    const RATE: FailureRate = FailureRate {
        percent: 50,
        window_seconds: 300,
        min_attempts: 10,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000 + seconds * 1000)
    }

    fn attempts(succeeded: u64, failed: u64) -> RecentAttempts {
        RecentAttempts {
            counted: Counted { succeeded, failed },
            failing_since: None,
        }
    }

    #[test]
    fn a_rate_is_reached_by_enough_attempts_and_enough_failures() {
        let reached = [(5, 5), (0, 10), (4, 5), (6, 5), (0, 9)]
            .map(|(succeeded, failed)| RATE.is_reached(&attempts(succeeded, failed)));
        assert_eq!(reached, [true, true, false, false, false]);
        let one = FailureRate { percent: 1, ..RATE };
        assert_eq!(
            [
                one.is_reached(&attempts(99, 1)),
                one.is_reached(&attempts(100, 1)),
                one.is_reached(&attempts(10, 0))
            ],
            [true, false, false]
        );
        let all = FailureRate {
            percent: 100,
            ..RATE
        };
        assert_eq!(
            [
                all.is_reached(&attempts(0, 10)),
                all.is_reached(&attempts(1, 999))
            ],
            [true, false]
        );
    }

    #[test]
    fn a_rate_is_healthy_below_half_of_the_percentage_once_something_succeeds() {
        let healthy = [(76, 24), (75, 25), (1, 0), (0, 0)]
            .map(|(succeeded, failed)| RATE.is_healthy(&attempts(succeeded, failed)));
        assert_eq!(healthy, [true, false, true, false]);
    }

    #[test]
    fn only_minutes_that_began_within_the_window_count() {
        let mut tally = Tally::default();
        let start = hour_of(at(0));
        for minute in 0..10 {
            tally.minutes.insert(
                minute,
                Counted {
                    succeeded: 1,
                    failed: u64::from(minute == 4),
                },
            );
        }
        let hours = [(start, tally)];
        let now = start.plus(Duration::from_secs(9 * 60 + 30));
        let recent = RATE.recent(&hours, None, now);
        // The window starts at 04:30, so that the minutes 5 to 9 count.
        assert_eq!(
            (
                recent.counted.succeeded,
                recent.counted.failed,
                recent.failing_since
            ),
            (5, 0, None)
        );
        let earlier = RATE.recent(&hours, None, start.plus(Duration::from_secs(9 * 60)));
        let fourth = start.plus(Duration::from_secs(240));
        assert_eq!(
            (
                earlier.counted.succeeded,
                earlier.counted.failed,
                earlier.failing_since
            ),
            (6, 1, Some(fourth))
        );
        let since = RATE.recent(
            &hours,
            Some(start.plus(Duration::from_secs(7 * 60 + 1))),
            now,
        );
        assert_eq!(since.counted.succeeded, 2);
        assert_eq!(
            (
                minute_of(start),
                minute_of(now),
                minute_of(start.plus(Duration::from_secs(3599)))
            ),
            (0, 9, 59)
        );
    }

    fn read(stored: Option<FailureRate>, json: &str) -> Result<Option<FailureRate>, Vec<String>> {
        let errors = Errors::default();
        let mut fields = Fields::new("", parse_object(json.as_bytes()).unwrap(), &errors);
        let rate = FailureRate::read(stored, &mut fields);
        fields.finish();
        errors.into_result(rate).map_err(|errors| {
            errors
                .into_iter()
                .filter_map(|error| error.pointer)
                .collect()
        })
    }

    #[test]
    fn every_member_has_its_limits_and_a_patch_keeps_what_it_does_not_name() {
        for bounds in [
            r#"{"percent": 1, "window_seconds": 300, "min_attempts": 10}"#,
            r#"{"percent": 100, "window_seconds": 86400, "min_attempts": 10000}"#,
        ] {
            assert!(read(None, bounds).unwrap().is_some(), "{bounds}");
        }
        for beyond in [
            r#"{"percent": 0, "window_seconds": 299, "min_attempts": 9}"#,
            r#"{"percent": 101, "window_seconds": 86401, "min_attempts": 10001}"#,
            r#"{"percent": "x", "window_seconds": 300.5, "min_attempts": true}"#,
            "{}",
        ] {
            assert_eq!(
                read(None, beyond).unwrap_err(),
                ["/percent", "/window_seconds", "/min_attempts"],
                "{beyond}"
            );
        }
        assert_eq!(
            read(Some(RATE), r#"{"percent": 20}"#),
            Ok(Some(FailureRate {
                percent: 20,
                ..RATE
            }))
        );
        assert_eq!(
            read(Some(RATE), r#"{"period": 20}"#).unwrap_err(),
            ["/period"]
        );
    }
}

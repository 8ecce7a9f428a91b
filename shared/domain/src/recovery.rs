//! Automatic recovery: a destination that was disabled after failures is checked on a schedule.
//! When a check succeeds, the destination is enabled and the deliveries that it missed are
//! replayed.
//!
//! A recovery **begins** when the destination is disabled, or when `auto_recover` is switched on
//! afterwards. Each failed **check** schedules the next one; a week after its beginning the
//! recovery is **over**. A check that succeeds **enables** the destination and requests a replay. A
//! user who enables the destination ends the recovery.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::destination::{Destination, DestinationState, DisabledBy};
use crate::health::Health;
use crate::id::JobId;
use crate::organization::FailurePolicy;

/// The times of the first checks, in seconds after the beginning. Further checks follow at
/// intervals of an hour.
const FIRST_CHECKS: [u64; 4] = [60, 300, 900, 3600];
const HOUR: u64 = 3600;
/// The time of a recovery's last check, in seconds after its beginning.
const LAST_CHECK: u64 = 7 * 24 * HOUR;
/// The time after which a check is repeated if the process that made it died.
pub const CHECK_LEASE: Duration = Duration::from_secs(120);
/// Failures that happen concurrently are counted in any order. The failure that was counted first
/// is at most this much later than the failure that happened first.
const COUNTED_LATE_MAX: Duration = Duration::from_secs(10);

/// The progress of the recovery of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// When the recovery began, from which the schedule is counted.
    pub began_at: Timestamp,
    /// Deliveries that finished since this time without having arrived are replayed.
    pub replay_since: Timestamp,
    /// When the destination is checked next; `None` once it is enabled or the recovery is over.
    pub next_check_at: Option<Timestamp>,
    /// The result of a successful check; `None` before that.
    pub enabled: Option<EnabledAgain>,
}

/// The result of a recovery that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnabledAgain {
    /// When the destination was enabled.
    pub at: Timestamp,
    /// The job that replays the deliveries that the destination missed.
    pub job: JobId,
    /// Whether the job was sent to its queue.
    pub is_sent: bool,
}

impl Recovery {
    /// Returns the recovery of a destination that is disabled because of failures now, or for which
    /// `auto_recover` is switched on now.
    ///
    /// If no attempt has succeeded since an earlier recovery enabled the destination, the schedule
    /// of the earlier recovery continues. Otherwise a receiver that passes checks but accepts no
    /// deliveries would be enabled every minute. While the replay of the earlier recovery is
    /// `unfinished`, this recovery also covers its period.
    #[must_use]
    pub fn begin(
        health: &Health,
        disabled_at: Timestamp,
        unfinished: bool,
        now: Timestamp,
    ) -> Self {
        let since = first_failure(health, disabled_at);
        let earlier = health
            .recovery
            .as_ref()
            .and_then(|earlier| Some((earlier, earlier.enabled.as_ref()?)));
        let goes_on = earlier.filter(|(_, enabled)| {
            health
                .last_success_at
                .is_none_or(|success| success <= enabled.at)
        });
        let began_at = goes_on.map_or(now, |(earlier, _)| earlier.began_at);
        let covered = earlier
            .filter(|_| unfinished || goes_on.is_some())
            .map(|(earlier, _)| earlier.replay_since);
        Self {
            began_at,
            replay_since: covered.map_or(since, |covered| covered.min(since)),
            next_check_at: next_check(began_at, now),
            enabled: None,
        }
    }

    /// Returns the recovery after a check that failed at `now`.
    #[must_use]
    pub fn after_failed_check(&self, now: Timestamp) -> Self {
        Self {
            next_check_at: next_check(self.began_at, now),
            ..self.clone()
        }
    }
}

/// Returns when the destination is checked next, by the schedule of a recovery that began at
/// `began_at`; `None` if the schedule is over.
fn next_check(began_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let passed = now.since(began_at).as_secs();
    let first = FIRST_CHECKS.into_iter().find(|check| *check > passed);
    let next = first.unwrap_or((passed / HOUR + 1) * HOUR);
    (next <= LAST_CHECK).then(|| began_at.plus(Duration::from_secs(next)))
}

/// Returns the beginning of the streak of failures that led to disabling a destination. Deliveries
/// that failed since then did not arrive because of it.
#[must_use]
pub fn first_failure(health: &Health, disabled_at: Timestamp) -> Timestamp {
    let ended = health.ended.as_ref().and_then(|ended| ended.began_at);
    let Some(counted) = health
        .first_failure_at
        .or(ended)
        .filter(|first| *first <= disabled_at)
    else {
        return disabled_at;
    };
    let earliest = Timestamp::from_millis(
        counted.as_millis() - i64::try_from(COUNTED_LATE_MAX.as_millis()).unwrap_or_default(),
    );
    match health.last_success_at {
        // Deliveries that finished before the success belong to no streak, or to an earlier one.
        Some(success) if success < counted => {
            earliest.max(Timestamp::from_millis(success.as_millis() + 1))
        }
        _ => earliest,
    }
}

/// Returns whether Waybill recovers the destination automatically: it was disabled because of
/// failures, and its policy has `auto_recover`. A destination that a user disabled stays disabled,
/// and so does one whose receiver answered `410 Gone`.
#[must_use]
pub fn is_recoverable(destination: &Destination, policy: &FailurePolicy) -> bool {
    policy.auto_recover
        && matches!(
            destination.state,
            DestinationState::Disabled {
                by: DisabledBy::Failures,
                ..
            }
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::EndedStreak;
    use crate::id::Ulid;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000).plus(Duration::from_secs(seconds))
    }

    fn begun(health: &Health) -> Recovery {
        Recovery::begin(health, at(0), false, at(0))
    }

    #[test]
    fn checks_follow_after_1_5_15_and_60_minutes_and_then_hourly_for_a_week() {
        let mut recovery = begun(&Health::default());
        let mut minutes = Vec::new();
        while let Some(next) = recovery.next_check_at {
            minutes.push(next.since(at(0)).as_secs() / 60);
            // The monitor checks up to a minute later than scheduled.
            recovery = recovery.after_failed_check(next.plus(Duration::from_secs(59)));
        }
        assert_eq!(minutes[..6], [1, 5, 15, 60, 120, 180]);
        assert_eq!(
            (minutes.len(), minutes.last()),
            (4 + 167, Some(&(7 * 24 * 60)))
        );
        let late = begun(&Health::default()).after_failed_check(at(4000));
        assert_eq!(
            late.next_check_at,
            Some(at(7200)),
            "checks that were missed are not made up for"
        );
    }

    #[test]
    fn a_receiver_that_only_passes_checks_goes_on_with_the_schedule_of_its_first_recovery() {
        let enabled = EnabledAgain {
            at: at(60),
            job: JobId::from(Ulid::first_at(at(60))),
            is_sent: true,
        };
        let earlier = Recovery {
            next_check_at: None,
            enabled: Some(enabled),
            ..begun(&Health::default())
        };
        let again = |success: Option<u64>, unfinished| {
            let health = Health {
                recovery: Some(earlier.clone()),
                last_success_at: success.map(at),
                first_failure_at: Some(at(400)),
                ..Health::default()
            };
            let recovery = Recovery::begin(&health, at(420), unfinished, at(420));
            (
                recovery.began_at,
                recovery.next_check_at,
                recovery.replay_since,
            )
        };
        assert_eq!(again(None, false), (at(0), Some(at(900)), at(0)));
        assert_eq!(again(Some(30), false), (at(0), Some(at(900)), at(0)));
        assert_eq!(again(Some(300), false), (at(420), Some(at(480)), at(390)));
        assert_eq!(again(Some(300), true), (at(420), Some(at(480)), at(0)));
    }

    #[test]
    fn a_replay_covers_every_failure_of_the_streak_and_none_from_before_the_last_success() {
        let streak = |success: Option<u64>| Health {
            first_failure_at: Some(at(100)),
            last_success_at: success.map(at),
            ..Health::default()
        };
        assert_eq!(first_failure(&streak(None), at(200)), at(90));
        assert_eq!(first_failure(&streak(Some(50)), at(200)), at(90));
        assert_eq!(
            first_failure(&streak(Some(99)), at(200)).as_millis(),
            at(99).as_millis() + 1
        );
        assert_eq!(first_failure(&Health::default(), at(200)), at(200));
        // A delivery that was in flight when the destination was disabled has arrived since.
        let ended = EndedStreak {
            failures: 9,
            began_at: Some(at(100)),
            after: None,
            ended_at: at(210),
        };
        let late = Health {
            ended: Some(ended),
            last_success_at: Some(at(210)),
            ..Health::default()
        };
        assert_eq!(first_failure(&late, at(200)), at(90));
    }
}

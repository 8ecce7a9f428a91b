//! Recovery: a destination that failures disabled is checked on a schedule; when a check passes it
//! is enabled, and what it missed is replayed.
//!
//! A recovery **begins** when the destination is disabled, or when `auto_recover` is switched on
//! afterwards. Each **check** that fails moves the next one on; a week after its beginning the
//! recovery is **over**. A check that passes **enables** the destination and requests a replay. A
//! person who enables the destination ends the recovery.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::destination::{Destination, DestinationState, DisabledBy};
use crate::health::Health;
use crate::id::JobId;
use crate::organization::FailurePolicy;

/// The first checks, in seconds after the beginning; every further one follows an hour after the
/// one before.
const FIRST_CHECKS: [u64; 4] = [60, 300, 900, 3600];
const HOUR: u64 = 3600;
/// How long after its beginning a recovery makes its last check, in seconds.
const LAST_CHECK: u64 = 7 * 24 * HOUR;
/// A check that died is made again after this.
pub const CHECK_LEASE: Duration = Duration::from_secs(120);
/// Failures that happen together are counted in any order: the first that was counted is later than
/// the first that happened by less than this.
const COUNTED_LATE_MAX: Duration = Duration::from_secs(10);

/// How far the recovery of a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// When it began: what the schedule counts from.
    pub began_at: Timestamp,
    /// What finished without having arrived since then is replayed.
    pub replay_since: Timestamp,
    /// When the destination is checked next; `None` once it is enabled or the recovery is over.
    pub next_check_at: Option<Timestamp>,
    /// What a check that passed led to.
    pub enabled: Option<EnabledAgain>,
}

/// A recovery that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnabledAgain {
    /// When the destination was enabled.
    pub at: Timestamp,
    /// The job that replays what it missed.
    pub job: JobId,
    /// Whether the job was sent to its queue.
    pub is_sent: bool,
}

impl Recovery {
    /// The recovery of a destination that failures disable now, or that `auto_recover` is switched
    /// on for now.
    ///
    /// Without a success since an earlier recovery enabled it, the schedule of that one goes on: a
    /// receiver that passes checks and takes no delivery is not enabled again every minute. While
    /// the replay of the earlier one is `unfinished`, this one covers its time, too.
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

    /// The recovery after a check that failed at `now`.
    #[must_use]
    pub fn after_failed_check(&self, now: Timestamp) -> Self {
        Self {
            next_check_at: next_check(self.began_at, now),
            ..self.clone()
        }
    }
}

/// When the destination is checked next, by the schedule of a recovery that began at `began_at`;
/// `None` when that is over.
fn next_check(began_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let passed = now.since(began_at).as_secs();
    let first = FIRST_CHECKS.into_iter().find(|check| *check > passed);
    let next = first.unwrap_or((passed / HOUR + 1) * HOUR);
    (next <= LAST_CHECK).then(|| began_at.plus(Duration::from_secs(next)))
}

/// Since when the streak that led to disabling a destination has lasted. What failed then or later
/// did not arrive because of it.
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
        // What finished up to the success belongs to no streak, or to an earlier one.
        Some(success) if success < counted => {
            earliest.max(Timestamp::from_millis(success.as_millis() + 1))
        }
        _ => earliest,
    }
}

/// Whether Waybill brings the destination back: failures disabled it, and its policy says so. One
/// that a person disabled stays as that person left it, and one whose receiver answered `410 Gone`
/// said that it takes no more.
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
            // The monitor looks up to a minute later.
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
        // A delivery that was under way when the destination was disabled has arrived since.
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

//! Alerts about destinations that keep failing, were disabled or work again.
//!
//! This module performs no I/O. [`evaluate`] decides what must be done about a destination's
//! health. The process whose conditional write succeeds does it and creates the alert.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Timestamp;
use crate::destination::{Destination, DestinationState};
use crate::failure_rate::RecentAttempts;
use crate::health::{EndedStreak, Health};
use crate::id::{AlertId, DestinationId, MessageId, OrganizationId};
use crate::organization::FailurePolicy;

/// The kinds of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// The destination reached the alert threshold of its streak or of its failure rate.
    Failing,
    /// The destination was disabled.
    Disabled,
    /// The destination was enabled again.
    Enabled,
    /// The destination works again after an alert that it was failing.
    Recovered,
}

impl AlertKind {
    /// Returns the event type of the alert's message.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Failing => "waybill.destination.failing",
            Self::Disabled => "waybill.destination.disabled",
            Self::Enabled => "waybill.destination.enabled",
            Self::Recovered => "waybill.destination.recovered",
        }
    }
}

/// An alert, which is kept for the list of alerts and sent to the recipients that the organization
/// configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The identifier of the alert.
    pub id: AlertId,
    /// The organization that owns the destination.
    pub organization_id: OrganizationId,
    /// The destination that the alert is about.
    pub destination_id: DestinationId,
    /// The kind of the alert.
    pub kind: AlertKind,
    /// When the reported change happened.
    pub occurred_at: Timestamp,
    /// The member `data` of the body.
    pub data: Value,
    /// The message that announces the alert; `None` if it has not been sent yet or has no
    /// recipients.
    pub message: Option<MessageId>,
}

impl Alert {
    /// Returns the body that is delivered as the payload of the alert's message.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({
            "type": self.kind.event_type(),
            "id": self.id,
            "occurred_at": self.occurred_at,
            "organization_id": self.organization_id,
            "data": self.data,
        })
    }
}

/// What must be done about the health of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing must be done now.
    Wait,
    /// Nothing must be done any more. The destination has no streak, and no recovery has to be
    /// announced.
    Forget,
    /// An alert must be sent that the destination is failing.
    Alert,
    /// An alert must be sent about the failure rate, although the streak is below the threshold.
    AlertRate,
    /// An alert must be sent about a streak that reached a threshold and has ended.
    AlertEnded(EndedStreak),
    /// No alert is sent about a streak that has ended, because the last alert was sent too
    /// recently.
    ForgetEnded,
    /// The destination must be disabled. The alert about that is the only one that is sent.
    Disable,
    /// An alert must be sent that the destination works again.
    Recovered,
}

/// Decides what must be done about the health of an enabled destination. `recent` are the attempts
/// in the window of its failure rate, if its policy has one.
#[must_use]
pub fn evaluate(
    health: &Health,
    policy: &FailurePolicy,
    recent: &RecentAttempts,
    debounce: Duration,
    now: Timestamp,
) -> Verdict {
    let Some(rate) = policy.failure_rate else {
        return evaluate_streak(health, policy, false, debounce, now);
    };
    let alerted_of_rate = health.rate_alerted_at.is_some();
    let still_failing = alerted_of_rate && !rate.is_healthy(recent);
    match evaluate_streak(health, policy, still_failing, debounce, now) {
        Verdict::Forget if alerted_of_rate => Verdict::Recovered,
        // Attempts may be counted later than failures, so the last failure determines how long the
        // destination is examined.
        Verdict::Forget
            if health
                .last_failure_at
                .is_none_or(|failed| failed < rate.window_start(now)) =>
        {
            Verdict::Forget
        }
        Verdict::Forget | Verdict::Wait
            if alerted_of_rate || health.alerted_at.is_some() || !rate.is_reached(recent) =>
        {
            Verdict::Wait
        }
        Verdict::Forget | Verdict::Wait
            if health
                .last_alert_at
                .is_some_and(|last| now.since(last) < debounce) =>
        {
            Verdict::Wait
        }
        Verdict::Forget | Verdict::Wait => Verdict::AlertRate,
        verdict => verdict,
    }
}

/// Decides what must be done about the streak. `still_failing` is true if an alert about the
/// failure rate was sent and the rate has not improved, so that no recovery may be announced.
fn evaluate_streak(
    health: &Health,
    policy: &FailurePolicy,
    still_failing: bool,
    debounce: Duration,
    now: Timestamp,
) -> Verdict {
    let streak = health.consecutive_failures;
    let ended = health
        .ended
        .as_ref()
        .filter(|ended| ended.failures >= policy.first_threshold());
    if let Some(ended) = ended.filter(|_| streak < policy.first_threshold()) {
        return evaluate_ended(health, ended, still_failing, debounce, now);
    }
    if streak == 0 {
        return match (still_failing, health.alerted_at) {
            (true, _) => Verdict::Wait,
            (false, Some(_)) => Verdict::Recovered,
            (false, None) => Verdict::Forget,
        };
    }
    let lasted = health
        .first_failure_at
        .map_or(Duration::ZERO, |began| now.since(began));
    let lasts_long_enough =
        lasted >= Duration::from_secs(u64::from(policy.disable_min_failing_seconds));
    if policy
        .disable_after_failures
        .is_some_and(|threshold| streak >= threshold)
        && lasts_long_enough
    {
        return Verdict::Disable;
    }
    if streak < policy.alert_after_failures {
        return Verdict::Wait;
    }
    match health.last_alert_at {
        // Without an alert window, one alert is sent for each streak.
        Some(_) if debounce.is_zero() && health.alerted_at.is_some() => Verdict::Wait,
        Some(last) if now.since(last) < debounce => Verdict::Wait,
        // After the window, another alert is sent if the destination has failed since.
        Some(last)
            if health.alerted_at.is_some()
                && health.last_failure_at.is_none_or(|failed| failed <= last) =>
        {
            Verdict::Wait
        }
        _ => Verdict::Alert,
    }
}

/// Decides what must be done about a streak that reached a threshold and ended before the monitor
/// examined it. Such a streak never disables the destination, because the destination works.
fn evaluate_ended(
    health: &Health,
    ended: &EndedStreak,
    still_failing: bool,
    debounce: Duration,
    now: Timestamp,
) -> Verdict {
    let alerted_before = health
        .alerted_at
        .is_some_and(|alerted| ended.began_at.is_none_or(|began| alerted < began));
    if alerted_before && health.consecutive_failures == 0 && !still_failing {
        // An alert about an earlier streak was sent; its recovery is announced first.
        return Verdict::Recovered;
    }
    match health.last_alert_at {
        Some(last) if now.since(last) < debounce => Verdict::ForgetEnded,
        _ => Verdict::AlertEnded(ended.clone()),
    }
}

/// Returns the `data` of an alert about a destination: the destination, the reason, the beginning
/// of the streak, the counters and thresholds, and what happens next.
#[must_use]
pub fn data(
    destination: &Destination,
    health: &Health,
    policy: &FailurePolicy,
    kind: AlertKind,
    pending: u64,
    url: &str,
) -> Value {
    let error = health.last_error.as_ref();
    let disabled_because = match &destination.state {
        DestinationState::Disabled { reason, .. } => reason.clone(),
        _ => None,
    };
    let fails = matches!(kind, AlertKind::Failing | AlertKind::Disabled);
    let next = match kind {
        AlertKind::Disabled => "disabled",
        AlertKind::Failing if policy.disable_after_failures.is_some() => "will_be_disabled",
        _ => "retrying",
    };
    json!({
        "destination": {"id": destination.id, "name": destination.name,
            "type": destination.kind().as_str(), "url": url},
        "reason": error.filter(|_| fails).map(|error| error.reason.as_str()),
        "detail": disabled_because.or_else(|| Some(error.filter(|_| fails)?.detail.clone())),
        "since": health.first_failure_at,
        "consecutive_failures": health.consecutive_failures,
        "alert_after_failures": policy.alert_after_failures,
        "disable_after_failures": policy.disable_after_failures,
        "pending": pending,
        "next": next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure_rate::FailureRate;
    use crate::statistics::Counted;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000 + seconds * 1000)
    }

    fn streak(failures: u32) -> Health {
        Health {
            consecutive_failures: failures,
            first_failure_at: Some(at(0)),
            last_failure_at: Some(at(0)),
            ..Health::default()
        }
    }

    fn verdict(health: &Health, now: Timestamp) -> Verdict {
        judged(health, &hasty(), HOUR, now)
    }

    fn judged(
        health: &Health,
        policy: &FailurePolicy,
        debounce: Duration,
        now: Timestamp,
    ) -> Verdict {
        evaluate(health, policy, &RecentAttempts::default(), debounce, now)
    }

    fn hasty() -> FailurePolicy {
        FailurePolicy {
            disable_min_failing_seconds: 0,
            ..FailurePolicy::default()
        }
    }

    fn ended(failures: u32) -> Health {
        let ended = EndedStreak {
            failures,
            began_at: Some(at(10)),
            after: None,
            ended_at: at(11),
        };
        Health {
            ended: Some(ended),
            last_failure_at: Some(at(10)),
            last_success_at: Some(at(11)),
            ..Health::default()
        }
    }

    #[test]
    fn a_streak_that_ended_is_alerted_when_it_reached_a_threshold_and_never_disables() {
        assert_eq!(verdict(&ended(4), at(12)), Verdict::Forget);
        for failures in [5, 20, 1000] {
            assert!(matches!(verdict(&ended(failures), at(12)),
                    Verdict::AlertEnded(streak) if streak.failures == failures));
        }
        let disables_first = FailurePolicy {
            alert_after_failures: 10,
            disable_after_failures: Some(3),
            ..FailurePolicy::default()
        };
        assert!(matches!(
            judged(&ended(3), &disables_first, HOUR, at(12)),
            Verdict::AlertEnded(_)
        ));
        let runs_again = Health {
            consecutive_failures: 2,
            first_failure_at: Some(at(12)),
            ..ended(5)
        };
        assert!(matches!(
            verdict(&runs_again, at(12)),
            Verdict::AlertEnded(_)
        ));
    }

    #[test]
    fn a_streak_that_ended_is_not_alerted_within_the_window_and_comes_after_an_earlier_recovery() {
        let debounced = Health {
            last_alert_at: Some(at(0)),
            ..ended(8)
        };
        assert_eq!(verdict(&debounced, at(12)), Verdict::ForgetEnded);
        assert!(matches!(
            verdict(&debounced, at(3600)),
            Verdict::AlertEnded(_)
        ));
        let alerted_before = Health {
            alerted_at: Some(at(0)),
            ..debounced
        };
        assert_eq!(verdict(&alerted_before, at(12)), Verdict::Recovered);
    }

    #[test]
    fn reached_means_at_least_and_both_thresholds_at_once_only_disable() {
        let verdicts = [4, 5, 19, 20, 21].map(|failures| verdict(&streak(failures), at(1)));
        assert_eq!(
            verdicts,
            [
                Verdict::Wait,
                Verdict::Alert,
                Verdict::Alert,
                Verdict::Disable,
                Verdict::Disable
            ]
        );
    }

    #[test]
    fn a_streak_disables_when_it_has_lasted_long_enough_and_never_without_a_threshold() {
        let patient = FailurePolicy {
            disable_min_failing_seconds: 60,
            ..FailurePolicy::default()
        };
        assert_eq!(judged(&streak(30), &patient, HOUR, at(59)), Verdict::Alert);
        assert_eq!(
            judged(&streak(30), &patient, HOUR, at(60)),
            Verdict::Disable
        );
        let never = FailurePolicy {
            disable_after_failures: None,
            ..FailurePolicy::default()
        };
        assert_eq!(judged(&streak(30), &never, HOUR, at(60)), Verdict::Alert);
    }

    #[test]
    fn within_the_window_no_second_alert_and_after_it_one_again() {
        let alerted = Health {
            alerted_at: Some(at(0)),
            last_alert_at: Some(at(0)),
            last_failure_at: Some(at(3000)),
            ..streak(6)
        };
        assert_eq!(
            [3599, 3600].map(|seconds| verdict(&alerted, at(seconds))),
            [Verdict::Wait, Verdict::Alert]
        );
        let silent = Health {
            last_failure_at: Some(at(0)),
            ..alerted.clone()
        };
        assert_eq!(
            verdict(&silent, at(9000)),
            Verdict::Wait,
            "it has not failed since"
        );
        assert_eq!(
            judged(
                &alerted,
                &FailurePolicy::default(),
                Duration::ZERO,
                at(9000)
            ),
            Verdict::Wait,
            "without a window, once a streak"
        );
        let again = Health {
            alerted_at: None,
            ..alerted
        };
        assert_eq!(
            verdict(&again, at(10)),
            Verdict::Wait,
            "another streak in the same window"
        );
    }

    #[test]
    fn recovery_is_announced_if_the_failure_was() {
        let quiet = Health {
            last_alert_at: Some(at(0)),
            ..Health::default()
        };
        assert_eq!(verdict(&quiet, at(1)), Verdict::Forget);
        assert_eq!(
            verdict(
                &Health {
                    alerted_at: Some(at(0)),
                    ..quiet
                },
                at(1)
            ),
            Verdict::Recovered
        );
    }

    /// Evaluates a health and attempts with a failure rate of 50 % of 10 attempts in 300 s.
    fn rated(health: &Health, succeeded: u64, failed: u64, now: Timestamp) -> Verdict {
        let rate = FailureRate {
            percent: 50,
            window_seconds: 300,
            min_attempts: 10,
        };
        let policy = FailurePolicy {
            failure_rate: Some(rate),
            ..hasty()
        };
        let recent = RecentAttempts {
            counted: Counted { succeeded, failed },
            failing_since: None,
        };
        evaluate(health, &policy, &recent, HOUR, now)
    }

    #[test]
    fn a_failure_rate_alerts_once_though_successes_break_the_streak_and_recovers_once() {
        let breaking = Health {
            last_failure_at: Some(at(0)),
            last_success_at: Some(at(1)),
            ..Health::default()
        };
        assert_eq!(
            rated(&breaking, 5, 4, at(2)),
            Verdict::Wait,
            "too few attempts"
        );
        assert_eq!(
            rated(&breaking, 6, 5, at(2)),
            Verdict::Wait,
            "too few of them failed"
        );
        assert_eq!(rated(&breaking, 5, 5, at(2)), Verdict::AlertRate);
        assert_eq!(rated(&streak(1), 5, 5, at(2)), Verdict::AlertRate);
        let alerted = Health {
            rate_alerted_at: Some(at(2)),
            last_alert_at: Some(at(2)),
            ..breaking.clone()
        };
        for (succeeded, failed) in [(50, 50), (60, 40), (75, 25), (0, 0)] {
            assert_eq!(
                rated(&alerted, succeeded, failed, at(99_999)),
                Verdict::Wait,
                "{succeeded} succeeded, {failed} failed"
            );
        }
        assert_eq!(rated(&alerted, 80, 20, at(50)), Verdict::Recovered);
        let running = Health {
            consecutive_failures: 1,
            ..alerted
        };
        assert_eq!(
            rated(&running, 80, 20, at(50)),
            Verdict::Wait,
            "it fails again"
        );
    }

    #[test]
    fn a_failure_rate_is_debounced_with_the_streak_and_silent_while_that_is_alerted() {
        let debounced = Health {
            last_failure_at: Some(at(3590)),
            last_alert_at: Some(at(0)),
            ..Health::default()
        };
        assert_eq!(
            [3599, 3600].map(|seconds| rated(&debounced, 5, 5, at(seconds))),
            [Verdict::Wait, Verdict::AlertRate]
        );
        let alerted = Health {
            alerted_at: Some(at(0)),
            ..streak(9)
        };
        assert_eq!(
            rated(
                &Health {
                    last_alert_at: Some(at(0)),
                    ..alerted.clone()
                },
                0,
                10,
                at(5)
            ),
            Verdict::Wait
        );
        let both = Health {
            rate_alerted_at: Some(at(0)),
            consecutive_failures: 0,
            ..alerted
        };
        assert_eq!(
            rated(&both, 5, 5, at(5)),
            Verdict::Wait,
            "the streak is over, and every second attempt still fails"
        );
        assert_eq!(rated(&both, 9, 1, at(5)), Verdict::Recovered);
        assert_eq!(rated(&streak(20), 5, 5, at(5)), Verdict::Disable);
    }

    #[test]
    fn a_destination_with_a_failure_rate_is_looked_at_until_its_last_failure_leaves_the_window() {
        let health = Health {
            last_failure_at: Some(at(0)),
            ..Health::default()
        };
        assert_eq!(
            [299, 300, 301].map(|seconds| rated(&health, 1, 0, at(seconds))),
            [Verdict::Wait, Verdict::Wait, Verdict::Forget]
        );
        assert_eq!(
            judged(
                &Health {
                    rate_alerted_at: Some(at(0)),
                    ..health
                },
                &hasty(),
                HOUR,
                at(1)
            ),
            Verdict::Forget
        );
    }
}

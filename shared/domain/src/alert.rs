//! Alerts: what people are told about a destination that keeps failing, is stopped, or works again (R7).
//!
//! Pure: [`evaluate`] says what a destination's health calls for; whoever wins the conditional write makes it so, and makes the alert.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Timestamp;
use crate::destination::{Destination, DestinationState};
use crate::health::{EndedStreak, Health};
use crate::id::{AlertId, DestinationId, MessageId, OrganizationId};
use crate::organization::FailurePolicy;

/// What an alert says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// The streak reached the alert threshold.
    Failing,
    /// The destination was disabled.
    Disabled,
    /// It was enabled again.
    Enabled,
    /// It works again, after people were told that it fails.
    Recovered,
}

impl AlertKind {
    /// The event's type.
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

/// An alert: kept for the list, and announced to whom the organization named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Whose destination it is about.
    pub organization_id: OrganizationId,
    /// The destination.
    pub destination_id: DestinationId,
    /// What it says.
    pub kind: AlertKind,
    /// When that happened.
    pub occurred_at: Timestamp,
    /// The body's `data`.
    pub data: Value,
    /// The message that announced it; `None` while nobody was told, or nobody is to be.
    pub message: Option<MessageId>,
}

impl Alert {
    /// The body that is delivered (api.md, Alerts).
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

/// What a destination's health calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Wait,
    /// Nothing any more: it has no streak and nobody waits to hear that it recovered.
    Forget,
    /// People are told that it fails.
    Alert,
    /// People are told of a streak that reached a threshold and is over.
    AlertEnded(EndedStreak),
    /// A streak that is over is not alerted: the last alert is too recent.
    ForgetEnded,
    /// It is disabled, and people are told that alone.
    Disable,
    /// People are told that it works again.
    Recovered,
}

/// What the health of an enabled destination calls for.
#[must_use]
pub fn evaluate(health: &Health, policy: &FailurePolicy, debounce: Duration, now: Timestamp) -> Verdict {
    let streak = health.consecutive_failures;
    let ended = health.ended.as_ref().filter(|ended| ended.failures >= policy.first_threshold());
    if let Some(ended) = ended.filter(|_| streak < policy.first_threshold()) {
        return evaluate_ended(health, ended, debounce, now);
    }
    if streak == 0 {
        return if health.alerted_at.is_some() { Verdict::Recovered } else { Verdict::Forget };
    }
    let lasted = health.first_failure_at.map_or(Duration::ZERO, |began| now.since(began));
    let lasts_long_enough = lasted >= Duration::from_secs(u64::from(policy.disable_min_failing_seconds));
    if policy.disable_after_failures.is_some_and(|threshold| streak >= threshold) && lasts_long_enough {
        return Verdict::Disable;
    }
    if streak < policy.alert_after_failures {
        return Verdict::Wait;
    }
    match health.last_alert_at {
        // Without a window, once for each streak.
        Some(_) if debounce.is_zero() && health.alerted_at.is_some() => Verdict::Wait,
        Some(last) if now.since(last) < debounce => Verdict::Wait,
        // Once more after the window, if it has failed since.
        Some(last) if health.alerted_at.is_some() && health.last_failure_at.is_none_or(|failed| failed <= last) => Verdict::Wait,
        _ => Verdict::Alert,
    }
}

/// What a streak calls for that reached a threshold and ended before the monitor looked. It is never a reason to disable: the destination works.
fn evaluate_ended(health: &Health, ended: &EndedStreak, debounce: Duration, now: Timestamp) -> Verdict {
    let alerted_before = health.alerted_at.is_some_and(|alerted| ended.began_at.is_none_or(|began| alerted < began));
    if alerted_before && health.consecutive_failures == 0 {
        // An earlier streak was alerted; its recovery comes first.
        return Verdict::Recovered;
    }
    match health.last_alert_at {
        Some(last) if now.since(last) < debounce => Verdict::ForgetEnded,
        _ => Verdict::AlertEnded(ended.clone()),
    }
}

/// The `data` of an alert about a destination: which, why, since when, counter against thresholds, what happens next (behaviour 22).
#[must_use]
pub fn data(destination: &Destination, health: &Health, policy: &FailurePolicy, kind: AlertKind, pending: u64, url: &str) -> Value {
    let error = health.last_error.as_ref();
    let told = match &destination.state {
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
        "destination": {"id": destination.id, "name": destination.name, "type": destination.kind().as_str(), "url": url},
        "reason": error.filter(|_| fails).map(|error| error.reason.as_str()),
        "detail": told.or_else(|| error.filter(|_| fails).map(|error| error.detail.clone())),
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

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000 + seconds * 1000)
    }

    fn streak(failures: u32) -> Health {
        Health { consecutive_failures: failures, first_failure_at: Some(at(0)), last_failure_at: Some(at(0)), ..Health::default() }
    }

    fn verdict(health: &Health, now: Timestamp) -> Verdict {
        evaluate(health, &hasty(), HOUR, now)
    }

    fn hasty() -> FailurePolicy {
        FailurePolicy { disable_min_failing_seconds: 0, ..FailurePolicy::default() }
    }

    fn ended(failures: u32) -> Health {
        let ended = EndedStreak { failures, began_at: Some(at(10)), after: None, ended_at: at(11) };
        Health { ended: Some(ended), last_failure_at: Some(at(10)), last_success_at: Some(at(11)), ..Health::default() }
    }

    #[test]
    fn a_streak_that_ended_is_alerted_when_it_reached_a_threshold_and_never_disables() {
        assert_eq!(verdict(&ended(4), at(12)), Verdict::Forget);
        for failures in [5, 20, 1000] {
            assert!(matches!(verdict(&ended(failures), at(12)), Verdict::AlertEnded(streak) if streak.failures == failures));
        }
        let disables_first = FailurePolicy { alert_after_failures: 10, disable_after_failures: Some(3), ..FailurePolicy::default() };
        assert!(matches!(evaluate(&ended(3), &disables_first, HOUR, at(12)), Verdict::AlertEnded(_)));
        let runs_again = Health { consecutive_failures: 2, first_failure_at: Some(at(12)), ..ended(5) };
        assert!(matches!(verdict(&runs_again, at(12)), Verdict::AlertEnded(_)));
    }

    #[test]
    fn a_streak_that_ended_is_not_alerted_within_the_window_and_comes_after_an_earlier_recovery() {
        let debounced = Health { last_alert_at: Some(at(0)), ..ended(8) };
        assert_eq!(verdict(&debounced, at(12)), Verdict::ForgetEnded);
        assert!(matches!(verdict(&debounced, at(3600)), Verdict::AlertEnded(_)));
        let alerted_before = Health { alerted_at: Some(at(0)), ..debounced };
        assert_eq!(verdict(&alerted_before, at(12)), Verdict::Recovered);
    }

    #[test]
    fn reached_means_at_least_and_both_thresholds_at_once_only_disable() {
        let verdicts = [4, 5, 19, 20, 21].map(|failures| verdict(&streak(failures), at(1)));
        assert_eq!(verdicts, [Verdict::Wait, Verdict::Alert, Verdict::Alert, Verdict::Disable, Verdict::Disable]);
    }

    #[test]
    fn a_streak_disables_when_it_has_lasted_long_enough_and_never_without_a_threshold() {
        let patient = FailurePolicy { disable_min_failing_seconds: 60, ..FailurePolicy::default() };
        assert_eq!(evaluate(&streak(30), &patient, HOUR, at(59)), Verdict::Alert);
        assert_eq!(evaluate(&streak(30), &patient, HOUR, at(60)), Verdict::Disable);
        let never = FailurePolicy { disable_after_failures: None, ..FailurePolicy::default() };
        assert_eq!(evaluate(&streak(30), &never, HOUR, at(60)), Verdict::Alert);
    }

    #[test]
    fn within_the_window_no_second_alert_and_after_it_one_again() {
        let alerted = Health { alerted_at: Some(at(0)), last_alert_at: Some(at(0)), last_failure_at: Some(at(3000)), ..streak(6) };
        assert_eq!([3599, 3600].map(|seconds| verdict(&alerted, at(seconds))), [Verdict::Wait, Verdict::Alert]);
        let silent = Health { last_failure_at: Some(at(0)), ..alerted.clone() };
        assert_eq!(verdict(&silent, at(9000)), Verdict::Wait, "it has not failed since");
        assert_eq!(
            evaluate(&alerted, &FailurePolicy::default(), Duration::ZERO, at(9000)),
            Verdict::Wait,
            "without a window, once a streak"
        );
        let again = Health { alerted_at: None, ..alerted };
        assert_eq!(verdict(&again, at(10)), Verdict::Wait, "another streak in the same window");
    }

    #[test]
    fn recovery_is_told_to_those_who_were_told_of_the_failing() {
        let quiet = Health { last_alert_at: Some(at(0)), ..Health::default() };
        assert_eq!(verdict(&quiet, at(1)), Verdict::Forget);
        assert_eq!(verdict(&Health { alerted_at: Some(at(0)), ..quiet }, at(1)), Verdict::Recovered);
    }
}

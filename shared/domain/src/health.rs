//! A destination's health: its streak of failures, and the effect of an attempt on it.

use serde::{Deserialize, Serialize};

use crate::recovery::Recovery;
use crate::{Reason, Timestamp};

/// The health of one destination. A streak consists of the failures since the last success or since
/// the destination was last enabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Incremented each time the destination is enabled. Failures of attempts that started in an
    /// earlier epoch are not counted.
    pub epoch: u32,
    /// The number of failures in the current streak.
    pub consecutive_failures: u32,
    /// When the current streak began.
    pub first_failure_at: Option<Timestamp>,
    /// When an attempt last failed.
    pub last_failure_at: Option<Timestamp>,
    /// When an attempt last succeeded, if known.
    pub last_success_at: Option<Timestamp>,
    /// The error of the last failed attempt.
    pub last_error: Option<LastError>,
    /// When the recipients were alerted of the current streak. They are also notified when it ends.
    pub alerted_at: Option<Timestamp>,
    /// When the recipients were last alerted that the destination is failing. They are not alerted
    /// again within the alert window.
    pub last_alert_at: Option<Timestamp>,
    /// The newest streak that ended with a success and that the monitor has not examined yet.
    pub ended: Option<EndedStreak>,
    /// When the recipients were alerted of the failure rate; `None` once the destination is healthy
    /// again.
    pub rate_alerted_at: Option<Timestamp>,
    /// Attempts before this time do not count towards the failure rate, because the destination
    /// recovered or was enabled at this time.
    pub rate_since: Option<Timestamp>,
    /// The progress of the automatic recovery of the destination.
    pub recovery: Option<Recovery>,
}

/// A streak that has ended. It is kept so that an alert is sent if the streak reached a threshold,
/// however short it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedStreak {
    /// The number of failures, including those that were counted after the success.
    pub failures: u32,
    /// When the first failure of the streak happened.
    pub began_at: Option<Timestamp>,
    /// When the success before the streak happened. Earlier failures belong to an earlier streak.
    pub after: Option<Timestamp>,
    /// When the success that ended the streak happened.
    pub ended_at: Timestamp,
}

/// The error of the last failed attempt of a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The category of the failure.
    pub reason: Reason,
    /// A description of the failure for people.
    pub detail: String,
}

/// The effect of an attempt on its destination's streak of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streak {
    /// The attempt failed and lengthens the streak by one.
    Failure,
    /// The attempt succeeded and ends the streak.
    Success,
    /// The attempt does not affect the streak.
    Unchanged,
}

/// The values of `health.status` in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No attempt has failed since the last success.
    Healthy,
    /// The streak is shorter than the alert threshold.
    Degraded,
    /// The streak has reached the alert threshold.
    Failing,
    /// No attempt has been made yet.
    Unknown,
}

impl Health {
    /// Returns the status, given the number of failures after which an alert is sent.
    #[must_use]
    pub fn status(&self, alert_after_failures: u32) -> HealthStatus {
        match self.consecutive_failures {
            0 if self.last_failure_at.is_none() && self.last_success_at.is_none() => {
                HealthStatus::Unknown
            }
            0 => HealthStatus::Healthy,
            n if n >= alert_after_failures => HealthStatus::Failing,
            _ => HealthStatus::Degraded,
        }
    }

    /// Returns whether an alert was sent about the current streak.
    #[must_use]
    pub fn is_streak_alerted(&self) -> bool {
        self.alerted_at
            .is_some_and(|alerted| self.first_failure_at.is_none_or(|began| alerted >= began))
    }

    /// Returns the health as it was while `ended` was the current streak.
    #[must_use]
    pub fn during(&self, ended: &EndedStreak) -> Self {
        Self {
            consecutive_failures: ended.failures,
            first_failure_at: ended.began_at,
            ..self.clone()
        }
    }
}

//! A destination's health: the streak of failures, and what an attempt makes of it (R3.4, R7.1).

use serde::{Deserialize, Serialize};

use crate::recovery::Recovery;
use crate::{Reason, Timestamp};

/// The counters of one destination. A streak is the failures since the last success or the last
/// enabling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Raised by every enabling: failures of an older epoch, still in flight, don't count.
    pub epoch: u32,
    /// The streak.
    pub consecutive_failures: u32,
    /// When it began.
    pub first_failure_at: Option<Timestamp>,
    /// The last failure ever.
    pub last_failure_at: Option<Timestamp>,
    /// The last success, where known.
    pub last_success_at: Option<Timestamp>,
    /// What the last failure was.
    pub last_error: Option<LastError>,
    /// When people were told of this streak, who are to be told when it ends.
    pub alerted_at: Option<Timestamp>,
    /// When people were last told that it fails: no second time within the window.
    pub last_alert_at: Option<Timestamp>,
    /// The newest streak that a success ended and that the monitor has not looked at.
    pub ended: Option<EndedStreak>,
    /// When people were alerted of the failure rate; `None` once the destination was healthy again.
    pub rate_alerted_at: Option<Timestamp>,
    /// Attempts before this time count towards no failure rate: the destination recovered or was
    /// enabled then.
    pub rate_since: Option<Timestamp>,
    /// How far Waybill is with bringing the destination back.
    pub recovery: Option<Recovery>,
}

/// A streak that is over. It is kept so that a threshold it reached is alerted, however short it
/// was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedStreak {
    /// The number of failures, those included that were counted after the success.
    pub failures: u32,
    /// When the first of them happened.
    pub began_at: Option<Timestamp>,
    /// When the success before it happened: earlier failures belong to an earlier streak.
    pub after: Option<Timestamp>,
    /// When the success that ended it happened.
    pub ended_at: Timestamp,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The category.
    pub reason: Reason,
    /// In words.
    pub detail: String,
}

/// What an attempt does to its destination's streak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streak {
    /// Lengthens it by one.
    Failure,
    /// Ends it.
    Success,
    /// Says nothing about the destination.
    Unchanged,
}

/// `health.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No failures since the last success.
    Healthy,
    /// A streak below the alert threshold.
    Degraded,
    /// A streak at or above it.
    Failing,
    /// No attempt ever.
    Unknown,
}

impl Health {
    /// The status, given the threshold at which people are alerted.
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

    /// Whether people were alerted about the streak that is running now.
    #[must_use]
    pub fn is_streak_alerted(&self) -> bool {
        self.alerted_at
            .is_some_and(|alerted| self.first_failure_at.is_none_or(|began| alerted >= began))
    }

    /// The health as it was when `ended` was the running streak.
    #[must_use]
    pub fn during(&self, ended: &EndedStreak) -> Self {
        Self {
            consecutive_failures: ended.failures,
            first_failure_at: ended.began_at,
            ..self.clone()
        }
    }
}

//! The views of statistics.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::statistics::{Tally, success_rate};
use serde::Serialize;
use utoipa::ToSchema;

use crate::view::destination::Percentiles;

/// A destination's health over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthBuckets {
    /// Every hour or day of the period, oldest first, including those without attempts.
    pub data: Vec<HealthBucket>,
}

/// The attempts of a destination within an hour or a day, in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthBucket {
    /// When the hour or the day begins.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// The number of attempts that succeeded.
    pub succeeded: u64,
    /// The number of failed attempts by reason. Reasons that did not occur are left out.
    #[schema(value_type = BTreeMap<String, u64>, example = json!({"timeout": 3}))]
    pub failed_attempts: BTreeMap<&'static str, u64>,
    /// How long successful attempts took, in milliseconds.
    pub latency_ms: Percentiles,
}

impl HealthBucket {
    pub(crate) fn of(start: Timestamp, tally: &Tally) -> Self {
        Self {
            start,
            succeeded: tally.succeeded,
            failed_attempts: tally
                .failed
                .iter()
                .map(|(reason, count)| (reason.as_str(), *count))
                .collect(),
            latency_ms: Percentiles::of(&tally.latency),
        }
    }
}

/// An organization's attempts, by the requested grouping.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatisticsView {
    /// The grouping that was requested: `destination_type`, `event_type` or `destination`.
    #[schema(example = "destination_type")]
    pub group_by: &'static str,
    /// The start of the period, inclusive.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The end of the period, exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// The groups, in the order of their names. Groups without attempts are left out.
    pub data: Vec<StatisticsGroup>,
}

/// The attempts of one group within the period.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatisticsGroup {
    /// A destination type, an event type or a destination's id. Event types beyond the first forty
    /// of an hour count as `(other)`.
    #[schema(example = "webhook")]
    pub group: String,
    /// The number of attempts that succeeded.
    pub succeeded: u64,
    /// The number of attempts that failed.
    pub failed_attempts: u64,
    /// The share of attempts that succeeded, between 0 and 1.
    pub success_rate: Option<f64>,
    /// How long successful attempts took; not known by event type.
    pub latency_ms: Option<Percentiles>,
}

impl StatisticsGroup {
    pub(crate) fn of(group: String, tally: &Tally) -> Self {
        Self {
            latency_ms: Some(Percentiles::of(&tally.latency)),
            ..Self::counted(group, tally.succeeded, tally.failed_attempts())
        }
    }

    pub(crate) fn counted(group: String, succeeded: u64, failed_attempts: u64) -> Self {
        Self {
            group,
            succeeded,
            failed_attempts,
            success_rate: success_rate(succeeded, failed_attempts),
            latency_ms: None,
        }
    }
}

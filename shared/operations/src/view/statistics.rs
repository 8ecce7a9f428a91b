//! Statistics.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::statistics::{Tally, success_rate};
use serde::Serialize;
use utoipa::ToSchema;

use crate::view::destination::Percentiles;

/// A destination's health over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthBuckets {
    /// Oldest first; none is left out.
    pub data: Vec<HealthBucket>,
}

/// An hour or a day of a destination, in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthBucket {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed, by reason; reasons without any are left out.
    #[schema(value_type = BTreeMap<String, u64>, example = json!({"timeout": 3}))]
    pub failed_attempts: BTreeMap<&'static str, u64>,
    /// How long successful attempts took.
    pub latency_ms: Percentiles,
}

impl HealthBucket {
    pub(crate) fn of(start: Timestamp, tally: &Tally) -> Self {
        Self {
            start,
            succeeded: tally.succeeded,
            failed_attempts: tally.failed.iter().map(|(reason, count)| (reason.as_str(), *count)).collect(),
            latency_ms: Percentiles::of(&tally.latency),
        }
    }
}

/// An organization's attempts, by the requested grouping.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatisticsView {
    /// The grouping.
    #[schema(example = "destination_type")]
    pub group_by: &'static str,
    /// The start time.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The end of the period.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// In the order of their names; groups without attempts are left out.
    pub data: Vec<StatisticsGroup>,
}

/// Attempts of one group.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatisticsGroup {
    /// A destination type, an event type or a destination's id. Event types beyond the first forty of an hour count as `(other)`.
    #[schema(example = "webhook")]
    pub group: String,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// The share of attempts that succeeded.
    pub success_rate: Option<f64>,
    /// How long successful attempts took; not known by event type.
    pub latency_ms: Option<Percentiles>,
}

impl StatisticsGroup {
    pub(crate) fn of(group: String, tally: &Tally) -> Self {
        Self { latency_ms: Some(Percentiles::of(&tally.latency)), ..Self::counted(group, tally.succeeded, tally.failed_attempts()) }
    }

    pub(crate) fn counted(group: String, succeeded: u64, failed_attempts: u64) -> Self {
        Self { group, succeeded, failed_attempts, success_rate: success_rate(succeeded, failed_attempts), latency_ms: None }
    }
}

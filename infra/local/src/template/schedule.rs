//! Schedules of functions.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::property::AwsOnly;

/// A schedule that invokes a function periodically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The name of the event in the template.
    pub name: String,
    /// The time between two runs.
    pub period: Duration,
    /// The input of each invocation.
    pub input: Json,
}

/// The properties of a `ScheduleV2` event.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct ScheduleProperties {
    schedule_expression: String,
    input: String,
    description: Option<AwsOnly>,
    omit_name: Option<AwsOnly>,
    retry_policy: Option<AwsOnly>,
}

impl ScheduleProperties {
    pub(super) fn schedule(self, name: String) -> Result<Schedule, String> {
        let period = rate(&self.schedule_expression).ok_or_else(|| {
            format!(
                "{} is not supported: write rate(n minutes)",
                self.schedule_expression
            )
        })?;
        let input = serde_json::from_str(&self.input)
            .map_err(|error| format!("Input is not JSON: {error}"))?;
        Ok(Schedule {
            name,
            period,
            input,
        })
    }
}

/// Parses `rate(1 minute)` or `rate(2 hours)`. EventBridge requires the singular for one.
fn rate(expression: &str) -> Option<Duration> {
    let (count, unit) = expression
        .strip_prefix("rate(")?
        .strip_suffix(')')?
        .split_once(' ')?;
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    let unit = if count == 1 {
        unit
    } else {
        unit.strip_suffix('s')?
    };
    let seconds = match unit {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let cases = [
            ("rate(1 minute)", Some(60)),
            ("rate(2 hours)", Some(7_200)),
            ("rate(1 day)", Some(86_400)),
            ("rate(1 minutes)", None),
            ("rate(2 minute)", None),
            ("rate(0 minutes)", None),
            ("rate(1 second)", None),
            ("cron(0 0 * * ? *)", None),
        ];
        for (expression, seconds) in cases {
            assert_eq!(
                rate(expression),
                seconds.map(Duration::from_secs),
                "{expression}"
            );
        }
    }
}

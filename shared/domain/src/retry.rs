//! Retry policies: how often and after which waits a delivery is attempted again.

use std::ops::RangeInclusive;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use serde_json::{Map, Value};

use crate::Timestamp;
use crate::bounds::{Bounds, members};
use crate::input::{Errors, FieldCode, Fields};

/// The longest wait that a receiver may request or that the formula may compute: 12 hours. A
/// schedule may contain longer waits.
pub const LONGEST_WAIT: Duration = Duration::from_secs(43_200);

/// Returns the wait that a `Retry-After` header requests, at most [`LONGEST_WAIT`]. The value is a
/// number of seconds or a date (RFC 9110, §10.2.3); `None` is returned for any other value.
///
/// A date is compared with `date`, the `Date` header of the same response, so that the wait is
/// correct even if the server's clock is wrong. Without a `Date` header it is compared with `now`.
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is a very long wait.
        return Some(
            value
                .parse()
                .map_or(LONGEST_WAIT, Duration::from_secs)
                .min(LONGEST_WAIT),
        );
    }
    let sent_at = date.and_then(http_date).unwrap_or(now);
    Some(http_date(value)?.since(sent_at).min(LONGEST_WAIT))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text.trim())
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?;
    Some(Timestamp::from_millis(
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
    ))
}

/// The number of waits in a schedule.
pub const SCHEDULE: RangeInclusive<usize> = 1..=30;
/// The length of a wait in a schedule, in seconds; a day at most.
pub const SCHEDULE_SECONDS: Bounds<u32> = Bounds::new(1, 86_400);
/// The number of retries after the first attempt, if the waits are computed.
const MAX_RETRIES: Bounds<u32> = Bounds::new(0, 20).with_default(5);
/// The first computed wait, in seconds.
const INITIAL_SECONDS: Bounds<u32> = Bounds::new(1, LONGEST_WAIT.as_secs() as u32).with_default(1);
/// The factor by which each further computed wait grows.
const MULTIPLIER: Bounds<f64> = Bounds::new(1.0, 10.0).with_default(2.0);
/// The longest computed wait, in seconds.
const MAX_SECONDS: Bounds<u32> = Bounds::new(1, LONGEST_WAIT.as_secs() as u32).with_default(3600);
/// The share of a wait that is added at random at most.
const JITTER: Bounds<f64> = Bounds::new(0.0, 1.0).with_default(0.1);
/// The waits of [`Schedule::Patient`], in seconds: three days in total, as Standard Webhooks
/// recommends.
const PATIENT: &[u32] = &[5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The retry policy of a destination or an organization. The default waits are 1, 2, 4, 8 and 16
/// seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct RetryPolicy {
    /// The number of retries after the first attempt. With a schedule, it is the number of waits in
    /// the schedule.
    pub max_retries: u32,
    /// The first computed wait, in seconds.
    pub initial_seconds: u32,
    /// The factor by which each further computed wait is multiplied.
    pub multiplier: f64,
    /// The longest computed wait, in seconds.
    pub max_seconds: u32,
    /// The share of a wait that is added at random at most.
    pub jitter: f64,
    /// Whether 3xx, 401, 403 and other 4xx responses are retried, so that no data is lost if a
    /// receiver is misconfigured for a while.
    pub retry_client_errors: bool,
    /// The list of waits that replaces the formula above.
    pub schedule: Option<Schedule>,
}

/// The waits before each retry, as a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// The preset `patient`: nine retries over three days.
    Patient,
    /// A list of waits, in seconds.
    Seconds(Vec<u32>),
}

impl Schedule {
    /// Returns the waits, in seconds.
    #[must_use]
    pub fn seconds(&self) -> &[u32] {
        match self {
            Self::Patient => PATIENT,
            Self::Seconds(seconds) => seconds,
        }
    }
}

/// The presets, by their names.
const PRESETS: &[(&str, Preset)] = &[("patient", Preset::Patient)];

/// A schedule that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Preset {
    Patient,
}

/// A policy as it is stored in JSON, with the members of the formula or of a schedule.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preset: Option<Preset>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule_seconds: Option<Vec<u32>>,
    max_retries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initial_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    multiplier: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_seconds: Option<u32>,
    jitter: f64,
    retry_client_errors: bool,
}

impl From<RetryPolicy> for Written {
    fn from(policy: RetryPolicy) -> Self {
        let computed = policy.schedule.is_none();
        let max_retries = policy.max_retries;
        let (preset, schedule_seconds) = match policy.schedule {
            None => (None, None),
            Some(Schedule::Patient) => (Some(Preset::Patient), None),
            Some(Schedule::Seconds(seconds)) => (None, Some(seconds)),
        };
        Self {
            preset,
            schedule_seconds,
            max_retries,
            initial_seconds: computed.then_some(policy.initial_seconds),
            multiplier: computed.then_some(policy.multiplier),
            max_seconds: computed.then_some(policy.max_seconds),
            jitter: policy.jitter,
            retry_client_errors: policy.retry_client_errors,
        }
    }
}

impl From<Written> for RetryPolicy {
    fn from(written: Written) -> Self {
        let usual = Self::default();
        let Written {
            jitter,
            retry_client_errors,
            ..
        } = written;
        match (written.preset, written.schedule_seconds) {
            (Some(Preset::Patient), _) => {
                Self::scheduled(Schedule::Patient, jitter, retry_client_errors)
            }
            (None, Some(seconds)) => {
                Self::scheduled(Schedule::Seconds(seconds), jitter, retry_client_errors)
            }
            (None, None) => Self {
                max_retries: written.max_retries,
                initial_seconds: written.initial_seconds.unwrap_or(usual.initial_seconds),
                multiplier: written.multiplier.unwrap_or(usual.multiplier),
                max_seconds: written.max_seconds.unwrap_or(usual.max_seconds),
                jitter,
                retry_client_errors,
                schedule: None,
            },
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: MAX_RETRIES.default_value(),
            initial_seconds: INITIAL_SECONDS.default_value(),
            multiplier: MULTIPLIER.default_value(),
            max_seconds: MAX_SECONDS.default_value(),
            jitter: JITTER.default_value(),
            retry_client_errors: true,
            schedule: None,
        }
    }
}

impl RetryPolicy {
    /// Returns the JSON schemas of the numbers of the formula, by their names.
    #[must_use]
    pub fn numbers() -> Map<String, Value> {
        members([
            ("max_retries", MAX_RETRIES.schema()),
            ("initial_seconds", INITIAL_SECONDS.schema()),
            ("multiplier", MULTIPLIER.schema()),
            ("max_seconds", MAX_SECONDS.schema()),
            ("jitter", JITTER.schema()),
        ])
    }

    /// Returns a policy with a single attempt, which applies to tests.
    #[must_use]
    pub fn single_attempt(&self) -> Self {
        Self {
            max_retries: 0,
            schedule: None,
            ..self.clone()
        }
    }

    /// Returns the wait before retry `k`, counted from 1. It is the wait of the schedule, or else
    /// initial·multiplier^(k−1) up to the maximum. The share `jitter` · `chance` of the wait is
    /// added, where `chance` is a random number in [0, 1).
    #[must_use]
    pub fn wait_before(&self, k: u32, chance: f64) -> Duration {
        let lengthened = |seconds: f64| seconds * (1.0 + self.jitter * chance);
        if let Some(schedule) = &self.schedule {
            let position = usize::try_from(k.saturating_sub(1)).unwrap_or(usize::MAX);
            let listed = schedule
                .seconds()
                .get(position)
                .or(schedule.seconds().last())
                .copied();
            return Duration::from_secs_f64(lengthened(f64::from(listed.unwrap_or(1))));
        }
        let exponent = i32::try_from(k.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = (f64::from(self.initial_seconds) * self.multiplier.powi(exponent))
            .min(f64::from(self.max_seconds));
        Duration::from_secs_f64(lengthened(seconds).min(LONGEST_WAIT.as_secs_f64()))
    }

    /// Reads a policy. Absent members keep the values of `self`. A schedule cannot be combined with
    /// the members of the formula.
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        let schedule = self.read_schedule(fields);
        if let Some(schedule) = &schedule {
            refuse_formula(fields, schedule);
        }
        let jitter = JITTER.read(fields, "jitter").unwrap_or(self.jitter);
        let retry_client_errors = fields
            .boolean("retry_client_errors")
            .unwrap_or(self.retry_client_errors);
        // A policy that replaces a schedule starts from the defaults of the formula.
        let usual = Self::default();
        let base = if self.schedule.is_some() {
            &usual
        } else {
            self
        };
        let retries = if schedule.is_some() {
            Bounds {
                max: *SCHEDULE.end() as u32,
                ..MAX_RETRIES
            }
        } else {
            MAX_RETRIES
        };
        let formula = Self {
            max_retries: retries
                .read(fields, "max_retries")
                .unwrap_or(base.max_retries),
            initial_seconds: INITIAL_SECONDS
                .read(fields, "initial_seconds")
                .unwrap_or(base.initial_seconds),
            multiplier: MULTIPLIER
                .read(fields, "multiplier")
                .unwrap_or(base.multiplier),
            max_seconds: MAX_SECONDS
                .read(fields, "max_seconds")
                .unwrap_or(base.max_seconds),
            jitter,
            retry_client_errors,
            schedule: None,
        };
        match schedule {
            None => formula,
            Some(schedule) => Self::scheduled(schedule, jitter, retry_client_errors),
        }
    }

    fn scheduled(schedule: Schedule, jitter: f64, retry_client_errors: bool) -> Self {
        let max_retries = u32::try_from(schedule.seconds().len()).unwrap_or(u32::MAX);
        Self {
            max_retries,
            jitter,
            retry_client_errors,
            schedule: Some(schedule),
            ..Self::default()
        }
    }

    /// Returns the schedule of the request, or the stored one. A preset replaces a list, and a list
    /// replaces a preset.
    fn read_schedule(&self, fields: &mut Fields<'_>) -> Option<Schedule> {
        if fields.given("preset") && fields.given("schedule_seconds") {
            fields.refuse("preset", FieldCode::Conflict, "excludes schedule_seconds");
        }
        let named = fields.has("preset") || fields.has("schedule_seconds");
        let drops_other = match &self.schedule {
            // A null for the member that is not in use changes nothing.
            Some(Schedule::Patient) => !fields.has("preset") && !fields.given("schedule_seconds"),
            Some(Schedule::Seconds(_)) => {
                !fields.has("schedule_seconds") && !fields.given("preset")
            }
            None => !named,
        };
        let preset = fields
            .choice("preset", PRESETS)
            .map(|Preset::Patient| Schedule::Patient);
        let seconds = fields.list("schedule_seconds", *SCHEDULE.end(), read_seconds);
        if seconds.as_ref().is_some_and(Vec::is_empty) {
            fields.refuse(
                "schedule_seconds",
                FieldCode::TooShort,
                "must have at least 1 item",
            );
        }
        if drops_other {
            self.schedule.clone()
        } else {
            preset.or(seconds.map(Schedule::Seconds))
        }
    }
}

/// Reports the members of the formula as conflicts, because they have no effect with a schedule.
/// The number of retries is accepted if it is the number of waits in the schedule.
fn refuse_formula(fields: &Fields<'_>, schedule: &Schedule) {
    for name in ["initial_seconds", "multiplier", "max_seconds"] {
        if fields.given(name) {
            fields.refuse(
                name,
                FieldCode::Conflict,
                "cannot be combined with schedule_seconds or a preset",
            );
        }
    }
    let count = schedule.seconds().len();
    if fields
        .number_of("max_retries")
        .is_some_and(|n| n != count as f64)
    {
        let detail = format!("the schedule has {count} waits, so there are {count} retries");
        fields.refuse("max_retries", FieldCode::Conflict, detail);
    }
}

/// Reads one wait of a schedule.
fn read_seconds(pointer: &str, value: Value, errors: &Errors) -> Option<u32> {
    let whole = |f: &f64| f.fract() == 0.0 && f.abs() < 1e9;
    let seconds = value.as_f64().filter(whole).map(|f| f as i64);
    let Bounds { min, max, .. } = SCHEDULE_SECONDS;
    let seconds = seconds.filter(|seconds| (i64::from(min)..=i64::from(max)).contains(seconds));
    if seconds.is_none() {
        let code = if value.is_number() {
            FieldCode::OutOfRange
        } else {
            FieldCode::InvalidType
        };
        errors.add(
            pointer,
            code,
            format!("must be an integer from {min} to {max}"),
        );
    }
    u32::try_from(seconds?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second() {
        let policy = RetryPolicy::default();
        let waits: Vec<u64> = (1..=5)
            .map(|k| policy.wait_before(k, 0.0).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16]);
        assert_eq!(policy.wait_before(30, 0.0), Duration::from_secs(3600));
    }

    #[test]
    fn jitter_only_lengthens() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait_before(1, 0.5), Duration::from_millis(1050));
    }

    const NOW: i64 = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT

    fn requested_wait(value: &str, date: Option<&str>) -> Option<Duration> {
        retry_after(value, date, Timestamp::from_millis(NOW))
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_up_to_12_hours() {
        assert_eq!(requested_wait("0", None), Some(Duration::ZERO));
        assert_eq!(
            requested_wait(" 120 ", None),
            Some(Duration::from_secs(120))
        );
        for late in [
            "43201",
            "99999999999999999999999",
            "Mon, 07 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(requested_wait(late, None), Some(LONGEST_WAIT), "{late}");
        }
        for soon in [
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:50:37 GMT",
            "Sun Nov  6 08:50:37 1994",
        ] {
            assert_eq!(
                requested_wait(soon, None),
                Some(Duration::from_secs(60)),
                "{soon}"
            );
        }
        assert_eq!(
            requested_wait("Sun, 06 Nov 1994 08:00:00 GMT", None),
            Some(Duration::ZERO)
        );
        for nonsense in ["", "soon", "-1", "1.5", "1e3", "Sun, 06 Nov 1994"] {
            assert_eq!(requested_wait(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn a_retry_after_date_is_read_against_the_answers_own_date() {
        let after = "Sun, 06 Nov 1994 08:50:37 GMT";
        for (date, seconds) in [
            ("Sun, 06 Nov 1994 08:50:07 GMT", 30),
            ("Sun, 06 Nov 1994 08:00:37 GMT", 3000),
            ("yesterday", 60),
        ] {
            assert_eq!(
                requested_wait(after, Some(date)),
                Some(Duration::from_secs(seconds)),
                "{date}"
            );
        }
        assert_eq!(
            requested_wait("5", Some("Sun, 06 Nov 1994 08:00:37 GMT")),
            Some(Duration::from_secs(5))
        );
    }

    fn read(before: &RetryPolicy, json: &str) -> Result<RetryPolicy, Vec<String>> {
        let errors = Errors::default();
        let mut fields = Fields::new(
            "/retry_policy",
            crate::input::parse_object(json.as_bytes()).unwrap(),
            &errors,
        );
        let after = before.read(&mut fields);
        fields.finish();
        errors.into_result(after).map_err(|errors| {
            errors
                .into_iter()
                .filter_map(|error| error.pointer)
                .collect()
        })
    }

    fn waits(policy: &RetryPolicy) -> Vec<u64> {
        (1..=policy.max_retries)
            .map(|k| policy.wait_before(k, 0.0).as_secs())
            .collect()
    }

    #[test]
    fn a_schedule_is_waited_as_it_is_listed_and_patient_takes_three_days() {
        let listed = read(
            &RetryPolicy::default(),
            r#"{"schedule_seconds": [3, 1, 86400]}"#,
        )
        .unwrap();
        assert_eq!(
            (waits(&listed), listed.max_retries),
            (vec![3, 1, 86_400], 3)
        );
        assert_eq!(
            listed.wait_before(3, 0.5),
            Duration::from_secs(86_400 + 4320),
            "chance only lengthens"
        );
        let patient = read(&RetryPolicy::default(), r#"{"preset": "patient"}"#).unwrap();
        assert_eq!(
            waits(&patient),
            [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
        );
        assert_eq!(waits(&patient).iter().sum::<u64>() / 86_400, 3);
        assert_eq!(patient.single_attempt().max_retries, 0);
    }

    #[test]
    fn a_schedule_and_the_formula_exclude_each_other() {
        let usual = RetryPolicy::default();
        let listed = read(&usual, r#"{"schedule_seconds": [3, 1]}"#).unwrap();
        let patient = read(&listed, r#"{"preset": "patient", "jitter": 0}"#).unwrap();
        assert_eq!(
            (patient.schedule.clone(), patient.jitter),
            (Some(Schedule::Patient), 0.0)
        );
        assert_eq!(
            read(&patient, r#"{"schedule_seconds": [3, 1], "jitter": 0.1}"#).unwrap(),
            listed
        );
        assert_eq!(read(&listed, r#"{"preset": null}"#).unwrap(), listed);
        assert_eq!(
            read(&listed, r#"{"schedule_seconds": null, "jitter": 0.1}"#).unwrap(),
            usual
        );
        let written = serde_json::to_string(&listed).unwrap();
        assert_eq!(
            read(&usual, &written).unwrap(),
            listed,
            "what is read can be sent back"
        );
        for (mistaken, pointers) in [
            (
                r#"{"schedule_seconds": [1], "preset": "patient"}"#,
                vec!["/retry_policy/preset"],
            ),
            (
                r#"{"schedule_seconds": [1], "max_retries": 2}"#,
                vec!["/retry_policy/max_retries"],
            ),
            (
                r#"{"preset": "patient", "multiplier": 2}"#,
                vec!["/retry_policy/multiplier"],
            ),
            (r#"{"preset": "hasty"}"#, vec!["/retry_policy/preset"]),
            (
                r#"{"schedule_seconds": []}"#,
                vec!["/retry_policy/schedule_seconds"],
            ),
            (
                r#"{"schedule_seconds": 5}"#,
                vec!["/retry_policy/schedule_seconds"],
            ),
            (
                r#"{"schedule_seconds": [1, 0, 86401, "2", 1.5]}"#,
                (1..=4).map(|_| "").collect(),
            ),
        ] {
            let found = read(&usual, mistaken).unwrap_err();
            match pointers[0] {
                "" => assert_eq!(
                    found,
                    (1..=4)
                        .map(|i| format!("/retry_policy/schedule_seconds/{i}"))
                        .collect::<Vec<_>>()
                ),
                _ => assert_eq!(found, pointers, "{mistaken}"),
            }
        }
        let many = format!(r#"{{"schedule_seconds": {:?}}}"#, vec![1; 31]);
        assert_eq!(
            read(&usual, &many).unwrap_err(),
            ["/retry_policy/schedule_seconds"]
        );
        assert_eq!(
            read(&listed, r#"{"initial_seconds": 2}"#).unwrap_err(),
            ["/retry_policy/initial_seconds"]
        );
    }

    #[test]
    fn a_policy_that_was_kept_before_there_were_schedules_still_reads() {
        let yesterday = r#"{"max_retries":5,"initial_seconds":1,"multiplier":2.0,"max_seconds":3600,"jitter":0.1,"retry_client_errors":true}"#;
        assert_eq!(
            serde_json::from_str::<RetryPolicy>(yesterday).unwrap(),
            RetryPolicy::default()
        );
        assert_eq!(
            serde_json::to_string(&RetryPolicy::default()).unwrap(),
            yesterday
        );
        let patient = RetryPolicy::scheduled(Schedule::Patient, 0.1, true);
        let written =
            r#"{"preset":"patient","max_retries":9,"jitter":0.1,"retry_client_errors":true}"#;
        assert_eq!(serde_json::to_string(&patient).unwrap(), written);
        assert_eq!(
            serde_json::from_str::<RetryPolicy>(written)
                .unwrap()
                .max_retries,
            9
        );
    }
}

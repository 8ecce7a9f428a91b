//! An organization: the tenant that owns destinations, messages and their history.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::bounds::{Bounds, members};
use crate::failure_rate::FailureRate;
use crate::id::{DestinationId, Id as _, OrganizationId};
use crate::input::{FieldCode, Fields};
use crate::limits::SETTINGS_DESTINATIONS_MAX;
use crate::quota::QuotaOverrides;
use crate::retry::RetryPolicy;
use crate::settings::email::{ADDRESS_MAX, Mailbox};
use crate::waiting::DeliveryLimits;

/// An organization and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    /// The identifier of the organization.
    pub id: OrganizationId,
    /// The display name of the organization.
    pub name: String,
    /// The platform's own identifier for the organization.
    pub external_id: Option<String>,
    /// Whether the organization may submit messages.
    pub status: OrganizationStatus,
    /// The settings that the organization chose.
    pub settings: OrganizationSettings,
    /// The resources that the organization may use with the service's own AWS role. The operator
    /// sets them.
    pub grants: Grants,
    /// The quotas that differ from the deployment's. The operator sets them.
    #[serde(default)]
    pub quotas: QuotaOverrides,
    /// The external id that is sent with every AssumeRole call for the organization. It is issued
    /// and cannot be chosen.
    pub aws_external_id: String,
    /// The number of shards over which the organization's data is distributed. It can grow but
    /// never shrinks.
    pub shards: u8,
    /// The number of changes, on which writes are conditional.
    pub revision: u64,
    /// When the organization was created.
    pub created_at: Timestamp,
    /// When the organization last changed.
    pub updated_at: Timestamp,
    /// When the deletion or erasure of the organization began; `None` otherwise. From then on its
    /// keys, links and sessions are rejected. It cannot be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Organization {
    /// The number of shards of a new organization. Four partitions share the writes, and a list
    /// requires four queries.
    pub const SHARDS_AT_FIRST: u8 = 4;

    /// Creates an active organization with the default settings and without grants.
    #[must_use]
    pub fn new(
        id: OrganizationId,
        name: impl Into<String>,
        aws_external_id: String,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            name: name.into(),
            external_id: None,
            status: OrganizationStatus::Active,
            settings: OrganizationSettings::default(),
            grants: Grants::default(),
            quotas: QuotaOverrides::default(),
            aws_external_id,
            shards: Self::SHARDS_AT_FIRST,
            revision: 1,
            created_at: now,
            updated_at: now,
            ended_at: None,
        }
    }
}

/// Whether an organization may submit messages and receives deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrganizationStatus {
    /// Messages are accepted and deliveries are made.
    Active,
    /// Messages are rejected and deliveries wait. Left by a PATCH of the operator.
    Suspended,
}

impl OrganizationStatus {
    /// Returns whether the organization is suspended, so that its deliveries wait.
    #[must_use]
    pub fn is_suspended(self) -> bool {
        matches!(self, Self::Suspended)
    }
}

/// The number of consecutive failures after which an alert is sent.
const ALERT_AFTER_FAILURES: Bounds<u32> = Bounds::new(1, 1_000_000).with_default(5);
/// The number of consecutive failures after which a destination is disabled.
const DISABLE_AFTER_FAILURES: Bounds<u32> = Bounds::new(1, 1_000_000).with_default(20);
/// The minimum duration of a streak before the destination is disabled, in seconds; 30 days at
/// most.
const DISABLE_MIN_FAILING_SECONDS: Bounds<u32> = Bounds::new(0, 2_592_000).with_default(300);

/// The thresholds at which failing destinations are reported and disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailurePolicy {
    /// The number of consecutive failures after which an alert is sent.
    pub alert_after_failures: u32,
    /// The number of consecutive failures after which the destination is disabled; `None` if it is
    /// never disabled for failures.
    pub disable_after_failures: Option<u32>,
    /// The minimum duration of the streak before the destination is disabled, in seconds.
    pub disable_min_failing_seconds: u32,
    /// The share of failed attempts at which an alert is also sent; `None` if the share causes no
    /// alert.
    #[serde(default)]
    pub failure_rate: Option<FailureRate>,
    /// Whether a destination that was disabled for failures is checked on a schedule and enabled
    /// when a check succeeds.
    #[serde(default)]
    pub auto_recover: bool,
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self {
            alert_after_failures: ALERT_AFTER_FAILURES.default_value(),
            disable_after_failures: DISABLE_AFTER_FAILURES.default,
            disable_min_failing_seconds: DISABLE_MIN_FAILING_SECONDS.default_value(),
            failure_rate: None,
            auto_recover: false,
        }
    }
}

impl FailurePolicy {
    /// Returns the JSON schemas of the numbers of a policy, by their names.
    #[must_use]
    pub fn numbers() -> Map<String, Value> {
        members([
            ("alert_after_failures", ALERT_AFTER_FAILURES.schema()),
            ("disable_after_failures", DISABLE_AFTER_FAILURES.schema()),
            (
                "disable_min_failing_seconds",
                DISABLE_MIN_FAILING_SECONDS.schema(),
            ),
        ])
    }

    /// Returns the number of consecutive failures at which the first of the thresholds is reached.
    #[must_use]
    pub fn first_threshold(&self) -> u32 {
        self.disable_after_failures
            .map_or(self.alert_after_failures, |disable| {
                disable.min(self.alert_after_failures)
            })
    }

    /// Reads a policy. Absent members keep the values of `self`, and null resets a threshold that is
    /// always set to its default.
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        let disable = match fields.has("disable_after_failures") {
            false => self.disable_after_failures,
            true => DISABLE_AFTER_FAILURES.read(fields, "disable_after_failures"),
        };
        let auto_recover = match fields.has("auto_recover") {
            false => self.auto_recover,
            true => fields.boolean("auto_recover").unwrap_or_default(),
        };
        let failure_rate = match fields.has("failure_rate") {
            false => self.failure_rate,
            true => fields
                .object("failure_rate", |inner| {
                    FailureRate::read(self.failure_rate, inner)
                })
                .flatten(),
        };
        Self {
            alert_after_failures: match fields.has("alert_after_failures") {
                false => self.alert_after_failures,
                true => ALERT_AFTER_FAILURES
                    .read(fields, "alert_after_failures")
                    .unwrap_or(ALERT_AFTER_FAILURES.default_value()),
            },
            disable_after_failures: disable,
            disable_min_failing_seconds: match fields.has("disable_min_failing_seconds") {
                false => self.disable_min_failing_seconds,
                true => DISABLE_MIN_FAILING_SECONDS
                    .read(fields, "disable_min_failing_seconds")
                    .unwrap_or(DISABLE_MIN_FAILING_SECONDS.default_value()),
            },
            failure_rate,
            auto_recover,
        }
    }
}

/// The length of the name or ARN of a granted resource.
pub const GRANT: RangeInclusive<usize> = 1..=2048;
/// The maximum number of granted resources of one kind.
pub const GRANTS_MAX: usize = 1000;

/// The resources that the operator allows an organization to use with the service's own role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// The names of the S3 buckets.
    pub buckets: Vec<String>,
    /// The Amazon SES identities that mail may be sent from.
    pub ses_identities: Vec<String>,
    /// The databases that may be used with IAM authentication.
    pub databases: Vec<String>,
    /// The ARNs of the secrets in AWS Secrets Manager.
    pub secret_arns: Vec<String>,
}

impl Grants {
    /// Reads grants. Absent members keep the values of `self`, and null ends all grants of a list.
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        let list = |fields: &mut Fields<'_>, name, old: &Vec<String>| {
            let parse = |text: &str| {
                let refused =
                    || format!("must have {} to {} characters", GRANT.start(), GRANT.end());
                GRANT
                    .contains(&text.len())
                    .then(|| text.to_owned())
                    .ok_or_else(refused)
            };
            match fields.has(name) {
                false => old.clone(),
                true => fields
                    .parsed_list(name, GRANTS_MAX, parse)
                    .unwrap_or_default(),
            }
        };
        Self {
            buckets: list(fields, "buckets", &self.buckets),
            ses_identities: list(fields, "ses_identities", &self.ses_identities),
            databases: list(fields, "databases", &self.databases),
            secret_arns: list(fields, "secret_arns", &self.secret_arns),
        }
    }
}

/// The settings of an organization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrganizationSettings {
    /// The destinations of a message for which the request names none.
    pub default_destination_ids: Vec<DestinationId>,
    /// The confirmed e-mail addresses that receive alerts.
    pub alert_emails: Vec<String>,
    /// The e-mail addresses that will receive alerts once they are confirmed.
    pub unconfirmed_alert_emails: Vec<String>,
    /// The destinations that receive alerts.
    pub alert_destination_ids: Vec<DestinationId>,
    /// The destinations that receive status updates.
    pub status_destination_ids: Vec<DestinationId>,
    /// The kinds of status updates that are sent.
    pub status_events: Vec<String>,
    /// The failure policy of destinations that have none of their own.
    pub failure_policy: FailurePolicy,
    /// The retry policy of destinations that have none of their own; `None` for the default policy.
    pub retry_policy: Option<RetryPolicy>,
    /// The delivery limits of destinations that have none of their own; `None` for no limits.
    pub delivery_limits: Option<DeliveryLimits>,
    /// The time in which at most one alert is sent for a destination that is failing, in seconds.
    pub alert_debounce_seconds: u32,
    /// The duration above which a delivery is shown as slow, in milliseconds.
    pub latency_warning_ms: u32,
    /// The success rate below which a destination is shown as degraded, from 0 to 1.
    pub success_rate_warning: f64,
    /// The age above which pending work is shown as late, in seconds.
    pub pending_age_warning_seconds: u32,
    /// How long the history is kept, in days.
    pub retention_days: u32,
    /// How long payloads are kept, in days; at most `retention_days`.
    pub payload_retention_days: u32,
    /// How long audit events are kept, in days.
    pub audit_retention_days: u32,
}

impl Default for OrganizationSettings {
    fn default() -> Self {
        Self {
            default_destination_ids: Vec::new(),
            alert_emails: Vec::new(),
            unconfirmed_alert_emails: Vec::new(),
            alert_destination_ids: Vec::new(),
            status_destination_ids: Vec::new(),
            status_events: vec!["delivery.failed".to_owned(), "message.completed".to_owned()],
            failure_policy: FailurePolicy::default(),
            retry_policy: None,
            delivery_limits: None,
            alert_debounce_seconds: ALERT_DEBOUNCE_SECONDS.default_value(),
            latency_warning_ms: LATENCY_WARNING_MS.default_value(),
            success_rate_warning: SUCCESS_RATE_WARNING.default_value(),
            pending_age_warning_seconds: PENDING_AGE_WARNING_SECONDS.default_value(),
            retention_days: RETENTION_DAYS.default_value(),
            payload_retention_days: PAYLOAD_RETENTION_DAYS.default_value(),
            audit_retention_days: AUDIT_RETENTION_DAYS.default_value(),
        }
    }
}

/// The maximum number of e-mail addresses that receive alerts.
pub const ALERT_EMAILS_MAX: usize = 20;
/// The maximum number of kinds of status updates in a list.
pub const STATUS_EVENTS_MAX: usize = 10;
const ALERT_DEBOUNCE_SECONDS: Bounds<u32> = Bounds::new(0, 2_592_000).with_default(3600);
const LATENCY_WARNING_MS: Bounds<u32> = Bounds::new(1, 86_400_000).with_default(5000);
const SUCCESS_RATE_WARNING: Bounds<f64> = Bounds::new(0.0, 1.0).with_default(0.95);
const PENDING_AGE_WARNING_SECONDS: Bounds<u32> = Bounds::new(1, 2_592_000).with_default(900);
const RETENTION_DAYS: Bounds<u32> = Bounds::new(1, 3650).with_default(30);
const PAYLOAD_RETENTION_DAYS: Bounds<u32> = RETENTION_DAYS;
const AUDIT_RETENTION_DAYS: Bounds<u32> = RETENTION_DAYS.with_default(400);

const STATUS_EVENTS: &[&str] = &["delivery.succeeded", "delivery.failed", "message.completed"];

impl OrganizationSettings {
    /// Returns the JSON schemas of the numbers among the settings, by their names.
    #[must_use]
    pub fn numbers() -> Map<String, Value> {
        members([
            ("alert_debounce_seconds", ALERT_DEBOUNCE_SECONDS.schema()),
            ("latency_warning_ms", LATENCY_WARNING_MS.schema()),
            ("success_rate_warning", SUCCESS_RATE_WARNING.schema()),
            (
                "pending_age_warning_seconds",
                PENDING_AGE_WARNING_SECONDS.schema(),
            ),
            ("retention_days", RETENTION_DAYS.schema()),
            ("payload_retention_days", PAYLOAD_RETENTION_DAYS.schema()),
            ("audit_retention_days", AUDIT_RETENTION_DAYS.schema()),
        ])
    }

    /// Returns every destination that the settings refer to, with the pointer to the reference
    /// (relative to the settings).
    #[must_use]
    pub fn named_destinations(&self) -> Vec<(String, DestinationId)> {
        let lists = [
            ("default_destination_ids", &self.default_destination_ids),
            ("alert_destination_ids", &self.alert_destination_ids),
            ("status_destination_ids", &self.status_destination_ids),
        ];
        let name = |(name, ids): (&str, &Vec<DestinationId>)| -> Vec<(String, DestinationId)> {
            ids.iter()
                .enumerate()
                .map(|(i, id)| (format!("/{name}/{i}"), *id))
                .collect()
        };
        lists.into_iter().flat_map(name).collect()
    }

    /// Reads the settings. Absent members keep the values of `self`; null resets a member to its
    /// default.
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        let fresh = Self::default();
        let old = |fields: &Fields<'_>, name: &str| {
            if fields.has(name) && !fields.given(name) {
                &fresh
            } else {
                self
            }
        };
        macro_rules! number {
            ($name:ident, $bounds:expr) => {{
                let stored = old(fields, stringify!($name)).$name;
                $bounds.read(fields, stringify!($name)).unwrap_or(stored)
            }};
        }
        macro_rules! destinations {
            ($name:ident) => {{
                let stored = old(fields, stringify!($name)).$name.clone();
                let ids: Vec<DestinationId> = fields
                    .parsed_list(
                        stringify!($name),
                        SETTINGS_DESTINATIONS_MAX,
                        DestinationId::from_client,
                    )
                    .unwrap_or(stored);
                let mut seen = BTreeSet::new();
                ids.into_iter().filter(|id| seen.insert(*id)).collect()
            }};
        }
        let (alert_emails, unconfirmed_alert_emails) = self.read_emails(fields);
        let events = old(fields, "status_events").status_events.clone();
        let kept_policy = old(fields, "failure_policy").failure_policy.clone();
        let kept_retries = old(fields, "retry_policy").retry_policy.clone();
        let retries = |inner: &mut Fields<'_>| kept_retries.clone().unwrap_or_default().read(inner);
        let retry_policy = fields
            .object("retry_policy", retries)
            .or(kept_retries.clone());
        let kept_limits = old(fields, "delivery_limits").delivery_limits;
        let limits = |inner: &mut Fields<'_>| kept_limits.unwrap_or_default().read(inner);
        let delivery_limits = fields.object("delivery_limits", limits).or(kept_limits);
        let chosen = fields.given("payload_retention_days");
        let mut settings = Self {
            default_destination_ids: destinations!(default_destination_ids),
            alert_destination_ids: destinations!(alert_destination_ids),
            status_destination_ids: destinations!(status_destination_ids),
            alert_emails,
            unconfirmed_alert_emails,
            status_events: fields
                .parsed_list("status_events", STATUS_EVENTS_MAX, parse_status_event)
                .unwrap_or(events),
            failure_policy: fields
                .object("failure_policy", |inner| kept_policy.read(inner))
                .unwrap_or(kept_policy),
            retry_policy,
            delivery_limits,
            alert_debounce_seconds: number!(alert_debounce_seconds, ALERT_DEBOUNCE_SECONDS),
            latency_warning_ms: number!(latency_warning_ms, LATENCY_WARNING_MS),
            success_rate_warning: number!(success_rate_warning, SUCCESS_RATE_WARNING),
            pending_age_warning_seconds: number!(
                pending_age_warning_seconds,
                PENDING_AGE_WARNING_SECONDS
            ),
            retention_days: number!(retention_days, RETENTION_DAYS),
            payload_retention_days: number!(payload_retention_days, PAYLOAD_RETENTION_DAYS),
            audit_retention_days: number!(audit_retention_days, AUDIT_RETENTION_DAYS),
        };
        if !chosen {
            // Payloads are not kept longer than the history that they belong to.
            settings.payload_retention_days =
                settings.payload_retention_days.min(settings.retention_days);
        } else if settings.payload_retention_days > settings.retention_days {
            fields.refuse(
                "payload_retention_days",
                FieldCode::OutOfRange,
                "must be at most retention_days",
            );
        }
        settings
    }

    /// Reads the addresses for alerts. A confirmed address stays confirmed while it is listed. Any
    /// other address must be confirmed, even if it was confirmed before it was removed.
    fn read_emails(&self, fields: &mut Fields<'_>) -> (Vec<String>, Vec<String>) {
        fields.read_only(&["unconfirmed_alert_emails"]);
        let stored = (
            self.alert_emails.clone(),
            self.unconfirmed_alert_emails.clone(),
        );
        if !fields.has("alert_emails") {
            return stored;
        }
        let given = fields.given("alert_emails");
        let Some(mut named) = fields.parsed_list("alert_emails", ALERT_EMAILS_MAX, parse_email)
        else {
            return if given {
                stored
            } else {
                (Vec::new(), Vec::new())
            };
        };
        let mut seen = BTreeSet::new();
        named.retain(|address| seen.insert(address.to_lowercase()));
        named
            .into_iter()
            .partition(|address| self.alert_emails.contains(address))
    }

    /// Returns the settings after `address` was confirmed; `None` if the address is not waiting for
    /// a confirmation.
    #[must_use]
    pub fn with_confirmed(&self, address: &str) -> Option<Self> {
        let mut after = self.clone();
        after
            .unconfirmed_alert_emails
            .retain(|waiting| waiting != address);
        if after.unconfirmed_alert_emails.len() == self.unconfirmed_alert_emails.len() {
            return None;
        }
        after.alert_emails.push(address.to_owned());
        Some(after)
    }

    /// Returns the settings as JSON, as in responses.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("settings have string keys and finite numbers")
    }
}

fn parse_email(text: &str) -> Result<String, &'static str> {
    let plausible = text.len() <= ADDRESS_MAX
        && text
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && host.len() > 2);
    // Only a bare address can receive mail and have a confirmation link.
    let is_bare = Mailbox::parse(text).is_ok_and(|mailbox| mailbox.address() == text);
    if plausible && is_bare {
        Ok(text.to_owned())
    } else {
        Err("is not an e-mail address")
    }
}

fn parse_status_event(text: &str) -> Result<String, String> {
    let known = STATUS_EVENTS.contains(&text);
    known
        .then(|| text.to_owned())
        .ok_or_else(|| format!("must be one of {}", STATUS_EVENTS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Errors, parse_object};

    fn patched(
        before: &OrganizationSettings,
        json: &str,
    ) -> Result<OrganizationSettings, Vec<String>> {
        let errors = Errors::default();
        let mut fields = Fields::new("/settings", parse_object(json.as_bytes()).unwrap(), &errors);
        let after = before.read(&mut fields);
        fields.finish();
        errors.into_result(after).map_err(|errors| {
            errors
                .into_iter()
                .filter_map(|error| error.pointer)
                .collect()
        })
    }

    #[test]
    fn null_ends_the_grants_of_a_list_and_resets_a_threshold() {
        let grants = Grants {
            buckets: vec!["theirs".to_owned()],
            databases: vec!["db".to_owned()],
            ..Grants::default()
        };
        let policy = FailurePolicy {
            alert_after_failures: ALERT_AFTER_FAILURES.default_value() + 1,
            disable_min_failing_seconds: DISABLE_MIN_FAILING_SECONDS.default_value() + 1,
            ..FailurePolicy::default()
        };
        let errors = Errors::default();
        let fields = |json: &str| Fields::new("", parse_object(json.as_bytes()).unwrap(), &errors);
        let after = grants.read(&mut fields(r#"{"buckets": null}"#));
        assert!(after.buckets.is_empty());
        assert_eq!(after.databases, grants.databases);
        assert_eq!(policy.read(&mut fields("{}")), policy);
        let null = r#"{"alert_after_failures": null, "disable_min_failing_seconds": null}"#;
        assert_eq!(policy.read(&mut fields(null)), FailurePolicy::default());
        assert!(errors.is_empty());
    }

    #[test]
    fn an_address_is_confirmed_for_as_long_as_it_is_named() {
        let first = patched(
            &OrganizationSettings::default(),
            r#"{"alert_emails": ["a@x.example", "b@x.example", "A@x.example"]}"#,
        )
        .unwrap();
        assert_eq!(
            (first.alert_emails.len(), &*first.unconfirmed_alert_emails),
            (0, &["a@x.example".to_owned(), "b@x.example".to_owned()][..])
        );
        let confirmed = first.with_confirmed("a@x.example").unwrap();
        assert_eq!(
            (
                &*confirmed.alert_emails,
                &*confirmed.unconfirmed_alert_emails
            ),
            (
                &["a@x.example".to_owned()][..],
                &["b@x.example".to_owned()][..]
            )
        );
        assert_eq!(confirmed.with_confirmed("a@x.example"), None);
        assert_eq!(
            patched(&confirmed, r#"{"retention_days": 9}"#)
                .unwrap()
                .alert_emails,
            confirmed.alert_emails
        );
        let merged = patched(&confirmed, r#"{"alert_emails": ["a@x.example"]}"#).unwrap();
        assert_eq!(
            (
                merged.alert_emails.len(),
                merged.unconfirmed_alert_emails.len()
            ),
            (1, 0)
        );
        let removed = patched(&confirmed, r#"{"alert_emails": []}"#).unwrap();
        let again = patched(&removed, r#"{"alert_emails": ["a@x.example"]}"#).unwrap();
        assert_eq!(
            (
                again.alert_emails.len(),
                again.unconfirmed_alert_emails.len()
            ),
            (0, 1),
            "removed and added again"
        );
        assert_eq!(
            patched(&confirmed, r#"{"alert_emails": null}"#)
                .unwrap()
                .alert_emails
                .len(),
            0
        );
    }

    #[test]
    fn a_patch_cannot_confirm_an_address() {
        let found = patched(
            &OrganizationSettings::default(),
            r#"{"unconfirmed_alert_emails": []}"#,
        )
        .unwrap_err();
        assert_eq!(found, ["/settings/unconfirmed_alert_emails"]);
        for bad in [
            "a",
            "a@b",
            "A <a@x.example>",
            "a@x.example,b@x.example",
            "a b@x.example",
            "a@x.example\r\nBcc: c@x.example",
            "ä@x.example",
        ] {
            let json = serde_json::json!({"alert_emails": [bad]}).to_string();
            assert!(
                patched(&OrganizationSettings::default(), &json).is_err(),
                "{bad}"
            );
        }
    }
}

//! The views of organizations, their settings and quotas.

use domain::Timestamp;
use domain::id::OrganizationId;
use domain::organization::{Grants, Organization, OrganizationSettings, OrganizationStatus};
use domain::quota::Quotas;
use serde::Serialize;
use utoipa::ToSchema;

use crate::OrganizationHealth;
use crate::view::destination::{DeliveryLimitsBody, RetryPolicyBody};

/// A tenant of the platform, with its settings and quotas.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub struct OrganizationView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "org_01kavd83802s63efghp3q1cpj4")]
    pub id: OrganizationId,
    /// The name that people see in the console and in alerts.
    pub name: String,
    /// Your own identifier of the organization.
    pub external_id: Option<String>,
    /// `active`, or `suspended`: submitting is refused and deliveries wait.
    #[schema(value_type = String, example = "active")]
    pub status: OrganizationStatus,
    /// The settings of the organization, including defaults.
    #[schema(value_type = OrganizationSettingsBody)]
    pub settings: OrganizationSettings,
    /// The AWS resources that the organization may use through the service's own role.
    #[schema(value_type = GrantsBody)]
    pub grants: Grants,
    /// The quotas of the organization.
    #[schema(value_type = QuotasBody)]
    pub quotas: Quotas,
    /// The external id of every AssumeRole call for this organization.
    pub aws_external_id: String,
    /// The health of the organization; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<OrganizationHealth>,
    /// When the object was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the object last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// A link to this object in the console.
    pub url: String,
}

impl OrganizationView {
    pub(crate) fn of(organization: Organization, deployment: &Quotas, url: String) -> Self {
        let Organization {
            id,
            name,
            external_id,
            status,
            settings,
            grants,
            quotas,
            aws_external_id,
            shards: _,
            revision: _,
            created_at,
            updated_at,
            ended_at: _,
        } = organization;
        let quotas = quotas.over(deployment);
        Self {
            id,
            name,
            external_id,
            status,
            settings,
            grants,
            quotas,
            aws_external_id,
            health: None,
            created_at,
            updated_at,
            url,
        }
    }
}

/// The settings of an organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationSettings)]
pub struct OrganizationSettingsBody {
    /// The destinations of messages that name none, in addition to those that subscribe to the
    /// event type.
    pub default_destination_ids: Vec<String>,
    /// The addresses that get alerts by e-mail. A new address gets a mail with a link first and
    /// gets alerts once it is confirmed.
    pub alert_emails: Vec<String>,
    /// The addresses that have not been confirmed yet and get no alerts until then.
    #[schema(read_only)]
    pub unconfirmed_alert_emails: Vec<String>,
    /// The destinations that get alerts.
    pub alert_destination_ids: Vec<String>,
    /// The destinations that get status updates.
    pub status_destination_ids: Vec<String>,
    /// The status updates that are sent: `delivery.succeeded`, `delivery.failed` and
    /// `message.completed`.
    pub status_events: Vec<String>,
    /// When people are alerted about a failing destination, and when it is disabled.
    pub failure_policy: FailurePolicyBody,
    /// The retry policy of destinations that have none of their own; null: five retries, after 1,
    /// 2, 4, 8 and 16 s.
    pub retry_policy: Option<RetryPolicyBody>,
    /// How fast destinations without limits of their own accept deliveries; null for no limit.
    pub delivery_limits: Option<DeliveryLimitsBody>,
    /// The time, in seconds, within which a destination causes no second alert of the same kind.
    pub alert_debounce_seconds: u32,
    /// The time, in milliseconds, above which a delivery is shown as slow.
    pub latency_warning_ms: u32,
    /// The success rate below which a destination is shown as degraded.
    pub success_rate_warning: f64,
    /// The time, in seconds, after which a pending delivery is shown as late.
    pub pending_age_warning_seconds: u32,
    /// How many days messages, deliveries and attempts are kept.
    pub retention_days: u32,
    /// How many days payloads are kept, at most `retention_days`.
    pub payload_retention_days: u32,
    /// How many days audit events are kept.
    pub audit_retention_days: u32,
}

/// When people are alerted about a failing destination, and when it is disabled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailurePolicy)]
pub struct FailurePolicyBody {
    /// The number of consecutive failures at which people are alerted.
    pub alert_after_failures: u32,
    /// The number of consecutive failures at which the destination is disabled; null to never
    /// disable it.
    pub disable_after_failures: Option<u32>,
    /// How long, in seconds, the failures must also have lasted before the destination is disabled.
    /// A success in between prevents that.
    pub disable_min_failing_seconds: u32,
    /// Also alerts people when this share of recent attempts has failed, even if the failures are
    /// not consecutive; null to not alert.
    pub failure_rate: Option<FailureRateBody>,
    /// Whether a destination that failures disabled is checked after 1, 5, 15 and 60 minutes and
    /// then hourly for 7 days. When a check passes, it is enabled and what it missed since its
    /// first failure is replayed.
    #[schema(default = false)]
    pub auto_recover: bool,
}

/// The share of recent attempts at which a destination is reported as failing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailureRate)]
pub struct FailureRateBody {
    /// The percentage of attempts that must have failed.
    #[schema(example = 50)]
    pub percent: u32,
    /// The length of the window in seconds: older attempts do not count.
    #[schema(example = 900)]
    pub window_seconds: u32,
    /// The number of attempts that the window must contain at least.
    #[schema(example = 20)]
    pub min_attempts: u32,
}

/// The AWS resources that an organization may use through the service's own role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grants)]
pub struct GrantsBody {
    /// The names of the S3 buckets that may be used.
    pub buckets: Vec<String>,
    /// The Amazon SES identities that mail may be sent from.
    pub ses_identities: Vec<String>,
    /// The ARNs of the databases that may be used.
    pub databases: Vec<String>,
    /// The ARNs of the secrets in AWS Secrets Manager that may be read.
    pub secret_arns: Vec<String>,
}

/// How much of the service an organization may use. A request above a quota is refused as a whole
/// with 429 `rate_limited`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quotas)]
pub struct QuotasBody {
    /// The number of requests a second of all keys and people of the organization, with bursts of
    /// four times as many.
    pub requests_per_second: u32,
    /// The number of deliveries a second that the organization's messages may make, with bursts of
    /// twenty times as many.
    pub deliveries_per_second: u32,
    /// The number of connection checks a minute, whichever request causes them.
    pub checks_per_minute: u32,
    /// The number of previews a minute.
    pub previews_per_minute: u32,
    /// The total size, in bytes, of announced uploads that no message uses yet.
    pub upload_bytes_outstanding: u64,
}

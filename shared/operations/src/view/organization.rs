//! Organizations.

use domain::Timestamp;
use domain::id::OrganizationId;
use domain::organization::{Grants, Organization, OrganizationSettings, OrganizationStatus};
use domain::quota::Quotas;
use serde::Serialize;
use utoipa::ToSchema;

use crate::OrganizationHealth;
use crate::view::destination::{DeliveryLimitsBody, RetryPolicyBody};

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub struct OrganizationView {
    /// The identifier.
    #[schema(value_type = String, example = "org_01kavd83802s63efghp3q1cpj4")]
    pub id: OrganizationId,
    /// The display name.
    pub name: String,
    /// Your own identifier of the organization.
    pub external_id: Option<String>,
    /// `active`, or `suspended`: submitting is refused and deliveries wait.
    #[schema(value_type = String, example = "active")]
    pub status: OrganizationStatus,
    /// The settings.
    #[schema(value_type = OrganizationSettingsBody)]
    pub settings: OrganizationSettings,
    /// What the organization may use of the service's own AWS role.
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
        Self { id, name, external_id, status, settings, grants, quotas, aws_external_id, health: None, created_at, updated_at, url }
    }
}

/// An organization's settings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationSettings)]
pub struct OrganizationSettingsBody {
    /// The destinations of messages that name none, in addition to those that subscribe.
    pub default_destination_ids: Vec<String>,
    /// Who gets alerts by e-mail: addresses that were confirmed. An address that is added gets a mail with a link first.
    pub alert_emails: Vec<String>,
    /// Addresses that were added and not confirmed yet: they get no alerts.
    #[schema(read_only)]
    pub unconfirmed_alert_emails: Vec<String>,
    /// Which destinations get alerts.
    pub alert_destination_ids: Vec<String>,
    /// Which destinations get status updates.
    pub status_destination_ids: Vec<String>,
    /// Which status updates: `delivery.succeeded`, `delivery.failed`, `message.completed`.
    pub status_events: Vec<String>,
    /// When failing destinations are reported and stopped.
    pub failure_policy: FailurePolicyBody,
    /// The retry policy of destinations that have none of their own; null: five retries, after 1, 2, 4, 8 and 16 s.
    pub retry_policy: Option<RetryPolicyBody>,
    /// What destinations take that have no limits of their own; null: as much as comes.
    pub delivery_limits: Option<DeliveryLimitsBody>,
    /// No second alert of a kind for a destination within this time.
    pub alert_debounce_seconds: u32,
    /// A delivery that took longer is slow.
    pub latency_warning_ms: u32,
    /// A success rate below this is degraded.
    pub success_rate_warning: f64,
    /// Work that waited longer is late.
    pub pending_age_warning_seconds: u32,
    /// How long history is kept.
    pub retention_days: u32,
    /// How long payloads are kept; at most `retention_days`.
    pub payload_retention_days: u32,
    /// How long audit events are kept.
    pub audit_retention_days: u32,
}

/// When failing destinations are reported and stopped.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailurePolicy)]
pub struct FailurePolicyBody {
    /// Alert when the streak of failures reaches this.
    pub alert_after_failures: u32,
    /// Disable when it reaches this; null never disables.
    pub disable_after_failures: Option<u32>,
    /// The time, in seconds, that a streak must also have lasted before it disables. A streak that ended is alerted and disables nothing.
    pub disable_min_failing_seconds: u32,
    /// Alert also when this share of recent attempts failed, although successes keep breaking the streak; null never does.
    pub failure_rate: Option<FailureRateBody>,
    /// Whether a destination that failures disabled is checked after 1, 5, 15 and 60 minutes and then hourly for 7 days. When a check passes,
    /// it is enabled and what it missed since its first failure is replayed.
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
    /// How far back attempts count, in seconds.
    #[schema(example = 900)]
    pub window_seconds: u32,
    /// How many attempts the window must hold.
    #[schema(example = 20)]
    pub min_attempts: u32,
}

/// What an organization may use of the service's own AWS role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grants)]
pub struct GrantsBody {
    /// Names of S3 buckets.
    pub buckets: Vec<String>,
    /// SES identities.
    pub ses_identities: Vec<String>,
    /// ARNs of databases.
    pub databases: Vec<String>,
    /// ARNs of secrets in Secrets Manager.
    pub secret_arns: Vec<String>,
}

/// How much of the service an organization may use. Over a quota requests are refused as a whole, with 429 `rate_limited`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quotas)]
pub struct QuotasBody {
    /// Requests of its callers; four times as many at once.
    pub requests_per_second: u32,
    /// Deliveries that its messages make; twenty times as many at once.
    pub deliveries_per_second: u32,
    /// Connection checks, whichever request causes them.
    pub checks_per_minute: u32,
    /// Previews of what a destination would receive.
    pub previews_per_minute: u32,
    /// Bytes of announced uploads that no message uses yet.
    pub upload_bytes_outstanding: u64,
}

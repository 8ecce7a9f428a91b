//! Destinations.

use domain::Timestamp;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::event_type::EventPattern;
use domain::health::{Health, HealthStatus, LastError};
use domain::id::{DestinationId, OrganizationId, SecretId};
use domain::organization::{FailurePolicy, OrganizationSettings};
use domain::retry::RetryPolicy;
use domain::signing_secret::SigningSecret;
use domain::statistics::{Latencies, Tally};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::view::organization::FailurePolicyBody;
use crate::view::statistics::HealthBucket;
use crate::words::{DestinationTypeName, ReasonName};

/// A destination. Secrets go in and never out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub struct DestinationView {
    /// Its id.
    #[schema(value_type = String, example = "dst_01kavd83802s63efghp3q1cpj4")]
    pub id: DestinationId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// The customer's own name for it.
    pub external_id: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    #[schema(value_type = DestinationTypeName)]
    pub kind: &'static str,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// `enabled` or `disabled`.
    #[schema(example = "enabled")]
    pub status: &'static str,
    /// Since when, by whom and why it is disabled; null while it is enabled.
    pub disabled: Option<DisabledView>,
    /// Where and how, by type (`GET /v1/destination-types`).
    #[schema(value_type = Object)]
    pub settings: Value,
    /// How it is authenticated with; each secret as `{"set": true, "hint", "updated_at"}`.
    #[schema(value_type = Object)]
    pub credentials: Value,
    /// What signs its requests, newest first.
    pub signing_secrets: Vec<SigningSecretView>,
    /// The event types it subscribes to; null subscribes to nothing.
    #[schema(value_type = Option<Vec<String>>)]
    pub event_types: Option<Vec<EventPattern>>,
    /// How it is tried again: its own policy, or what holds without one.
    #[schema(value_type = RetryPolicyBody)]
    pub retry_policy: RetryPolicy,
    /// Its own thresholds; null: the organization's.
    #[schema(value_type = Option<FailurePolicyBody>)]
    pub failure_policy: Option<FailurePolicy>,
    /// Counts changes; also the `ETag`.
    pub revision: u64,
    /// When a check last passed for these settings and credentials.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub verified_at: Option<Timestamp>,
    /// How it is doing; in lists only with `?include=health`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthView>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// A deep link.
    pub url: String,
}

/// Since when, by whom and why a destination is disabled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disabled)]
pub struct DisabledView {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `user`, `failures`, or `receiver`: it answered `410 Gone`.
    #[schema(value_type = String, example = "user")]
    pub by: DisabledBy,
    /// Why.
    pub reason: Option<String>,
}

/// A signing secret, without the secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningSecret)]
pub struct SigningSecretView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SecretId,
    /// `generated`, `provided` or `secrets_manager`.
    #[schema(example = "generated")]
    pub source: &'static str,
    /// Its last four characters.
    pub hint: Option<String>,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Signs until then; null until it is replaced.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Timestamp>,
}

/// How a destination is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// `healthy`, `degraded`, `failing` or `unknown`.
    #[schema(value_type = String, example = "healthy")]
    pub status: HealthStatus,
    /// Failed attempts since the last success or the last enabling.
    pub consecutive_failures: u32,
    /// When the streak began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_failure_at: Option<Timestamp>,
    /// The last failure ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_failure_at: Option<Timestamp>,
    /// The last success, where known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success_at: Option<Timestamp>,
    /// What the last failure was.
    #[schema(value_type = Option<LastErrorView>)]
    pub last_error: Option<LastError>,
    /// Deliveries that wait: those to be tried again, and those of the newest that no attempt was made of yet.
    pub pending: u64,
    /// The last 24 hours, up to and with the one that runs.
    pub last_24h: Last24h,
    /// The same, hour by hour, for the console's sparklines.
    #[serde(skip)]
    pub hours: Vec<HealthBucket>,
}

/// A destination's last 24 hours.
#[derive(Debug, Serialize, ToSchema)]
pub struct Last24h {
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// The share that succeeded; null without any attempt.
    pub success_rate: Option<f64>,
    /// How long successful attempts took.
    pub latency_ms: Percentiles,
}

/// How long successful attempts took, in milliseconds; null without any.
#[derive(Debug, Serialize, ToSchema)]
pub struct Percentiles {
    /// Half took no longer.
    pub p50: Option<u64>,
    /// 95 % took no longer.
    pub p95: Option<u64>,
    /// 99 % took no longer.
    pub p99: Option<u64>,
}

impl Percentiles {
    pub(crate) fn of(latency: &Latencies) -> Self {
        Self { p50: latency.percentile(0.5), p95: latency.percentile(0.95), p99: latency.percentile(0.99) }
    }
}

/// What went wrong last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastError)]
pub struct LastErrorView {
    /// The category.
    #[schema(value_type = ReasonName)]
    pub reason: domain::Reason,
    /// In words.
    pub detail: String,
}

/// A destination that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewDestination {
    /// What reads show of it.
    #[serde(flatten)]
    pub view: DestinationView,
    /// The generated signing secret, this once; not there when the customer brought one; null in a replayed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_…")]
    pub signing_secret: Option<String>,
}

/// The answer of a rotation.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedSecret {
    /// The generated secret, this once; not there when the customer brought one; null in a replayed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// Older secrets that had no end sign until then; null when they ended at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub previous_valid_until: Option<Timestamp>,
}

/// How a destination is tried again: with waits that a formula computes, or with those of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetryPolicy)]
pub struct RetryPolicyBody {
    /// A schedule by name. `patient` retries after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h: for three days.
    #[schema(value_type = Option<String>, example = "patient")]
    pub preset: Option<&'static str>,
    /// The wait before each retry, instead of the formula; excludes `preset`, `initial_seconds`, `multiplier` and `max_seconds`.
    #[schema(min_items = 1, max_items = 30)]
    pub schedule_seconds: Option<Vec<u32>>,
    /// Retries after the first attempt; a schedule has as many as it lists.
    #[schema(minimum = 0, maximum = 30, default = 5)]
    pub max_retries: u32,
    /// The first wait of the formula.
    #[schema(minimum = 1, maximum = 43200, default = 1)]
    pub initial_seconds: Option<u32>,
    /// What each further wait of the formula is multiplied by.
    #[schema(minimum = 1, maximum = 10, default = 2)]
    pub multiplier: Option<f64>,
    /// The longest wait that the formula computes.
    #[schema(minimum = 1, maximum = 43200, default = 3600)]
    pub max_seconds: Option<u32>,
    /// The share of a wait that chance may add.
    #[schema(minimum = 0, maximum = 1, default = 0.1)]
    pub jitter: f64,
    /// Whether 3xx, 401, 403 and other 4xx answers are tried again.
    #[schema(default = true)]
    pub retry_client_errors: bool,
}

/// The answer of `…/check` for a destination.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checked {
    /// What was found.
    #[schema(value_type = CheckView)]
    pub check: domain::check::CheckReport,
}

/// What a connection check found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub struct CheckView {
    /// Every step that was taken succeeded.
    pub ok: bool,
    /// In order.
    pub steps: Vec<CheckStepView>,
}

/// One step of a connection check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckStep)]
pub struct CheckStepView {
    /// `resolve`, `connect`, `tls`, `host_key`, `authenticate`, `authorize` or `write`.
    pub name: String,
    /// Null: not reached.
    pub ok: Option<bool>,
    /// In words.
    pub detail: String,
    /// How long it took.
    pub duration_ms: u64,
}

impl HealthView {
    pub(crate) fn of(health: Health, alert_after_failures: u32, success_rate_warning: f64, pending: u64, last_24h: &Tally) -> Self {
        let success_rate = last_24h.success_rate();
        Self {
            status: match health.status(alert_after_failures) {
                HealthStatus::Healthy if success_rate.is_some_and(|rate| rate < success_rate_warning) => HealthStatus::Degraded,
                // A failure that does not count to the streak was an attempt all the same.
                HealthStatus::Unknown if success_rate.is_some() => HealthStatus::Degraded,
                status => status,
            },
            consecutive_failures: health.consecutive_failures,
            first_failure_at: health.first_failure_at,
            last_failure_at: health.last_failure_at,
            last_success_at: health.last_success_at,
            last_error: health.last_error,
            pending,
            hours: Vec::new(),
            last_24h: Last24h {
                succeeded: last_24h.succeeded,
                failed_attempts: last_24h.failed_attempts(),
                success_rate,
                latency_ms: Percentiles::of(&last_24h.latency),
            },
        }
    }
}

impl From<&SigningSecret> for SigningSecretView {
    fn from(secret: &SigningSecret) -> Self {
        Self {
            id: secret.id,
            source: secret.source.as_str(),
            hint: secret.hint.clone(),
            created_at: secret.created_at,
            valid_until: secret.valid_until,
        }
    }
}

impl DestinationView {
    pub(crate) fn of(
        destination: &Destination,
        settings: &OrganizationSettings,
        health: Option<HealthView>,
        now: Timestamp,
        url: String,
    ) -> Self {
        let (status, disabled) = match &destination.state {
            DestinationState::Disabled { at, by, reason } => ("disabled", Some(DisabledView { at: *at, by: *by, reason: reason.clone() })),
            DestinationState::Enabled | DestinationState::Deleted { .. } => ("enabled", None),
        };
        Self {
            id: destination.id,
            organization_id: destination.organization_id,
            external_id: destination.external_id.clone(),
            kind: destination.kind().as_str(),
            name: destination.name.clone(),
            description: destination.description.clone(),
            status,
            disabled,
            settings: destination.settings.to_json(),
            credentials: destination.credentials.to_json(),
            signing_secrets: destination.live_secrets(now).into_iter().map(SigningSecretView::from).collect(),
            event_types: destination.event_types.clone(),
            retry_policy: destination.retries(settings.retry_policy.as_ref()),
            failure_policy: destination.failure_policy.clone(),
            revision: destination.revision,
            verified_at: destination.verified_at,
            health,
            created_at: destination.created_at,
            updated_at: destination.updated_at,
            url,
        }
    }
}

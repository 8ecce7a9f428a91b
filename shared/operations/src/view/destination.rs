//! The views of destinations, their health and their checks.

use domain::Timestamp;
use domain::destination::{Destination, DestinationState, DisabledBy, OnExhausted};
use domain::event_type::EventPattern;
use domain::health::{Health, HealthStatus, LastError};
use domain::id::{DestinationId, OrganizationId, SecretId};
use domain::organization::{FailurePolicy, OrganizationSettings};
use domain::recovery::is_recoverable;
use domain::retry::RetryPolicy;
use domain::signing_secret::SigningSecret;
use domain::statistics::{Latencies, Tally};
use domain::waiting::DeliveryLimits;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::view::organization::FailurePolicyBody;
use crate::view::statistics::HealthBucket;
use crate::words::{DestinationTypeName, ReasonName};

/// A destination. Its secrets can be written and never read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub struct DestinationView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "dst_01kavd83802s63efghp3q1cpj4")]
    pub id: DestinationId,
    /// The organization that the object belongs to.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// Your own identifier of the destination.
    pub external_id: Option<String>,
    /// The type of the destination, which decides its settings and credentials.
    #[serde(rename = "type")]
    #[schema(value_type = DestinationTypeName)]
    pub kind: &'static str,
    /// The name that people see in the console and in alerts.
    pub name: String,
    /// A description for people, which is shown in the console.
    pub description: Option<String>,
    /// `enabled`; `paused`, so that deliveries wait; or `disabled`, so that deliveries are skipped.
    #[schema(example = "enabled")]
    pub status: &'static str,
    /// When, by whom and why the destination was paused, and when it resumes; null while it is not
    /// paused.
    pub paused: Option<PausedView>,
    /// When, by whom and why the destination was disabled; null while it is enabled.
    pub disabled: Option<DisabledView>,
    /// The settings, which depend on the type of the destination.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// How Waybill authenticates at the destination. A secret is shown as
    /// `{"set": true, "hint", "updated_at"}`.
    #[schema(value_type = Object)]
    pub credentials: Value,
    /// The secrets that sign at present, newest first.
    pub signing_secrets: Vec<SigningSecretView>,
    /// The event types that the destination subscribes to; null if it subscribes to none.
    #[schema(value_type = Option<Vec<String>>)]
    pub event_types: Option<Vec<EventPattern>>,
    /// The retry policy that applies: the destination's own or the organization's.
    #[schema(value_type = RetryPolicyBody)]
    pub retry_policy: RetryPolicy,
    /// The destination's own thresholds; null if those of the organization apply.
    #[schema(value_type = Option<FailurePolicyBody>)]
    pub failure_policy: Option<FailurePolicy>,
    /// How fast the destination accepts deliveries; null if the organization's limits apply, if
    /// there are any.
    #[schema(value_type = Option<DeliveryLimitsBody>)]
    pub delivery_limits: Option<DeliveryLimits>,
    /// The destinations that get a message whose delivery to this one has failed; null if there are
    /// none.
    #[schema(value_type = Option<OnExhaustedBody>)]
    pub on_exhausted: Option<OnExhausted>,
    /// The revision of the destination, which is also the `ETag` header.
    pub revision: u64,
    /// When these settings and credentials last passed a connection check.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub verified_at: Option<Timestamp>,
    /// The health of the destination; in lists only with `?include=health`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthView>,
    /// When the object was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the object last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// A link to this object in the console.
    pub url: String,
}

/// When, by whom and why a destination was disabled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disabled)]
pub struct DisabledView {
    /// When the destination was disabled.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `user`, `failures`, or `receiver`, which returned `410 Gone`.
    #[schema(value_type = String, example = "user")]
    pub by: DisabledBy,
    /// The reason that was given or recorded; null if there is none.
    pub reason: Option<String>,
    /// When Waybill checks the destination next, to enable it if the check passes; null unless
    /// `failure_policy.auto_recover` is true and the checks go on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_check_at: Option<Timestamp>,
}

/// A pause of a destination: when it began, who paused it, why, and when it ends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Paused)]
pub struct PausedView {
    /// When the destination was paused.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who paused the destination, which is always `user`.
    #[schema(example = "user")]
    pub by: &'static str,
    /// The reason that was given; null if none was.
    pub reason: Option<String>,
    /// When the destination resumes by itself; null if it stays paused until it is resumed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// The destinations that get a message whose delivery has ended as `failed`. Each gets a delivery
/// of its own, with `failed_delivery_id` and `failed_reason`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OnExhausted)]
pub struct OnExhaustedBody {
    /// The identifiers of other destinations of the same organization.
    pub destination_ids: Vec<String>,
}

/// How fast a destination accepts deliveries. Deliveries above a limit wait; this is neither an
/// attempt nor a failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryLimits)]
pub struct DeliveryLimitsBody {
    /// How many attempts may start within a second; null for any number.
    pub max_per_second: Option<f64>,
    /// How many attempts may run at the same time; null for any number.
    pub max_concurrent: Option<u32>,
}

/// A signing secret, without its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningSecret)]
pub struct SigningSecretView {
    /// Unique identifier of the object.
    #[schema(value_type = String)]
    pub id: SecretId,
    /// Where the secret comes from: `generated`, `provided` or `secrets_manager`.
    #[schema(example = "generated")]
    pub source: &'static str,
    /// The last four characters of the secret.
    pub hint: Option<String>,
    /// When the secret was added.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the secret stops signing; null until it is replaced.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Timestamp>,
}

/// How a destination is doing: its failures, its success rate and what is pending.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// `healthy`; `degraded`, with some failures; `failing`, with as many as
    /// `alert_after_failures`; or `unknown`, without an attempt.
    #[schema(value_type = String, example = "healthy")]
    pub status: HealthStatus,
    /// The number of attempts that failed since the last success, or since the destination was
    /// enabled.
    pub consecutive_failures: u32,
    /// When the first of the consecutive failures occurred; null if there are none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_failure_at: Option<Timestamp>,
    /// When an attempt last failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_failure_at: Option<Timestamp>,
    /// When an attempt last succeeded, if known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success_at: Option<Timestamp>,
    /// The last failure; null if no attempt has failed.
    #[schema(value_type = Option<LastErrorView>)]
    pub last_error: Option<LastError>,
    /// The number of deliveries that wait for an attempt: all that are to be retried, and the
    /// newest ones that have had no attempt yet.
    pub pending: u64,
    /// The last 24 hours, including the current one.
    pub last_24h: Last24h,
    /// The last 24 hours by the hour, for the console's sparklines.
    #[serde(skip)]
    pub hours: Vec<HealthBucket>,
    /// When the destination is checked next. It is shown with the reason why the destination is
    /// disabled.
    #[serde(skip)]
    pub(crate) next_check_at: Option<Timestamp>,
}

/// The attempts of a destination in the last 24 hours.
#[derive(Debug, Serialize, ToSchema)]
pub struct Last24h {
    /// The number of attempts that succeeded.
    pub succeeded: u64,
    /// The number of attempts that failed.
    pub failed_attempts: u64,
    /// The share of attempts that succeeded, between 0 and 1; null if there were none.
    pub success_rate: Option<f64>,
    /// How long successful attempts took, in milliseconds.
    pub latency_ms: Percentiles,
}

/// How long successful attempts took, in milliseconds. Each is null if no attempt succeeded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Percentiles {
    /// The median: half of the attempts took no longer.
    pub p50: Option<u64>,
    /// The 95th percentile: 95 of 100 attempts took no longer.
    pub p95: Option<u64>,
    /// The 99th percentile: 99 of 100 attempts took no longer.
    pub p99: Option<u64>,
}

impl Percentiles {
    pub(crate) fn of(latency: &Latencies) -> Self {
        Self {
            p50: latency.percentile(0.5),
            p95: latency.percentile(0.95),
            p99: latency.percentile(0.99),
        }
    }
}

/// Why the last failed attempt failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastError)]
pub struct LastErrorView {
    /// The failure category, such as `timeout` or `rejected`.
    #[schema(value_type = ReasonName)]
    pub reason: domain::Reason,
    /// A sentence for people that explains the result. Programs should use the codes.
    pub detail: String,
}

/// A destination that was created.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewDestination {
    /// What reads show of it.
    #[serde(flatten)]
    pub view: DestinationView,
    /// The generated signing secret, shown once. Absent if you provided the secret; null in a
    /// replayed response.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_…")]
    pub signing_secret: Option<String>,
}

/// The response to the rotation of a destination's signing secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedSecret {
    /// The generated secret, shown once. Absent if you provided the secret; null in a replayed
    /// response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// When the previous secrets stop signing; null if they stopped at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub previous_valid_until: Option<Timestamp>,
}

/// When failed attempts are retried: after waits that a formula computes, or after those of a
/// schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetryPolicy)]
pub struct RetryPolicyBody {
    /// A schedule by name. `patient` retries after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h:
    /// for three days.
    #[schema(value_type = Option<String>, example = "patient")]
    pub preset: Option<&'static str>,
    /// The wait before each retry, in seconds. Excludes `preset`, `initial_seconds`, `multiplier`
    /// and `max_seconds`.
    pub schedule_seconds: Option<Vec<u32>>,
    /// The number of retries after the first attempt. A schedule has as many as it lists.
    pub max_retries: u32,
    /// The first wait, in seconds.
    pub initial_seconds: Option<u32>,
    /// The factor by which each further wait grows.
    pub multiplier: Option<f64>,
    /// The longest wait, in seconds.
    pub max_seconds: Option<u32>,
    /// The share of each wait that is added at random, so that retries do not coincide.
    pub jitter: f64,
    /// Whether attempts that got a 3xx or 4xx response are retried.
    #[schema(default = true)]
    pub retry_client_errors: bool,
}

/// The response of `…/check` for a destination.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checked {
    /// The result of the check.
    #[schema(value_type = CheckView)]
    pub check: domain::check::CheckReport,
}

/// What a connection check found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub struct CheckView {
    /// Whether the check passed, which means that no step failed.
    pub ok: bool,
    /// The steps of the check, in the order they were taken.
    pub steps: Vec<CheckStepView>,
}

/// One step of a connection check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckStep)]
pub struct CheckStepView {
    /// `resolve`, `connect`, `tls`, `host_key`, `authenticate`, `authorize` or `write`.
    pub name: String,
    /// Whether the step succeeded; null if it was not reached.
    pub ok: Option<bool>,
    /// A sentence for people that explains the result. Programs should use the codes.
    pub detail: String,
    /// The failure category; absent unless the step failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long the step took, in milliseconds.
    pub duration_ms: u64,
}

impl HealthView {
    pub(crate) fn of(
        health: Health,
        alert_after_failures: u32,
        success_rate_warning: f64,
        pending: u64,
        last_24h: &Tally,
    ) -> Self {
        let success_rate = last_24h.success_rate();
        Self {
            status: match health.status(alert_after_failures) {
                HealthStatus::Healthy
                    if success_rate.is_some_and(|rate| rate < success_rate_warning) =>
                {
                    HealthStatus::Degraded
                }
                // A failure that does not count towards the streak is an attempt as well.
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
            next_check_at: health.recovery.and_then(|recovery| recovery.next_check_at),
            last_24h: Last24h {
                succeeded: last_24h.succeeded,
                failed_attempts: last_24h.failed_attempts(),
                success_rate,
                latency_ms: Percentiles::of(&last_24h.latency),
            },
        }
    }
}

/// Returns a destination's status at `now`. A pause whose end has passed no longer counts.
pub(crate) fn status(destination: &Destination, now: Timestamp) -> &'static str {
    match &destination.state {
        DestinationState::Disabled { .. } => "disabled",
        DestinationState::Paused { .. } if destination.paused_until(now).is_some() => "paused",
        DestinationState::Enabled
        | DestinationState::Paused { .. }
        | DestinationState::Deleted { .. } => "enabled",
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
        let policy = destination.policy(&settings.failure_policy);
        let next_check_at = health
            .as_ref()
            .and_then(|health| health.next_check_at)
            .filter(|_| is_recoverable(destination, policy));
        let (disabled, paused) = match &destination.state {
            DestinationState::Disabled { at, by, reason } => (
                Some(DisabledView {
                    at: *at,
                    by: *by,
                    reason: reason.clone(),
                    next_check_at,
                }),
                None,
            ),
            DestinationState::Paused { at, reason, until }
                if destination.paused_until(now).is_some() =>
            {
                (
                    None,
                    Some(PausedView {
                        at: *at,
                        by: "user",
                        reason: reason.clone(),
                        until: *until,
                    }),
                )
            }
            DestinationState::Enabled
            | DestinationState::Paused { .. }
            | DestinationState::Deleted { .. } => (None, None),
        };
        Self {
            id: destination.id,
            organization_id: destination.organization_id,
            external_id: destination.external_id.clone(),
            kind: destination.kind().as_str(),
            name: destination.name.clone(),
            description: destination.description.clone(),
            status: status(destination, now),
            disabled,
            paused,
            settings: destination.settings.to_json(),
            credentials: destination.credentials.to_json(),
            signing_secrets: destination
                .live_secrets(now)
                .into_iter()
                .map(SigningSecretView::from)
                .collect(),
            event_types: destination.event_types.clone(),
            retry_policy: destination.retries(settings.retry_policy.as_ref()),
            failure_policy: destination.failure_policy.clone(),
            delivery_limits: destination.delivery_limits,
            on_exhausted: destination.on_exhausted.clone(),
            revision: destination.revision(),
            verified_at: destination.verified_at,
            health,
            created_at: destination.created_at,
            updated_at: destination.updated_at,
            url,
        }
    }
}

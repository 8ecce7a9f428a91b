//! The bodies of destination requests, as the OpenAPI document shows them; [`super::input`] reads
//! them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::view::destination::{DeliveryLimitsBody, OnExhaustedBody, RetryPolicyBody};
use crate::view::organization::FailurePolicyBody;
use crate::words::DestinationTypeName;

/// The body of `POST /v1/destinations` and `POST /v1/destinations/check`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateDestination {
    /// The type of the destination, which decides its settings and credentials.
    #[serde(rename = "type")]
    #[schema(value_type = DestinationTypeName)]
    pub kind: String,
    /// The name that people see in the console and in alerts.
    pub name: String,
    /// A description for people, which is shown in the console.
    pub description: Option<String>,
    /// Your own identifier of the destination.
    pub external_id: Option<String>,
    /// The settings, which depend on the type of the destination.
    #[schema(value_type = Object, example = json!({"url": "https://example.com/hooks"}))]
    pub settings: Value,
    /// The credentials. Optional for a webhook that signs its requests.
    #[schema(value_type = Option<Object>, example = json!({"kind": "bearer", "token": "…"}))]
    pub credentials: Option<Value>,
    /// The customer's own secret: `whsec_` and the base64 of 24 to 64 bytes, or
    /// `{"secret_arn", "role_arn?"}`: a secret in AWS Secrets Manager that was granted to the
    /// organization, or that a role of its own may read. Left out, one is generated.
    #[schema(value_type = Option<Object>)]
    pub signing_secret: Option<Value>,
    /// The event types that the destination subscribes to. `*` stands for one segment, `**` for any
    /// number.
    #[schema(example = json!(["invoice.*"]))]
    pub event_types: Option<Vec<String>>,
    /// The destination's own retry policy, in place of the organization's.
    pub retry_policy: Option<RetryPolicyBody>,
    /// Thresholds that replace those of the organization.
    pub failure_policy: Option<FailurePolicyBody>,
    /// How fast the destination accepts deliveries, in place of the organization's limits.
    pub delivery_limits: Option<DeliveryLimitsBody>,
    /// The destinations that get a message whose delivery to this one has failed.
    pub on_exhausted: Option<OnExhaustedBody>,
}

/// The body of `PATCH /v1/destinations/{id}`: a merge patch (RFC 7396).
#[derive(Debug, Serialize, ToSchema)]
pub struct PatchDestination {
    /// The name that people see in the console and in alerts.
    pub name: Option<String>,
    /// A description for people, which is shown in the console.
    pub description: Option<String>,
    /// Your own identifier of the destination.
    pub external_id: Option<String>,
    /// The settings that change.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Value>,
    /// Of the same `kind`: what changes. Of another: the whole. A change of scheme, host or port
    /// needs every secret again.
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<Value>,
    /// The event types that the destination subscribes to. The list is replaced as a whole.
    pub event_types: Option<Vec<String>>,
    /// The members of the retry policy that change; null to use the organization's.
    pub retry_policy: Option<RetryPolicyBody>,
    /// The thresholds that change; null to use the organization's.
    pub failure_policy: Option<FailurePolicyBody>,
    /// The limits that change; null to use the organization's limits.
    pub delivery_limits: Option<DeliveryLimitsBody>,
    /// The destinations that get a message whose delivery to this one has failed. The list is
    /// replaced as a whole.
    pub on_exhausted: Option<OnExhaustedBody>,
}

/// The body of `POST /v1/destinations/{id}/rotate-secret`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotateSecret {
    /// Your own secret. Default: a secret is generated.
    #[schema(value_type = Option<Object>)]
    pub secret: Option<Value>,
    /// How long older secrets continue to sign, in seconds. 0 ends all of them at once.
    pub overlap_seconds: Option<u32>,
}

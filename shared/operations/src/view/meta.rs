//! About this Waybill.

use domain::limits;
use domain::role::Role;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::words::{DestinationTypeName, RoleName};

/// `GET /v1/meta`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Meta {
    /// Waybill's version.
    pub version: &'static str,
    /// The roles of keys, most rights first.
    #[schema(value_type = Vec<RoleName>)]
    pub roles: Vec<Role>,
    /// The limits of requests.
    pub limits: Limits,
    /// The addresses that deliveries come from; empty when they are not fixed.
    pub egress_ips: Vec<String>,
}

/// The limits of requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct Limits {
    /// A request body.
    pub request_body_bytes: usize,
    /// A payload, or decoded content.
    pub payload_bytes: usize,
    /// How deep a payload may nest.
    pub payload_depth: usize,
    /// Messages of a batch.
    pub batch_messages: usize,
    /// Messages of a batch times their destinations.
    pub batch_deliveries: usize,
    /// Destinations that one message may name.
    pub destinations_per_message: usize,
    /// Destinations of one organization.
    pub destinations: usize,
    /// API keys of one organization.
    pub api_keys: usize,
    /// Patterns in a destination's `event_types`.
    pub event_type_patterns: usize,
    /// Custom headers of a webhook.
    pub headers: usize,
    /// Members of `metadata`.
    pub metadata: usize,
    /// Characters of a name.
    pub name_characters: usize,
    /// Characters of a description.
    pub description_characters: usize,
    /// Characters of `reference` and `external_id`.
    pub reference_characters: usize,
    /// Connection checks a minute, unless the organization's quotas say otherwise; as many tests.
    pub checks_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_body_bytes: limits::BODY_MAX_BYTES,
            payload_bytes: limits::PAYLOAD_MAX_BYTES,
            payload_depth: limits::PAYLOAD_DEPTH_MAX,
            batch_messages: limits::BATCH_MAX,
            batch_deliveries: crate::message::BATCH_DELIVERIES_MAX,
            destinations_per_message: limits::NAMED_DESTINATIONS_MAX,
            destinations: limits::DESTINATIONS_MAX,
            api_keys: limits::KEYS_MAX,
            event_type_patterns: limits::EVENT_PATTERNS_MAX,
            headers: limits::HEADERS_MAX,
            metadata: limits::METADATA_MAX,
            name_characters: *limits::NAME.end(),
            description_characters: *limits::DESCRIPTION.end(),
            reference_characters: *limits::REFERENCE.end(),
            checks_per_minute: domain::quota::Quotas::default().checks_per_minute,
        }
    }
}

/// A destination type with the schemas of its settings and credentials.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DestinationType)]
pub struct DestinationTypeView {
    /// The destination type.
    #[serde(rename = "type")]
    #[schema(value_type = DestinationTypeName)]
    pub kind: &'static str,
    /// JSON Schema of `settings`.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// JSON Schema of `credentials`.
    #[schema(value_type = Object)]
    pub credentials: Value,
}

/// `GET /v1/destination-types`.
#[derive(Debug, Serialize, ToSchema)]
pub struct DestinationTypes {
    /// All destination types.
    pub data: Vec<DestinationTypeView>,
    /// Always null; the list has one page.
    pub next_cursor: Option<String>,
}

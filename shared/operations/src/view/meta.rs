//! The views of information about this deployment of Waybill.

use domain::limits;
use domain::role::Role;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::words::{DestinationTypeName, RoleName};

/// The response of `GET /v1/meta`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Meta {
    /// The version of Waybill that responds.
    pub version: &'static str,
    /// The roles that a key can have, the one with the most rights first.
    #[schema(value_type = Vec<RoleName>)]
    pub roles: Vec<Role>,
    /// The limits that requests have to observe.
    pub limits: Limits,
    /// The IP addresses that deliveries come from; empty if they are not fixed.
    pub egress_ips: Vec<String>,
}

/// The limits that requests have to observe.
#[derive(Debug, Serialize, ToSchema)]
pub struct Limits {
    /// The maximum size of a request body, in bytes.
    pub request_body_bytes: usize,
    /// The maximum size of a payload, or of content after decoding, in bytes.
    pub payload_bytes: usize,
    /// The maximum depth of nested arrays and objects in a payload.
    pub payload_depth: usize,
    /// The maximum number of messages of a batch.
    pub batch_messages: usize,
    /// The maximum number of deliveries that the messages of one batch may make together.
    pub batch_deliveries: usize,
    /// The maximum number of destinations that one message may name.
    pub destinations_per_message: usize,
    /// The maximum number of destinations of one organization.
    pub destinations: usize,
    /// The maximum number of API keys of one organization.
    pub api_keys: usize,
    /// The maximum number of patterns in the `event_types` of a destination.
    pub event_type_patterns: usize,
    /// The maximum number of custom headers of a webhook.
    pub headers: usize,
    /// The maximum number of members of `metadata`.
    pub metadata: usize,
    /// The maximum number of characters of a name.
    pub name_characters: usize,
    /// The maximum number of characters of a description.
    pub description_characters: usize,
    /// The maximum number of characters of `reference` and `external_id`.
    pub reference_characters: usize,
    /// The maximum number of connection checks a minute, and of tests, unless the organization's
    /// quotas differ.
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
    /// The type of the destination, which decides its settings and credentials.
    #[serde(rename = "type")]
    #[schema(value_type = DestinationTypeName)]
    pub kind: &'static str,
    /// The JSON Schema of `settings` for this type.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// The JSON Schema of `credentials` for this type.
    #[schema(value_type = Object)]
    pub credentials: Value,
}

/// The response of `GET /v1/destination-types`.
#[derive(Debug, Serialize, ToSchema)]
pub struct DestinationTypes {
    /// Every destination type, with the schemas of its settings and credentials.
    pub data: Vec<DestinationTypeView>,
    /// Always null, because the list has only one page.
    pub next_cursor: Option<String>,
}

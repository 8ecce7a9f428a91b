//! The length limits of api.md (Conventions, Limits), in characters unless said otherwise.

/// A name.
pub const NAME_MAX: usize = 200;
/// A description, and a reason a person gives.
pub const DESCRIPTION_MAX: usize = 1000;
/// `reference` and `external_id`.
pub const REFERENCE_MAX: usize = 255;
/// Members of `metadata`.
pub const METADATA_MAX: usize = 20;
/// A metadata key.
pub const METADATA_KEY_MAX: usize = 64;
/// A metadata value.
pub const METADATA_VALUE_MAX: usize = 512;
/// Patterns in a destination's `event_types`.
pub const EVENT_PATTERNS_MAX: usize = 100;
/// Custom headers of a webhook.
pub const HEADERS_MAX: usize = 20;
/// One custom header's value, in bytes.
pub const HEADER_VALUE_MAX_BYTES: usize = 4096;
/// Destinations of one organization.
pub const DESTINATIONS_MAX: usize = 1000;
/// API keys of one organization.
pub const KEYS_MAX: usize = 100;
/// Jobs of an organization that have not finished.
pub const JOBS_MAX: usize = 20;
/// Portal links of an organization that can still be opened.
pub const PORTAL_LINKS_MAX: usize = 500;
/// Authorizations of an organization that were granted or still can be.
pub const AUTHORIZATIONS_MAX: usize = 100;
/// Named destinations of one message.
pub const NAMED_DESTINATIONS_MAX: usize = 100;
/// A payload, or decoded content, in bytes: 1 MiB.
pub const PAYLOAD_MAX_BYTES: usize = 1 << 20;
/// How deep a payload may nest.
pub const PAYLOAD_DEPTH_MAX: usize = 128;
/// A request body, in bytes: 5 MiB.
pub const BODY_MAX_BYTES: usize = 5 << 20;
/// The largest upload, and the largest source: 5 GiB.
pub const UPLOAD_MAX_BYTES: u64 = 5 << 30;

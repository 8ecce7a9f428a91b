//! The limits that several inputs have in common. Lengths of texts are numbers of characters.

use std::ops::RangeInclusive;

use crate::bounds::Bounds;

/// The length of a name of an organization, destination or key.
pub const NAME: RangeInclusive<usize> = 1..=200;
/// The length of a description, and of a reason that a person gives.
pub const DESCRIPTION: RangeInclusive<usize> = 1..=1000;
/// The length of an identifier that the customer chooses: `reference`, `external_id`, and those of
/// a person.
pub const REFERENCE: RangeInclusive<usize> = 1..=255;
/// The length of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY: RangeInclusive<usize> = 1..=255;
/// The length of a file's name.
pub const FILENAME: RangeInclusive<usize> = 1..=255;
/// The length of a payload's media type.
pub const MEDIA_TYPE: RangeInclusive<usize> = 1..=255;
/// The length of a URL.
pub const URL: RangeInclusive<usize> = 1..=2048;
/// The length of a host's name or address.
pub const HOST: RangeInclusive<usize> = 1..=255;
/// A TCP port.
pub const PORT: Bounds<u16> = Bounds::new(1, 65_535);
/// The length of the ARN of a role that reads the source of a message.
pub const SOURCE_ROLE_ARN: RangeInclusive<usize> = 20..=2048;
/// The length of the key of an object that is the source of a message, and of the object's version.
pub const SOURCE_KEY: RangeInclusive<usize> = 1..=1024;
/// Items of a page of a list.
pub const PAGE_SIZE: Bounds<u32> = Bounds::new(1, 100).or(25);
/// Members of `metadata`.
pub const METADATA_MAX: usize = 20;
/// The length of a name in `metadata`.
pub const METADATA_KEY: RangeInclusive<usize> = 1..=64;
/// The longest value in `metadata`.
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
/// Destinations that one request names for a message.
pub const NAMED_DESTINATIONS_MAX: usize = 100;
/// Destinations in one list of an organization's settings.
pub const SETTINGS_DESTINATIONS_MAX: usize = 100;
/// Messages of one batch.
pub const BATCH_MAX: usize = 100;
/// A payload, or decoded content, in bytes: 1 MiB.
pub const PAYLOAD_MAX_BYTES: usize = 1 << 20;
/// How deep a payload may nest.
pub const PAYLOAD_DEPTH_MAX: usize = 128;
/// A request body, in bytes: 5 MiB.
pub const BODY_MAX_BYTES: usize = 5 << 20;
/// The size of an upload, and of a source: at most 5 GiB.
pub const UPLOAD_BYTES: Bounds<u64> = Bounds::new(0, 5 << 30);

//! The limits that several inputs share. Lengths of texts are numbers of characters.

use std::ops::RangeInclusive;

use crate::bounds::Bounds;

/// The length of the name of an organization, destination or key.
pub const NAME: RangeInclusive<usize> = 1..=200;
/// The length of a description, and of a reason that a user gives.
pub const DESCRIPTION: RangeInclusive<usize> = 1..=1000;
/// The length of an identifier that the customer chooses: `reference`, `external_id`, and the id of
/// a console user.
pub const REFERENCE: RangeInclusive<usize> = 1..=255;
/// The length of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY: RangeInclusive<usize> = 1..=255;
/// The length of a file name.
pub const FILENAME: RangeInclusive<usize> = 1..=255;
/// The length of a payload's media type.
pub const MEDIA_TYPE: RangeInclusive<usize> = 1..=255;
/// The length of a URL.
pub const URL: RangeInclusive<usize> = 1..=2048;
/// The length of a host name or address.
pub const HOST: RangeInclusive<usize> = 1..=255;
/// The allowed TCP port numbers.
pub const PORT: Bounds<u16> = Bounds::new(1, 65_535);
/// The length of the ARN of a role that reads the source of a message.
pub const SOURCE_ROLE_ARN: RangeInclusive<usize> = 20..=2048;
/// The length of the key of an object that is the source of a message, and of the object's version.
pub const SOURCE_KEY: RangeInclusive<usize> = 1..=1024;
/// The number of items on a page of a list.
pub const PAGE_SIZE: Bounds<u32> = Bounds::new(1, 100).with_default(25);
/// The maximum number of members of `metadata`.
pub const METADATA_MAX: usize = 20;
/// The length of a name in `metadata`.
pub const METADATA_KEY: RangeInclusive<usize> = 1..=64;
/// The maximum length of a value in `metadata`.
pub const METADATA_VALUE_MAX: usize = 512;
/// The maximum number of patterns in a destination's `event_types`.
pub const EVENT_PATTERNS_MAX: usize = 100;
/// The maximum number of custom headers of a webhook.
pub const HEADERS_MAX: usize = 20;
/// The maximum length of a custom header's value, in bytes.
pub const HEADER_VALUE_MAX_BYTES: usize = 4096;
/// The maximum number of destinations of one organization.
pub const DESTINATIONS_MAX: usize = 1000;
/// The maximum number of API keys of one organization.
pub const KEYS_MAX: usize = 100;
/// The maximum number of unfinished jobs of one organization.
pub const JOBS_MAX: usize = 20;
/// The maximum number of portal links of one organization that can still be opened.
pub const PORTAL_LINKS_MAX: usize = 500;
/// The maximum number of authorizations of one organization that were granted or can still be
/// granted.
pub const AUTHORIZATIONS_MAX: usize = 100;
/// The maximum number of destinations that one request names for a message.
pub const NAMED_DESTINATIONS_MAX: usize = 100;
/// The maximum number of destinations in one list of an organization's settings.
pub const SETTINGS_DESTINATIONS_MAX: usize = 100;
/// The maximum number of messages in one batch.
pub const BATCH_MAX: usize = 100;
/// The maximum size of a payload, or of decoded content, in bytes: 1 MiB.
pub const PAYLOAD_MAX_BYTES: usize = 1 << 20;
/// The maximum nesting depth of a payload.
pub const PAYLOAD_DEPTH_MAX: usize = 128;
/// The maximum size of a request body, in bytes: 5 MiB.
pub const BODY_MAX_BYTES: usize = 5 << 20;
/// The size of an upload, and of a source, in bytes: at most 5 GiB.
pub const UPLOAD_BYTES: Bounds<u64> = Bounds::new(0, 5 << 30);

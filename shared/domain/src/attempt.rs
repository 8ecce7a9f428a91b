//! An attempt: one try to deliver, and the record people read afterwards.

use serde::{Deserialize, Serialize};

use crate::trace::TraceId;
use crate::{Reason, Timestamp};

/// Bytes of a response body that are kept.
pub const BODY_KEPT_MAX_BYTES: usize = 4096;
/// Bytes of a failure's detail that are kept.
pub const DETAIL_MAX_BYTES: usize = 500;
/// Response headers that are kept, and the bytes of each.
pub const HEADERS_KEPT_MAX: usize = 50;
/// Bytes of one response header's value that are kept.
pub const HEADER_KEPT_MAX_BYTES: usize = 512;

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The message was accepted.
    First,
    /// An attempt before it failed.
    Retry,
    /// A person asked.
    Manual,
    /// A job asked.
    Replay,
    /// A delivery of the same message to another destination ended as failed.
    Fallback,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 5] = [
        Self::First,
        Self::Retry,
        Self::Manual,
        Self::Replay,
        Self::Fallback,
    ];
}

/// The record of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1, over the delivery's whole life.
    pub number: u32,
    /// Why it was made.
    pub trigger: Trigger,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// How it ended: `None` is success.
    pub failure: Option<Failure>,
    /// What was sent, as far as it got.
    pub request: Option<RequestRecord>,
    /// What came back, as far as it got.
    pub response: Option<ResponseRecord>,
    /// The trace it belongs to.
    pub trace_id: TraceId,
}

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The category.
    pub reason: Reason,
    /// In words.
    pub detail: String,
}

/// What was sent. Credentials are redacted before they get here; signatures are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// `POST`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// In the order sent.
    pub headers: Vec<(String, String)>,
    /// The body's length.
    pub size_bytes: u64,
    /// The body's SHA-256, lower-case hexadecimal.
    pub body_sha256: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseRecord {
    /// The status code.
    pub status: u16,
    /// In the order received, bounded.
    pub headers: Vec<(String, String)>,
    /// At most 4 KiB of the body, as text.
    pub body: String,
    /// Whether there was more.
    pub truncated: bool,
}

/// `text` cut to at most `max` bytes at a character's boundary.
#[must_use]
pub fn bounded(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

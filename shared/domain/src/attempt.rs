//! An attempt: one try to deliver, and the record of it that users can read.

use serde::{Deserialize, Serialize};

use crate::trace::TraceId;
use crate::{Reason, Timestamp};

/// The maximum number of bytes of a response body that are stored.
pub const BODY_KEPT_MAX_BYTES: usize = 4096;
/// The maximum number of bytes of a failure's detail that are stored.
pub const DETAIL_MAX_BYTES: usize = 500;
/// The maximum number of response headers that are stored.
pub const HEADERS_KEPT_MAX: usize = 50;
/// The maximum number of bytes of one response header's value that are stored.
pub const HEADER_KEPT_MAX_BYTES: usize = 512;

/// The reason why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The message was accepted; this is the first attempt.
    First,
    /// The previous attempt failed.
    Retry,
    /// A user requested the attempt.
    Manual,
    /// A background job requested the attempt.
    Replay,
    /// A delivery of the same message to another destination ended as failed.
    Fallback,
}

impl Trigger {
    /// Every trigger, in the order of declaration.
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
    /// The number of the attempt, counted from 1 over the delivery's whole life.
    pub number: u32,
    /// The reason why the attempt was made.
    pub trigger: Trigger,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// The duration of the attempt, in milliseconds.
    pub duration_ms: u64,
    /// How the attempt failed; `None` if it succeeded.
    pub failure: Option<Failure>,
    /// The request, as far as it was sent.
    pub request: Option<RequestRecord>,
    /// The response, as far as it was received.
    pub response: Option<ResponseRecord>,
    /// The trace that the attempt belongs to.
    pub trace_id: TraceId,
}

/// The category and description of a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The category of the failure.
    pub reason: Reason,
    /// A description of the failure for people.
    pub detail: String,
}

/// The record of a request. Credentials are redacted before it is created; signatures are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The HTTP method, such as `POST`.
    pub method: String,
    /// The URL that the request was sent to.
    pub url: String,
    /// The names and values of the headers, in the order in which they were sent.
    pub headers: Vec<(String, String)>,
    /// The length of the body, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 digest of the body, in lower-case hexadecimal.
    pub body_sha256: String,
}

/// The record of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseRecord {
    /// The HTTP status code.
    pub status: u16,
    /// The names and values of the headers, in the order in which they were received. At most
    /// [`HEADERS_KEPT_MAX`] headers are kept.
    pub headers: Vec<(String, String)>,
    /// The body as text, at most [`BODY_KEPT_MAX_BYTES`] bytes.
    pub body: String,
    /// Whether the body was longer than what is kept.
    pub truncated: bool,
}

/// Returns the longest prefix of `text` that has at most `max` bytes and ends at a character
/// boundary.
#[must_use]
pub fn bounded(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

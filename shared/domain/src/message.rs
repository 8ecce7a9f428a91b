//! A message: one accepted submission, which is immutable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event_type::EventType;
use crate::id::DestinationId;
use crate::trace::TraceId;

/// The part of a message that every one of its deliveries carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFacts {
    /// The type of the event.
    pub event_type: EventType,
    /// The customer's own reference for the message.
    pub reference: Option<String>,
    /// The customer's own labels for the message.
    pub metadata: BTreeMap<String, String>,
    /// The size, type and hash of the payload.
    pub payload: PayloadInfo,
    /// The time from which the message is no longer delivered.
    pub expires_at: Option<Timestamp>,
    /// The trace of the request that submitted the message.
    pub trace: TraceId,
    /// Whether the message is a test of one destination. A test has one attempt and is not counted.
    pub test: bool,
    /// The additional recipient of status updates about this message, besides those that the
    /// organization configured. For a message that is itself a status update, the address that it
    /// is sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_callback: Option<StatusCallback>,
}

/// A recipient of status updates about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusCallback {
    /// A destination of the same organization.
    DestinationId(DestinationId),
    /// A URL. The requests are signed with the organization's own status secret.
    Url(String),
}

/// The properties of a payload, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadInfo {
    /// The size of the payload, in bytes.
    pub size_bytes: u64,
    /// The media type of the payload; `application/json` for a JSON payload.
    pub content_type: String,
    /// The file name, if the content has one.
    pub filename: Option<String>,
    /// The SHA-256 digest in lower-case hexadecimal; `None` until it has been computed.
    pub sha256: Option<String>,
}

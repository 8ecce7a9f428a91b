//! A message: one accepted submission, immutable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event_type::EventType;
use crate::id::DestinationId;
use crate::trace::TraceId;

/// What every delivery of a message carries of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFacts {
    /// What happened.
    pub event_type: EventType,
    /// The customer's own reference.
    pub reference: Option<String>,
    /// The customer's own labels.
    pub metadata: BTreeMap<String, String>,
    /// What is delivered.
    pub payload: PayloadInfo,
    /// Not delivered at or after this time.
    pub expires_at: Option<Timestamp>,
    /// The trace it was submitted under.
    pub trace: TraceId,
    /// A test of one destination: one attempt, in no counter.
    pub test: bool,
    /// Who is told how this message does, besides whom its organization named; of a status update,
    /// the address it is called back at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_callback: Option<StatusCallback>,
}

/// Who is told how a message does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusCallback {
    /// A destination of the organization's.
    DestinationId(DestinationId),
    /// An address; requests are signed with the organization's own status secret.
    Url(String),
}

/// About a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadInfo {
    /// Its length.
    pub size_bytes: u64,
    /// `application/json` for a JSON payload.
    pub content_type: String,
    /// Of content that has one.
    pub filename: Option<String>,
    /// Lower-case hexadecimal; `None` until known.
    pub sha256: Option<String>,
}

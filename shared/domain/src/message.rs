//! A message: one accepted submission, immutable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event_type::EventType;
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

//! What a destination's text templates can say about a delivery (destinations.md, Common settings).

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::message::MessageFacts;
use serde_json::Value;
use template::Variables;

/// The event type of the request that a connection check sends.
pub const CHECK_EVENT_TYPE: &str = "waybill.destination.check";
/// A JSON payload larger than this is not read for a template.
pub const PAYLOAD_READ_BYTES_MAX: usize = 1 << 20;

/// A delivery's values for templates, as text.
#[derive(Clone, Debug)]
pub struct Wording {
    /// `org_…`
    pub organization_id: String,
    /// `report.ready`
    pub event_type: String,
    /// `msg_…`
    pub message_id: String,
    /// `dlv_…`
    pub delivery_id: String,
    /// The customer's own name for the message.
    pub reference: Option<String>,
    /// The customer's own members.
    pub metadata: BTreeMap<String, String>,
    /// Of the payload, when it has one.
    pub filename: Option<String>,
    /// Of the payload.
    pub content_type: String,
    /// RFC 3339, UTC, milliseconds.
    pub created_at: String,
    /// From 1.
    pub attempt: u32,
    /// Of a JSON payload.
    pub payload: Option<Value>,
}

impl Wording {
    /// Of an attempt; `payload` where it is at hand.
    #[must_use]
    pub fn of(delivery: &Delivery, attempt: u32, payload: Option<&Bytes>) -> Self {
        let Delivery { id, organization, message, created_at, .. } = delivery;
        let MessageFacts { event_type, reference, metadata, payload: info, .. } = message;
        let is_json = info.content_type == "application/json";
        let readable = payload.filter(|bytes| is_json && bytes.len() <= PAYLOAD_READ_BYTES_MAX);
        Self {
            organization_id: organization.to_string(),
            event_type: event_type.as_str().to_owned(),
            message_id: id.message.to_string(),
            delivery_id: id.to_string(),
            reference: reference.clone(),
            metadata: metadata.clone(),
            filename: info.filename.clone(),
            content_type: info.content_type.clone(),
            created_at: created_at.to_string(),
            attempt,
            payload: readable.and_then(|bytes| serde_json::from_slice(bytes).ok()),
        }
    }

    /// Of a connection check, whose name among others is `unique`.
    #[must_use]
    pub fn of_check(destination: &Destination, unique: &str, now: Timestamp) -> Self {
        Self {
            organization_id: destination.organization_id.to_string(),
            event_type: CHECK_EVENT_TYPE.to_owned(),
            message_id: unique.to_owned(),
            delivery_id: unique.to_owned(),
            reference: None,
            metadata: BTreeMap::new(),
            filename: None,
            content_type: "text/plain".to_owned(),
            created_at: now.to_string(),
            attempt: 1,
            payload: None,
        }
    }

    /// The same as templates take it.
    #[must_use]
    pub fn variables(&self) -> Variables<'_> {
        Variables {
            organization_id: &self.organization_id,
            event_type: &self.event_type,
            message_id: &self.message_id,
            delivery_id: &self.delivery_id,
            reference: self.reference.as_deref(),
            metadata: &self.metadata,
            filename: self.filename.as_deref(),
            content_type: &self.content_type,
            created_at: &self.created_at,
            attempt: self.attempt,
            payload: self.payload.as_ref(),
        }
    }
}

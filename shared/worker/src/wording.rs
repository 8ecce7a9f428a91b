//! What a destination's text templates can say about a delivery (destinations.md, Common settings).

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::message::MessageFacts;
use serde_json::Value;
use std::collections::BTreeMap;
use template::Variables;

use crate::Job;

/// A delivery's values for templates, as text.
#[derive(Clone, Debug)]
pub struct Wording {
    organization_id: String,
    event_type: String,
    message_id: String,
    delivery_id: String,
    reference: Option<String>,
    metadata: BTreeMap<String, String>,
    filename: Option<String>,
    content_type: String,
    created_at: String,
    attempt: u32,
    payload: Option<Value>,
}

impl Wording {
    /// Of an attempt. A JSON payload is read only when a template says something about it: `uses_payload`.
    #[must_use]
    pub fn of(job: &Job<'_>, uses_payload: bool) -> Self {
        let Delivery { id, organization, message, created_at, .. } = job.delivery;
        let MessageFacts { event_type, reference, metadata, payload, .. } = message;
        let is_json = uses_payload && payload.content_type == "application/json";
        let json = job.payload.at_hand().filter(|_| is_json).and_then(|bytes| serde_json::from_slice(bytes).ok());
        Self {
            organization_id: organization.to_string(),
            event_type: event_type.as_str().to_owned(),
            message_id: id.message.to_string(),
            delivery_id: id.to_string(),
            reference: reference.clone(),
            metadata: metadata.clone(),
            filename: payload.filename.clone(),
            content_type: payload.content_type.clone(),
            created_at: created_at.to_string(),
            attempt: job.attempt_number,
            payload: json,
        }
    }

    /// Of a connection check, whose name among others is `unique`.
    #[must_use]
    pub fn of_check(destination: &Destination, unique: &str, now: Timestamp) -> Self {
        Self {
            organization_id: destination.organization_id.to_string(),
            event_type: "waybill.destination.check".to_owned(),
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

//! The values that a destination's templates can use about a delivery.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::media_type::essence;
use domain::message::MessageFacts;
use serde_json::Value;
use template::{JsonLayout, Payload, Variables, laid_out};

/// The event type of the request that a connection check sends.
pub const CHECK_EVENT_TYPE: &str = "waybill.destination.check";
/// The largest JSON payload that is read for a template.
pub const PAYLOAD_READ_BYTES_MAX: usize = 1 << 20;
/// The largest size of an indented payload. A payload that would be larger is not indented.
const INDENTED_BYTES_MAX: usize = 4 << 20;

/// The values of a delivery for templates, as text.
#[derive(Clone, Debug)]
pub struct TemplateValues {
    /// The organization's id: `org_…`.
    pub organization_id: String,
    /// The event type, such as `report.ready`.
    pub event_type: String,
    /// The message's id: `msg_…`.
    pub message_id: String,
    /// The delivery's id: `dlv_…`.
    pub delivery_id: String,
    /// The customer's reference for the message.
    pub reference: Option<String>,
    /// The metadata that the customer attached to the message.
    pub metadata: BTreeMap<String, String>,
    /// The payload's filename, if it has one.
    pub filename: Option<String>,
    /// The payload's media type.
    pub content_type: String,
    /// When the message was accepted: RFC 3339 in UTC with milliseconds.
    pub created_at: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// For a fallback, the delivery that failed.
    pub failed_delivery_id: Option<String>,
    /// For a fallback, the reason why that delivery failed.
    pub reason: Option<&'static str>,
    /// The payload, if it is JSON.
    pub payload: Payload,
}

impl TemplateValues {
    /// Returns the values of an attempt. `payload` is the payload if it is in memory.
    #[must_use]
    pub fn of(delivery: &Delivery, attempt: u32, payload: Option<&Bytes>) -> Self {
        let Delivery {
            id,
            organization,
            message,
            created_at,
            fallback_of,
            ..
        } = delivery;
        let MessageFacts {
            event_type,
            reference,
            metadata,
            payload: info,
            ..
        } = message;
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
            failed_delivery_id: fallback_of.map(|failed| failed.delivery.to_string()),
            reason: fallback_of.map(|failed| failed.reason.as_str()),
            payload: payload_of(&info.content_type, info.size_bytes, payload),
        }
    }

    /// Returns the values of a connection check, which is identified by `unique`.
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
            failed_delivery_id: None,
            reason: None,
            payload: Payload::absent("a connection check has none"),
        }
    }

    /// Returns the same values with a JSON payload.
    #[must_use]
    pub fn with_json(self, payload: Bytes) -> Self {
        Self {
            content_type: "application/json".to_owned(),
            payload: Payload::json(payload),
            ..self
        }
    }

    /// Returns the payload as indented JSON, or `Ok(None)` if it is not JSON.
    pub fn payload_indented(&self) -> Result<Option<String>, String> {
        let document = self.payload.document()?;
        Ok(document.map(|document| {
            let indented = laid_out(document.text(), JsonLayout::Indented(2), INDENTED_BYTES_MAX);
            indented.unwrap_or_else(|| document.text().to_owned())
        }))
    }

    /// Returns the payload of an event of Waybill itself.
    pub(crate) fn notice_payload(&self) -> Option<Value> {
        let document = self
            .payload
            .document()
            .ok()
            .flatten()
            .filter(|_| self.event_type.starts_with("waybill."))?;
        serde_json::from_str(document.text()).ok()
    }

    /// Returns the values in the form that templates use.
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
            failed_delivery_id: self.failed_delivery_id.as_deref(),
            reason: self.reason,
            payload: &self.payload,
            link: None,
        }
    }
}

/// Returns the payload in the form that templates use. `bytes` is the payload if it is in memory.
pub fn payload_of(content_type: &str, size_bytes: u64, bytes: Option<&Bytes>) -> Payload {
    if !is_json(content_type) {
        return Payload::absent(format!("the payload is {content_type} and not JSON"));
    }
    match bytes {
        _ if size_bytes > PAYLOAD_READ_BYTES_MAX as u64 => Payload::unreadable(format!(
            "the payload has {size_bytes} bytes; a template reads at most {PAYLOAD_READ_BYTES_MAX}"
        )),
        Some(bytes) => Payload::json(bytes.clone()),
        None => Payload::unreadable("the payload was not read"),
    }
}

/// Whether a media type is JSON, with any parameters.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Returns sample values for this crate's tests.
#[cfg(test)]
pub(crate) fn sample(event_type: &str, payload: &serde_json::Value) -> TemplateValues {
    TemplateValues {
        organization_id: "org_1".to_owned(),
        event_type: event_type.to_owned(),
        message_id: "msg_1".to_owned(),
        delivery_id: "dlv_1_00".to_owned(),
        reference: None,
        metadata: BTreeMap::new(),
        filename: None,
        content_type: "application/json".to_owned(),
        created_at: "2026-11-26T00:00:00.000Z".to_owned(),
        attempt: 1,
        failed_delivery_id: None,
        reason: None,
        payload: Payload::json(payload.to_string().into()),
    }
}

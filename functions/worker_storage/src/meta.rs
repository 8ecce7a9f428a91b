//! What is known of the message an object is made from.

use std::borrow::Cow;

use domain::delivery::FallbackOf;

/// Becomes the object's metadata, by which a repeat is recognised and the delivery found from the other side.
#[derive(Debug, Clone)]
pub struct Meta {
    /// The organization's id.
    pub organization_id: String,
    /// The delivery's id.
    pub delivery_id: String,
    /// The message's id.
    pub message_id: String,
    /// The message's type.
    pub event_type: String,
    /// The payload's type.
    pub content_type: String,
    /// The payload's SHA-256, lower-case hexadecimal; `None` while it is not known.
    pub sha256: Option<String>,
    /// For a fallback: the delivery that failed, and why.
    pub fallback_of: Option<FallbackOf>,
}

/// The object's metadata, by their names on S3. Azure takes no hyphens.
pub(crate) const DELIVERY_ID: &str = "waybill-delivery-id";
pub(crate) const SHA256: &str = "waybill-sha256";
const MESSAGE_ID: &str = "waybill-message-id";
const EVENT_TYPE: &str = "waybill-event-type";
const FAILED_DELIVERY: &str = "waybill-failed-delivery";
const FAILED_REASON: &str = "waybill-failed-reason";

impl Meta {
    /// Name and value of each.
    pub(crate) fn entries(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut entries = vec![
            (DELIVERY_ID, Cow::from(&*self.delivery_id)),
            (MESSAGE_ID, Cow::from(&*self.message_id)),
            (EVENT_TYPE, Cow::from(&*self.event_type)),
        ];
        entries.extend(self.sha256.as_deref().map(|sha256| (SHA256, sha256.into())));
        if let Some(FallbackOf { delivery, reason }) = self.fallback_of {
            entries.push((FAILED_DELIVERY, delivery.to_string().into()));
            entries.push((FAILED_REASON, reason.as_str().into()));
        }
        entries
    }
}

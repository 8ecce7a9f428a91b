//! The metadata of an object.

use std::borrow::Cow;

use domain::delivery::FallbackOf;

/// The data that becomes the object's metadata, by which a repeated delivery is recognised and the
/// receiver can find the delivery.
#[derive(Debug, Clone)]
pub struct Meta {
    /// The id of the organization that owns the delivery.
    pub organization_id: String,
    /// The id of the delivery.
    pub delivery_id: String,
    /// The id of the message.
    pub message_id: String,
    /// The event type of the message.
    pub event_type: String,
    /// The media type of the payload.
    pub content_type: String,
    /// The payload's SHA-256 in lower-case hexadecimal, or `None` if it is not known.
    pub sha256: Option<String>,
    /// For a fallback, the failed delivery and its reason.
    pub fallback_of: Option<FallbackOf>,
}

/// The names of the metadata on S3. On Azure, underscores replace the hyphens.
pub(crate) const DELIVERY_ID: &str = "waybill-delivery-id";
pub(crate) const SHA256: &str = "waybill-sha256";
const MESSAGE_ID: &str = "waybill-message-id";
const EVENT_TYPE: &str = "waybill-event-type";
const FAILED_DELIVERY: &str = "waybill-failed-delivery";
const FAILED_REASON: &str = "waybill-failed-reason";

impl Meta {
    /// Returns the names and values of the metadata.
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

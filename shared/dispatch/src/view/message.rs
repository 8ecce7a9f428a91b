//! Messages, whose state is derived from their deliveries.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::event_type::EventType;
use domain::id::{MessageId, OrganizationId};
use domain::message::PayloadInfo;
use serde::Serialize;
use utoipa::ToSchema;

use super::delivery::{DeliverySummary, Pauses, link};

/// A message: one accepted submission.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "msg_01kavd83802s63efghp3q1cpj4")]
    pub id: MessageId,
    /// The organization that the object belongs to.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// The event type that the message was submitted with.
    #[schema(value_type = String, example = "report.ready")]
    pub event_type: EventType,
    /// Your own reference, used to find the message.
    pub reference: Option<String>,
    /// Your own labels, as they were submitted.
    pub metadata: BTreeMap<String, String>,
    /// The size, type and hash of the payload.
    #[schema(value_type = PayloadInfoView)]
    pub payload_info: PayloadInfo,
    /// The status of the message.
    pub status: MessageStatus,
    /// One delivery for each destination, in the order of the destinations.
    pub deliveries: Vec<DeliverySummary>,
    /// When the message was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The time from which the message is no longer delivered; null if it does not expire.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// A link to this object in the console.
    pub url: String,
}

/// The status of a message, which follows from its deliveries. More values may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// At least one delivery is unfinished.
    Pending,
    /// All deliveries succeeded.
    Succeeded,
    /// No delivery succeeded.
    Failed,
    /// Some deliveries succeeded and others did not.
    PartiallyFailed,
}

/// The size, type and hash of a payload, without its content.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PayloadInfo)]
pub struct PayloadInfoView {
    /// The size of the payload in bytes.
    pub size_bytes: u64,
    /// The media type of the payload: `application/json` if it was submitted as JSON.
    pub content_type: String,
    /// The file name, if the content was submitted with one.
    pub filename: Option<String>,
    /// The SHA-256 of the payload in lower-case hexadecimal; null until it has been computed.
    pub sha256: Option<String>,
}

impl MessageView {
    /// Creates the view of a message from its deliveries, as of `now`; returns `None` if there are
    /// none. Links start with `public_url`.
    #[must_use]
    pub fn of(
        deliveries: &[Delivery],
        pauses: &Pauses,
        now: Timestamp,
        public_url: &str,
    ) -> Option<Self> {
        let first = deliveries.first()?;
        let id = first.id.message;
        Some(Self {
            id,
            organization_id: first.organization,
            event_type: first.message.event_type.clone(),
            reference: first.message.reference.clone(),
            metadata: first.message.metadata.clone(),
            payload_info: first.message.payload.clone(),
            status: MessageStatus::of(deliveries),
            deliveries: deliveries
                .iter()
                .map(|delivery| DeliverySummary::of(delivery, pauses, now, public_url))
                .collect(),
            created_at: first.created_at,
            expires_at: first.message.expires_at,
            url: link(public_url, "messages", id),
        })
    }
}

impl MessageStatus {
    /// Returns the status of a message with these deliveries.
    #[must_use]
    pub fn of(deliveries: &[Delivery]) -> Self {
        let count = |test: fn(DeliveryStatus) -> bool| {
            deliveries
                .iter()
                .filter(|delivery| test(delivery.status()))
                .count()
        };
        let succeeded = count(|status| status == DeliveryStatus::Succeeded);
        match succeeded {
            _ if count(|status| !status.is_finished()) > 0 => Self::Pending,
            0 => Self::Failed,
            all if all == deliveries.len() => Self::Succeeded,
            _ => Self::PartiallyFailed,
        }
    }
}

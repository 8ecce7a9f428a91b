//! Messages: what is read off their deliveries.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::event_type::EventType;
use domain::id::{MessageId, OrganizationId};
use domain::message::PayloadInfo;
use serde::Serialize;
use utoipa::ToSchema;

use crate::view::delivery::DeliverySummary;
use crate::view::problem::Problem;

/// A message: one accepted submission.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// The identifier.
    #[schema(value_type = String, example = "msg_01kavd83802s63efghp3q1cpj4")]
    pub id: MessageId,
    /// The organization that owns the object.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// What happened.
    #[schema(value_type = String, example = "report.ready")]
    pub event_type: EventType,
    /// Your own reference, used to find the message.
    pub reference: Option<String>,
    /// The customer's own labels.
    pub metadata: BTreeMap<String, String>,
    /// The payload of the test message.
    #[schema(value_type = PayloadInfoView)]
    pub payload_info: PayloadInfo,
    /// The status.
    pub status: MessageStatus,
    /// One for each destination, in their order.
    pub deliveries: Vec<DeliverySummary>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Not delivered at or after this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// A link to this object in the console.
    pub url: String,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// A delivery is unfinished.
    Pending,
    /// All deliveries succeeded.
    Succeeded,
    /// None did.
    Failed,
    /// Some did.
    PartiallyFailed,
}

/// About a payload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PayloadInfo)]
pub struct PayloadInfoView {
    /// Its length.
    pub size_bytes: u64,
    /// `application/json` for a JSON payload.
    pub content_type: String,
    /// Of content that has one.
    pub filename: Option<String>,
    /// SHA-256; null until known.
    pub sha256: Option<String>,
}

/// The response to a batch: a result for each message, in the same order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchView {
    /// In the order of `messages`.
    pub results: Vec<BatchResult>,
}

/// The result for one message of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResult {
    /// The status that `POST /v1/messages` would have returned.
    #[schema(example = 202)]
    pub status: u16,
    /// The message, when it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageView>,
    /// The problem, if the message was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

impl MessageStatus {
    /// Of a message with these deliveries.
    pub fn of(deliveries: &[Delivery]) -> Self {
        let count = |test: fn(DeliveryStatus) -> bool| deliveries.iter().filter(|delivery| test(delivery.status())).count();
        let succeeded = count(|status| status == DeliveryStatus::Succeeded);
        match succeeded {
            _ if count(|status| !status.is_finished()) > 0 => Self::Pending,
            0 => Self::Failed,
            all if all == deliveries.len() => Self::Succeeded,
            _ => Self::PartiallyFailed,
        }
    }
}

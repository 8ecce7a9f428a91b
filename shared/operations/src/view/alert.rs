//! The views of alerts and their notifications.

use domain::Timestamp;
use domain::alert::Alert;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::{AlertId, DeliveryId, DestinationId, MessageId, OrganizationId};
use domain::settings::DestinationType;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::words::DeliveryStatusName;

/// An alert about a destination, with the people and services that were notified.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertView {
    /// Unique identifier of the object.
    #[schema(value_type = String)]
    pub id: AlertId,
    /// The event type of the alert.
    #[serde(rename = "type")]
    #[schema(example = "waybill.destination.failing")]
    pub kind: &'static str,
    /// When the event occurred.
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Timestamp,
    /// The organization that owns the destination.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// The identifier of the destination.
    #[schema(value_type = String)]
    pub destination_id: DestinationId,
    /// The `data` member of the delivered body.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The message that announced the alert, if anything was notified.
    #[schema(value_type = Option<String>)]
    pub message_id: Option<MessageId>,
    /// The destinations that were notified, and the status of each notification.
    pub notified: Vec<Notified>,
    /// A link to the destination in the console.
    pub url: String,
}

/// A destination that an alert was sent to, with the status of that delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct Notified {
    /// The type of the destination that was notified.
    #[schema(example = "webhook")]
    pub channel: &'static str,
    /// The identifier of the destination.
    #[schema(value_type = String)]
    pub destination_id: DestinationId,
    /// The delivery, with its attempts.
    #[schema(value_type = String)]
    pub delivery_id: DeliveryId,
    /// The status of the delivery that carried the alert.
    #[schema(value_type = DeliveryStatusName)]
    pub status: DeliveryStatus,
}

impl Notified {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        Self {
            channel: DestinationType::as_str(delivery.destination_type),
            destination_id: delivery.destination,
            delivery_id: delivery.id,
            status: delivery.status(),
        }
    }
}

impl AlertView {
    pub(crate) fn of(
        alert: Alert,
        notified: Vec<Notified>,
        link: impl FnOnce(DestinationId) -> String,
    ) -> Self {
        Self {
            id: alert.id,
            kind: alert.kind.event_type(),
            occurred_at: alert.occurred_at,
            organization_id: alert.organization_id,
            destination_id: alert.destination_id,
            data: alert.data,
            message_id: alert.message,
            notified,
            url: link(alert.destination_id),
        }
    }
}

//! Alerts.

use domain::Timestamp;
use domain::alert::Alert;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::{AlertId, DeliveryId, DestinationId, MessageId, OrganizationId};
use domain::settings::DestinationType;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::words::DeliveryStatusName;

/// An alert: what was told about a destination, and to whom.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: AlertId,
    /// What it says.
    #[serde(rename = "type")]
    #[schema(example = "waybill.destination.failing")]
    pub kind: &'static str,
    /// When that happened.
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Timestamp,
    /// Whose destination it is about.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// The destination.
    #[schema(value_type = String)]
    pub destination_id: DestinationId,
    /// As in the body that was delivered.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The message that announced it.
    #[schema(value_type = Option<String>)]
    pub message_id: Option<MessageId>,
    /// Who was told, and how that went.
    pub notified: Vec<Notified>,
    /// A deep link to the destination.
    pub url: String,
}

/// Somebody who was told.
#[derive(Debug, Serialize, ToSchema)]
pub struct Notified {
    /// The type of the destination that was told.
    #[schema(example = "webhook")]
    pub channel: &'static str,
    /// The destination.
    #[schema(value_type = String)]
    pub destination_id: DestinationId,
    /// The delivery.
    #[schema(value_type = String)]
    pub delivery_id: DeliveryId,
    /// Where that stands.
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
    pub(crate) fn of(alert: Alert, notified: Vec<Notified>, link: impl FnOnce(DestinationId) -> String) -> Self {
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

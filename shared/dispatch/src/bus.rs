//! The bus: what happens to destinations and deliveries, for whoever has a rule on it. Each event is told at least once; its `id` is the same
//! when it is told again.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::alert::AlertKind;
use domain::audit::AuditEvent;
use serde_json::Value;

/// What every event of ours says it comes from.
const SOURCE: &str = "waybill";

/// An event bus of Amazon EventBridge.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// The bus did not take an event.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It could not be asked.
    #[error("EventBridge could not be asked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refused.
    #[error("EventBridge refused an event: {0}")]
    Refused(String),
}

impl Bus {
    /// The bus of this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(aws), name }
    }

    /// Puts a refusal on grounds of security; `detail` is its line of the audit trail, and whose it is.
    pub async fn put_security(&self, event: &AuditEvent) -> Result<(), BusError> {
        self.put("Security Event", &serde_json::json!(event)).await
    }

    /// Puts one event; `detail` is the body that status updates and alerts have.
    pub async fn put(&self, detail_type: &str, detail: &Value) -> Result<(), BusError> {
        let entry =
            PutEventsRequestEntry::builder().event_bus_name(&self.name).source(SOURCE).detail_type(detail_type).detail(detail.to_string());
        let answer = self.client.put_events().entries(entry.build()).send().await.map_err(|error| BusError::Unavailable(error.into()))?;
        match answer.entries().iter().find_map(|entry| entry.error_message()) {
            Some(refusal) if answer.failed_entry_count() > 0 => Err(BusError::Refused(refusal.to_owned())),
            _ => Ok(()),
        }
    }
}

/// What an alert is called on the bus.
pub(crate) fn detail_type(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Failing => "Destination Failing",
        AlertKind::Disabled => "Destination Disabled",
        AlertKind::Enabled => "Destination Enabled",
        AlertKind::Recovered => "Destination Recovered",
    }
}

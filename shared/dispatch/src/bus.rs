//! Publishes alerts, failed deliveries and security events on the event bus. Each event is
//! published at least once, with the same `id` each time.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::alert::AlertKind;
use domain::audit::AuditEvent;
use serde_json::Value;

/// The `source` of every event.
const SOURCE: &str = "waybill";
/// The error codes of events that EventBridge rejects however often they are sent.
const NEVER_ACCEPTED: [&str; 4] = [
    "InvalidArgument",
    "MalformedDetail",
    "PayloadTooLarge",
    "ValidationException",
];

/// An Amazon EventBridge event bus.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// The reason why an event was not published.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The call to EventBridge failed.
    #[error("the event could not be sent to EventBridge")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// EventBridge rejected the event.
    #[error("EventBridge rejected an event: {0}")]
    Refused(String),
}

impl Bus {
    /// Creates a client of the bus with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, name: String) -> Self {
        Self {
            client: Client::new(aws),
            name,
        }
    }

    /// Publishes a refusal that is relevant to security. The audit event is the event's `detail`.
    pub async fn put_security(&self, event: &AuditEvent) -> Result<(), BusError> {
        self.put("Security Event", &serde_json::json!(event)).await
    }

    /// Publishes an event. `detail` is the body that status updates and alerts have. An event that
    /// EventBridge would reject each time is logged and dropped.
    pub async fn put(&self, detail_type: &str, detail: &Value) -> Result<(), BusError> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(detail_type)
            .detail(detail.to_string());
        let answer = self.client.put_events().entries(entry.build()).send().await;
        let (code, error) = match answer {
            Ok(answer) if answer.failed_entry_count() == 0 => return Ok(()),
            Ok(answer) => {
                let entry = answer.entries().first();
                let code = entry
                    .and_then(|entry| entry.error_code())
                    .unwrap_or("unknown error")
                    .to_owned();
                let refusal = entry.and_then(|entry| entry.error_message());
                let refusal = refusal.unwrap_or(&code).to_owned();
                (code, BusError::Refused(refusal))
            }
            Err(error) => {
                let code = error.code().unwrap_or_default().to_owned();
                (code, BusError::Unavailable(error.into()))
            }
        };
        if !NEVER_ACCEPTED.contains(&&*code) {
            return Err(error);
        }
        tracing::error!(
            error = %domain::chain(&error),
            detail_type,
            id = %detail["id"],
            "EventBridge does not accept an event; it is dropped"
        );
        Ok(())
    }
}

/// Returns the `detail-type` of an alert.
pub(crate) fn detail_type(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Failing => "Destination Failing",
        AlertKind::Disabled => "Destination Disabled",
        AlertKind::Enabled => "Destination Enabled",
        AlertKind::Recovered => "Destination Recovered",
    }
}

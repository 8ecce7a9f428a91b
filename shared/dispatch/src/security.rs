//! Security events: a refusal is recorded in the organization's audit log and published on the
//! event bus, for those who monitor all organizations.

use domain::audit::AuditEvent;

use crate::Dispatcher;

impl Dispatcher {
    /// Records and publishes a refusal. A failure to do so is logged and does not affect the
    /// refusal.
    pub async fn record_refusal(&self, event: &AuditEvent) {
        let AuditEvent {
            action, request_id, ..
        } = event;
        if let Err(error) = self.store.record_audit(event).await {
            tracing::error!(
                error = %domain::chain(&error),
                action,
                request_id,
                "failed to record a refusal in the audit log"
            );
        }
        if let Some(bus) = &self.bus
            && let Err(error) = bus.put_security(event).await
        {
            tracing::error!(
                error = %domain::chain(&error),
                action,
                request_id,
                "failed to publish a refusal to the event bus"
            );
        }
    }
}

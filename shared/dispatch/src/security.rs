//! Security events: what was refused stands in the organization's audit trail, and on the bus for whoever watches over all organizations.

use domain::audit::AuditEvent;

use crate::Dispatcher;

impl Dispatcher {
    /// Records a refusal and tells of it. That either could not be done is logged and changes nothing: the refusal stands.
    pub async fn record_refusal(&self, event: &AuditEvent) {
        let AuditEvent { action, request_id, .. } = event;
        if let Err(error) = self.store.record_audit(event).await {
            tracing::error!(error = %domain::chain(&error), action, request_id, "failed to record a refusal in the audit trail");
        }
        if let Some(bus) = &self.bus
            && let Err(error) = bus.put_security(event).await
        {
            tracing::error!(error = %domain::chain(&error), action, request_id, "failed to publish a refusal to the event bus");
        }
    }
}

//! What a worker writes to an organization's audit trail: an address that no destination may have was about to be connected to (R6.5).

use domain::Reason;
use domain::attempt::Attempt;
use domain::audit::{Actor, AuditEvent, AuditOutcome};
use domain::delivery::Delivery;

use crate::{Connector, Parts};

impl<C: Connector> Parts<C> {
    /// Records a blocked attempt: a line in the log, and in the organization's audit trail.
    pub(crate) async fn audit_blocked(&self, delivery: &Delivery, attempt: &Attempt) {
        if attempt.failure.as_ref().is_none_or(|failure| failure.reason != Reason::BlockedAddress) {
            return;
        }
        let (organization, destination) = (delivery.organization, delivery.destination);
        tracing::warn!(%organization, %destination, delivery = %delivery.id, security_event = true, "blocked_address");
        let recorded = async {
            let id = self.ids.mint().await.map_err(|error| error.to_string())?.mint(organization, 1);
            let event = AuditEvent {
                id,
                organization_id: organization,
                at: self.clock.now(),
                action: Reason::BlockedAddress.as_str().to_owned(),
                outcome: AuditOutcome::Denied,
                actor: Actor::system(),
                ip: None,
                target: Some(destination.to_string()),
                changes: Vec::new(),
                request_id: None,
            };
            self.store.record_audit(&event).await.map_err(|error| error.to_string())
        };
        if let Err(error) = recorded.await {
            tracing::error!(error, %organization, %destination, "a blocked address could not be written to the audit trail");
        }
    }
}

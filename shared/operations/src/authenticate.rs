//! Who asks.

use access::{AuthenticateError, Caller, Unauthenticated};
use domain::audit::{Actor, ActorKind, AuditEvent, AuditOutcome};
use domain::id::{AuditId, OrganizationId};

use crate::{Operations, Refusal};

impl Operations {
    /// The caller behind an `Authorization` header. A refusal that names an existing key is recorded in its organization's trail.
    pub async fn authenticate(&self, header: Option<&str>, ip: Option<&str>, request_id: &str) -> Result<Caller, Refusal> {
        match self.access.authenticate(header).await {
            Ok(caller) => Ok(caller),
            Err(AuthenticateError::Unavailable(error)) => Err(error.into()),
            Err(AuthenticateError::Unauthenticated(Unauthenticated { named })) => {
                if let Some(named) = named
                    && let Some(organization) = named.organization
                {
                    self.record_failed_authentication(&named, organization, ip, request_id).await;
                }
                Err(Refusal::unauthenticated())
            }
        }
    }

    async fn record_failed_authentication(&self, named: &Caller, organization: OrganizationId, ip: Option<&str>, request_id: &str) {
        let event = AuditEvent {
            id: self.ids.mint::<AuditId>(organization, 1),
            organization_id: organization,
            at: self.clock.now(),
            action: "authentication_failed".to_owned(),
            outcome: AuditOutcome::Denied,
            actor: Actor { kind: ActorKind::Key, id: Some(named.by.to_string()), name: Some(named.name.clone()) },
            ip: ip.map(str::to_owned),
            target: Some(named.by.to_string()),
            changes: Vec::new(),
            request_id: Some(request_id.to_owned()),
        };
        if let Err(error) = self.store.record_audit(&event).await {
            tracing::error!(%error, request_id, "a failed authentication was not recorded");
        }
    }
}

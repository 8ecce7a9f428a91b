//! Authenticates the caller of a request.

use std::sync::Arc;

use access::{AuthenticateError, Caller, Unauthenticated};
use domain::audit::{Actor, ActorKind, AuditEvent};
use domain::id::OrganizationId;
use store::Routes;

use crate::{Operations, Refusal};

/// The number of failed authentications of one key that are recorded in a minute. Anyone who knows
/// a key's id can cause any number of them. All of them are logged and counted in the metrics.
const RECORDED_PER_MINUTE: u32 = 10;

/// The action under which a failed authentication is recorded.
const ACTION: &str = "authentication_failed";

impl Operations {
    /// Returns the caller that an `Authorization` header authenticates. A refusal that names an
    /// existing key is recorded in the audit log of the key's organization, up to a limit.
    pub async fn authenticate(
        &self,
        header: Option<&str>,
        ip: Option<&str>,
        request_id: &str,
    ) -> Result<Caller, Refusal> {
        self.access
            .authenticate(header)
            .await
            .map_err(|error| self.refused_authentication(error, ip, request_id))
    }

    /// Like [`Self::authenticate`], for a request that submits messages. Also returns the routes of
    /// the caller's organization if the same read fetched them.
    pub async fn authenticate_with_routes(
        &self,
        header: Option<&str>,
        ip: Option<&str>,
        request_id: &str,
    ) -> Result<(Caller, Option<Arc<Routes>>), Refusal> {
        let authenticated = self.access.authenticate_with_routes(header).await;
        let (caller, routes) =
            authenticated.map_err(|error| self.refused_authentication(error, ip, request_id))?;
        Ok((caller, routes.map(Arc::new)))
    }

    fn refused_authentication(
        &self,
        error: AuthenticateError,
        ip: Option<&str>,
        request_id: &str,
    ) -> Refusal {
        match error {
            AuthenticateError::Unavailable(error) => error.into(),
            AuthenticateError::Unauthenticated(Unauthenticated { named }) => {
                if let Some(named) = named
                    && let Some(organization) = named.organization
                {
                    self.record_failed_authentication(&named, organization, ip, request_id);
                }
                Refusal::unauthenticated()
            }
        }
    }

    /// Records a failed authentication in the background. The response does not wait for it,
    /// because its duration would reveal whether the key exists.
    fn record_failed_authentication(
        &self,
        named: &Caller,
        organization: OrganizationId,
        ip: Option<&str>,
        request_id: &str,
    ) {
        let now = self.clock.now();
        if !self
            .recorded_refusals
            .count(ACTION, &named.by.to_string(), RECORDED_PER_MINUTE, now)
        {
            return;
        }
        let actor = Actor {
            kind: ActorKind::Key,
            id: Some(named.by.to_string()),
            name: Some(named.name.clone()),
        };
        let event = AuditEvent {
            ip: ip.map(str::to_owned),
            request_id: Some(request_id.to_owned()),
            ..AuditEvent::new(
                self.ids.mint(organization, 1),
                organization,
                now,
                actor,
                ACTION,
                &named.by,
            )
            .denied()
        };
        let store = self.store.clone();
        tokio::spawn(async move {
            // Nothing is added to the audit log of an organization that has ended.
            let recorded = match store.organization_is_active(organization).await {
                Ok(true) => store.record_audit(&event).await,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = recorded {
                tracing::error!(
                    error = %domain::chain(&error),
                    request_id = event.request_id,
                    "failed to record a failed authentication"
                );
            }
        });
    }
}

//! Checks the authorization that a destination names. It must belong to the organization, consent
//! must have been granted, and it must permit the destination's mail server.

use domain::authorization::{Authorization, Consent};
use domain::credentials::CredentialKind;
use domain::id::{AuthorizationId, Id as _, OrganizationId};
use domain::input::{FieldCode, FieldError};
use domain::settings::{Address, Settings};
use egress::Host;

use crate::destination::CredentialsDraft;
use crate::{Context, Operations, Refusal};

const POINTER: &str = "/credentials/authorization_id";

impl Operations {
    /// Refuses credentials that name an authorization which does not exist, belongs to another
    /// organization, is not granted, or does not permit the mail server in the settings.
    pub(crate) async fn resolve_authorization(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        settings: &Settings,
        credentials: &CredentialsDraft,
    ) -> Result<(), Refusal> {
        if credentials.kind != CredentialKind::Oauth2Authorization {
            return Ok(());
        }
        let named = credentials
            .open
            .get("authorization_id")
            .map(String::as_str)
            .unwrap_or_default();
        let id = AuthorizationId::from_client(named);
        let id = id.map_err(|error| {
            Refusal::invalid(vec![FieldError::at(
                POINTER,
                FieldCode::InvalidFormat,
                error.to_string(),
            )])
        })?;
        let found = if self.owns_or_records(ctx, organization, id).await {
            self.store.authorization(organization, id).await?
        } else {
            None
        };
        let Some(authorization) = found else {
            let error = FieldError::at(
                POINTER,
                FieldCode::NotFound,
                "there is no such authorization",
            );
            return Err(Refusal {
                errors: vec![error],
                ..Refusal::not_found()
            });
        };
        match &authorization.consent {
            Consent::Granted { .. } => require_permitted_servers(&authorization, settings),
            Consent::Requested { .. } => Err(not_granted(
                "no one has consented yet; open the authorization's url in a browser",
            )),
            Consent::Refused { detail } => Err(not_granted(&format!(
                "it was refused: {detail}; request another"
            ))),
        }
    }
}

/// Refuses a mail server that the authorization does not permit. The id of an authorization is not
/// a secret, so naming it again does not permit another server.
fn require_permitted_servers(
    authorization: &Authorization,
    settings: &Settings,
) -> Result<(), Refusal> {
    for (_, address) in settings.addresses() {
        let Address::Host { host, port } = address else {
            continue;
        };
        let server = Host::parse(host).map_or_else(|_| host.to_owned(), |host| host.to_url_host());
        if authorization.admits(&format!("{server}:{port}")) == Some(false) {
            let detail = format!(
                "the authorization is for {}; request another one for this mail server",
                authorization.mail_servers_in_words()
            );
            let error = FieldError::at(POINTER, FieldCode::Required, detail.clone());
            return Err(Refusal {
                errors: vec![error],
                ..Refusal::credentials_required(detail)
            });
        }
    }
    Ok(())
}

fn not_granted(detail: &str) -> Refusal {
    Refusal::invalid(vec![FieldError::at(
        POINTER,
        FieldCode::InvalidValue,
        detail,
    )])
}

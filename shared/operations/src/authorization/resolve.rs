//! A destination that names an authorization: it is the organization's own, and somebody has consented.

use domain::authorization::Consent;
use domain::credentials::CredentialKind;
use domain::id::{AuthorizationId, Id as _, OrganizationId};
use domain::input::{FieldCode, FieldError};

use crate::destination::CredentialsDraft;
use crate::{Context, Operations, Refusal};

const POINTER: &str = "/credentials/authorization_id";

impl Operations {
    /// Refuses credentials that name an authorization which is not there, another organization's, or not granted.
    pub(crate) async fn resolve_authorization(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        credentials: &CredentialsDraft,
    ) -> Result<(), Refusal> {
        if credentials.kind != CredentialKind::Oauth2Authorization {
            return Ok(());
        }
        let named = credentials.open.get("authorization_id").map(String::as_str).unwrap_or_default();
        let id = AuthorizationId::named(named);
        let id = id.map_err(|error| Refusal::invalid(vec![FieldError::at(POINTER, FieldCode::InvalidFormat, error.to_string())]))?;
        let found =
            if self.owns_or_records(ctx, organization, id).await { self.store.authorization(organization, id).await? } else { None };
        match found.map(|authorization| authorization.consent) {
            None => {
                let error = FieldError::at(POINTER, FieldCode::NotFound, "there is no such authorization");
                Err(Refusal { errors: vec![error], ..Refusal::not_found() })
            }
            Some(Consent::Granted { .. }) => Ok(()),
            Some(Consent::Requested { .. }) => Err(not_granted("nobody has consented yet; open the authorization's url in a browser")),
            Some(Consent::Refused { detail }) => Err(not_granted(&format!("it was refused: {detail}; request another"))),
        }
    }
}

fn not_granted(detail: &str) -> Refusal {
    Refusal::invalid(vec![FieldError::at(POINTER, FieldCode::InvalidValue, detail)])
}

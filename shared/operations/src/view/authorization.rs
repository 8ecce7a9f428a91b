//! The views of authorizations, without their secrets.

use domain::Timestamp;
use domain::authorization::{Authorization, Consent};
use domain::id::{AuthorizationId, OrganizationId};
use serde::Serialize;
use utoipa::ToSchema;

/// An authorization, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Authorization)]
pub struct AuthorizationView {
    /// The identifier of the authorization: the `authorization_id` of an e-mail destination's
    /// credentials.
    #[schema(value_type = String, example = "oau_01kavd83802s63efghp3q1cpj4")]
    pub id: AuthorizationId,
    /// The organization that the object belongs to.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// The provider: `google`, `microsoft` or `custom`.
    pub provider: &'static str,
    /// The client identifier of the application at the provider.
    pub client_id: String,
    /// The URL that access tokens are requested from.
    pub token_url: String,
    /// The scopes that were requested from the provider.
    pub scope: Option<String>,
    /// The mail servers that access tokens may be sent to: `host:port`, or `host` for any port.
    /// Null until the first destination uses one.
    pub mail_servers: Option<Vec<String>>,
    /// `pending` until the person consents, then `granted`; `refused` if the person or the provider
    /// declines.
    pub status: &'static str,
    /// Why consent was refused; null if it was not.
    pub detail: Option<String>,
    /// When the authorization was requested.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the request for consent expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// An authorization that was just requested.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewAuthorization {
    /// What reads show of it.
    #[serde(flatten)]
    pub view: AuthorizationView,
    /// Where a person consents, in a browser. Shown once; null in a replayed response.
    #[schema(value_type = Option<String>,
        example = "https://accounts.google.com/o/oauth2/v2/auth?response_type=code&…")]
    pub url: String,
}

impl From<Authorization> for AuthorizationView {
    fn from(authorization: Authorization) -> Self {
        let (status, detail) = match authorization.consent {
            Consent::Requested { .. } => ("pending", None),
            Consent::Granted { .. } => ("granted", None),
            Consent::Refused { detail } => ("refused", Some(detail)),
        };
        Self {
            id: authorization.id,
            organization_id: authorization.organization_id,
            provider: authorization.provider.as_str(),
            client_id: authorization.client_id,
            token_url: authorization.token_url,
            scope: authorization.scope,
            mail_servers: authorization.mail_servers,
            status,
            detail,
            created_at: authorization.created_at,
            expires_at: authorization.expires_at,
        }
    }
}

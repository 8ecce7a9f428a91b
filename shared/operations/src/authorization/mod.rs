//! Authorizations. A client **requests** one and passes its URL to a person. The person's browser
//! **returns** with a code, which the e-mail worker exchanges. A destination that names an
//! authorization is **resolved** when it is saved. Secrets are only sealed here, never opened.

mod callback;
mod input;
mod resolve;

pub use callback::Consented;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::authorization::{Authorization, CLIENT_SECRET, Consent, Provider, VERIFIER};
use domain::id::{AuthorizationId, OrganizationId};
use domain::limits::AUTHORIZATIONS_MAX;
use domain::role::Permission;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use url::Url;
use utoipa::ToSchema;
use vault::Recipient;

use crate::organization::no_parameters;
use crate::quota::Limited;
use crate::view::authorization::{AuthorizationView, NewAuthorization};
use crate::{Context, Input, Operations, Query, Refusal, RefusalCode};

/// The path that providers send browsers back to.
pub const CALLBACK_PATH: &str = "/v1/oauth2/callback";
/// How long a person may take to consent.
const LIFE: Duration = Duration::from_secs(3600);

/// The body of `POST /v1/oauth2/authorizations`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateAuthorization {
    /// The provider of the mailbox: `google`, `microsoft` or `custom`.
    #[schema(example = "google")]
    pub provider: String,
    /// The client ID of the application that you registered at the provider, with
    /// `<Waybill's address>/v1/oauth2/callback` as its redirect URI.
    pub client_id: String,
    /// The client secret of the application that you registered at the provider.
    pub client_secret: String,
    /// The URL where the person consents. Default: the provider's own; required for `custom`.
    pub authorize_url: Option<String>,
    /// The URL that tokens are requested from. Default: the provider's own; required for `custom`.
    pub token_url: Option<String>,
    /// The scopes to request. Default: sending mail by SMTP; for `custom`, none.
    pub scope: Option<String>,
    /// The mail servers that access tokens may be sent to, and no others: `host`, or `host:port`.
    /// Left out: those of the provider; for `custom`, the first one that a destination uses.
    pub mail_servers: Option<Vec<String>>,
}

/// A request for a person's consent.
#[derive(Debug)]
pub struct AuthorizationRequest {
    provider: Provider,
    client_id: String,
    client_secret: SecretString,
    authorize_url: String,
    token_url: String,
    scope: Option<String>,
    mail_servers: Option<Vec<String>>,
}

impl Operations {
    /// `POST /v1/oauth2/authorizations`: requests an authorization, and returns the URL where a
    /// person consents.
    pub async fn create_authorization(
        &self,
        ctx: &Context,
        mut command: Input<AuthorizationRequest>,
    ) -> Result<NewAuthorization, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut command.query)
            .await?;
        let request = command.required(|fields| input::read(fields, &self.addresses()));
        let request = self
            .recording_blocked_addresses(ctx, organization, request)
            .await?;
        self.limit(organization, Limited::Check).await?;
        let id: AuthorizationId = self.id_for(ctx, organization);
        let sealing_id = Authorization::sealing_id(id);
        let verifier = SecretString::from(BASE64.encode(self.random.bytes::<32>()));
        let secret = BASE64.encode(self.random.bytes::<32>());
        let client = Recipient::of_token_url(&request.token_url);
        let fields = [(CLIENT_SECRET, request.client_secret.clone())];
        let client_secret = self
            .vault
            .seal_for(&client, organization, sealing_id, &fields)
            .await?
            .pop()
            .ok_or_else(|| Refusal::internal("no secret was sealed"))?;
        let sealed_verifier = self
            .vault
            .seal(organization, sealing_id, VERIFIER, &verifier)
            .await?;
        let redirect_uri = format!("{}{CALLBACK_PATH}", ctx.base_url);
        let state = State {
            id,
            organization,
            secret,
        }
        .to_string();
        let url =
            consent_url(&request, &redirect_uri, &state, &verifier).map_err(Refusal::internal)?;
        let now = self.clock.now();
        let state_sha256 = hex(&state);
        let authorization = Authorization {
            id,
            organization_id: organization,
            provider: request.provider,
            token_url: request.token_url,
            client_id: request.client_id,
            client_secret,
            scope: request.scope,
            mail_servers: request.mail_servers,
            consent: Consent::Requested {
                state_sha256,
                verifier: sealed_verifier,
                redirect_uri,
            },
            revision: 1,
            created_at: now,
            expires_at: now.plus(LIFE),
        };
        if !self.store.create_authorization(&authorization).await? {
            let detail = format!(
                "an organization has at most {AUTHORIZATIONS_MAX} authorizations; delete those \
                 that are no longer used"
            );
            return Err(Refusal::new(RefusalCode::LimitReached, detail));
        }
        let event = self.event(ctx, organization, "authorization.requested", id, Vec::new());
        self.record_made(&event).await;
        Ok(NewAuthorization {
            view: authorization.into(),
            url,
        })
    }

    /// `GET /v1/oauth2/authorizations/{id}`: returns one authorization, without its secrets.
    pub async fn authorization(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<AuthorizationView, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        let id: AuthorizationId = self.own_id(ctx, organization, id).await?;
        let found = self
            .store
            .authorization(organization, id)
            .await?
            .ok_or_else(Refusal::not_found)?;
        no_parameters(query)?;
        Ok(found.into())
    }

    /// `DELETE /v1/oauth2/authorizations/{id}`: deletes an authorization. Destinations that name it
    /// can no longer sign in.
    pub async fn delete_authorization(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<(), Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let id: AuthorizationId = self.own_id(ctx, organization, id).await?;
        if self.store.authorization(organization, id).await?.is_none() {
            return Err(Refusal::not_found());
        }
        no_parameters(query)?;
        if !self.store.delete_authorization(organization, id).await? {
            return Err(Refusal::not_found());
        }
        let event = self.event(ctx, organization, "authorization.deleted", id, Vec::new());
        self.record_made(&event).await;
        Ok(())
    }
}

/// Returns the URL where a person consents (RFC 6749 §4.1.1, RFC 7636 §4.3).
fn consent_url(
    request: &AuthorizationRequest,
    redirect_uri: &str,
    state: &str,
    verifier: &SecretString,
) -> Result<String, url::ParseError> {
    let mut url = Url::parse(&request.authorize_url)?;
    let challenge = BASE64.encode(Sha256::digest(verifier.expose_secret()));
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &request.client_id);
        query
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state);
        query
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(scope) = &request.scope {
            query.append_pair("scope", scope);
        }
        query.extend_pairs(
            request
                .provider
                .facts()
                .map_or(&[][..], |facts| facts.parameters),
        );
    }
    Ok(url.into())
}

/// The `state` parameter, which the browser brings back: the authorization, its organization, and a
/// secret that proves that the response belongs to this request.
struct State {
    id: AuthorizationId,
    organization: OrganizationId,
    secret: String,
}

impl State {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (id, organization, secret) = (
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
            parts.next()?.to_owned(),
        );
        Some(Self {
            id,
            organization,
            secret,
        })
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.id, self.organization, self.secret)
    }
}

fn hex(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::id::Ulid;

    #[test]
    fn the_address_carries_the_challenge_and_never_the_verifier_or_the_secret() {
        let facts = Provider::Google.facts().unwrap();
        let request = AuthorizationRequest {
            provider: Provider::Google,
            client_id: "app".to_owned(),
            client_secret: "s3cret".into(),
            authorize_url: facts.authorize_url.to_owned(),
            token_url: facts.token_url.to_owned(),
            scope: Some(facts.scope.to_owned()),
            mail_servers: None,
        };
        // The verifier and the challenge of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        let url = consent_url(
            &request,
            "https://waybill.example/v1/oauth2/callback",
            "the-state",
            &verifier,
        )
        .unwrap();
        let expected = [
            "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method=S256",
            "state=the-state",
            "access_type=offline",
            "redirect_uri=https%3A%2F%2Fwaybill.example%2Fv1%2Foauth2%2Fcallback",
            "scope=https%3A%2F%2Fmail.google.com%2F",
        ];
        for part in expected {
            assert!(
                url.split(['?', '&']).any(|found| found == part),
                "{part} in {url}"
            );
        }
        assert!(!url.contains("dBjf") && !url.contains("s3cret"), "{url}");
    }

    #[test]
    fn a_state_is_parsed_again_and_other_texts_are_refused() {
        let ulid = Ulid::first_at(Timestamp::from_millis(7));
        let state = State {
            id: ulid.into(),
            organization: ulid.into(),
            secret: "a.b".to_owned(),
        };
        let read = State::parse(&state.to_string()).unwrap();
        assert_eq!(
            (read.id, read.organization, read.secret.as_str()),
            (state.id, state.organization, "a.b")
        );
        for text in [
            "",
            "..",
            "x.y.z",
            &format!("{}.{}", state.id, state.organization),
        ] {
            assert!(State::parse(text).is_none(), "{text}");
        }
    }
}

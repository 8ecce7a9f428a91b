//! Handles the request with which a person's browser returns from the provider. The person is not
//! signed in: the state identifies the authorization, and only the person who was sent to the
//! provider knows it.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use domain::audit::AuditEvent;
use domain::authorization::{
    Authorization, CODE, Consent, Exchange, ExchangeAnswer, ExchangeRequest,
};
use domain::settings::Lane;
use secrecy::SecretString;
use store::Saved;

use super::{State, hex};
use crate::{Operations, Query, Refusal};

/// The time limit of the worker's invocation. The worker limits an exchange to 15 s.
const INVOCATION_MAX: Duration = Duration::from_secs(20);
/// The longest code that is accepted, in bytes. Codes usually have a few hundred characters.
const CODE_MAX: usize = 8192;

/// The outcome of an authorization, which is shown to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consented {
    /// Waybill can sign in. The text names the organization and the mail servers.
    Granted(String),
    /// Waybill did not get access. The text says why.
    Refused(String),
    /// The exchange failed temporarily, and loading the page again repeats it. The text says why.
    Again(String),
    /// No pending authorization has this state.
    Unknown,
}

impl Operations {
    /// `GET /v1/oauth2/callback`: completes an authorization. Other parameters that a provider adds
    /// are ignored.
    pub async fn finish_authorization(
        &self,
        mut query: Query,
        ip: Option<&str>,
        request_id: &str,
    ) -> Result<Consented, Refusal> {
        let mut one = |name: &str| query.take_all(name).pop();
        let (state, code, error) = (one("state").unwrap_or_default(), one("code"), one("error"));
        let Some(State {
            id, organization, ..
        }) = State::parse(&state)
        else {
            return Ok(Consented::Unknown);
        };
        // An id with another organization's tag was not issued for this organization.
        if !self.ids.owns(organization, domain::id::Id::ulid(id)) {
            return Ok(Consented::Unknown);
        }
        // An authorization is not valid after its organization has ended.
        let (stands, found) = tokio::try_join!(
            self.store.organization_is_active(organization),
            self.store.authorization(organization, id)
        )?;
        let Some(authorization) = found.filter(|_| stands) else {
            return Ok(Consented::Unknown);
        };
        let Consent::Requested { state_sha256, .. } = &authorization.consent else {
            return Ok(Consented::Unknown);
        };
        if *state_sha256 != hex(&state) || authorization.expires_at <= self.clock.now() {
            return Ok(Consented::Unknown);
        }
        let consented = match (code, error) {
            (_, Some(error)) => self.decline(&authorization, &error).await?,
            (Some(code), None) if !code.is_empty() && code.len() <= CODE_MAX => {
                self.exchange(&authorization, code).await?
            }
            (_, None) => return Ok(Consented::Refused("the provider sent no code".to_owned())),
        };
        let action = match consented {
            Consented::Granted(_) => "authorization.granted",
            Consented::Refused(_) => "authorization.refused",
            Consented::Again(_) | Consented::Unknown => return Ok(consented),
        };
        let event = AuditEvent {
            ip: ip.map(str::to_owned),
            request_id: Some(request_id.to_owned()),
            ..AuditEvent::by_system(
                self.ids.mint(organization, 1),
                organization,
                self.clock.now(),
                action,
                id,
            )
        };
        self.record_made(&event).await;
        Ok(consented)
    }

    /// Records that the person or the provider refused consent (RFC 6749 §4.1.2.1).
    async fn decline(
        &self,
        authorization: &Authorization,
        error: &str,
    ) -> Result<Consented, Refusal> {
        let is_code =
            error.len() <= 64 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let detail = format!(
            "the provider answered {}",
            if is_code { error } else { "with an error" }
        );
        let refused = authorization.with(Consent::Refused {
            detail: detail.clone(),
        });
        match self.store.save_authorization(&refused).await? {
            Saved::Done => Ok(Consented::Refused(detail)),
            Saved::Conflict => Ok(Consented::Unknown),
        }
    }

    /// Invokes the worker, which exchanges the code for tokens. The request and the response are
    /// never logged.
    async fn exchange(
        &self,
        authorization: &Authorization,
        code: String,
    ) -> Result<Consented, Refusal> {
        let Authorization {
            id,
            organization_id,
            ..
        } = *authorization;
        let code = self
            .vault
            .seal(
                organization_id,
                Authorization::sealing_id(id),
                CODE,
                &SecretString::from(code),
            )
            .await?;
        let request = ExchangeRequest {
            exchange: Exchange {
                organization_id,
                authorization_id: id,
                code,
            },
        };
        let request = serde_json::to_vec(&request).map_err(Refusal::internal)?;
        let function = self.settings.worker_functions.of(Lane::Email);
        let call = self
            .lambda
            .invoke()
            .function_name(function)
            .payload(Blob::new(request))
            .send();
        let answer = tokio::time::timeout(INVOCATION_MAX, call)
            .await
            .map_err(Refusal::unavailable)?
            .map_err(Refusal::unavailable)?;
        if let Some(error) = answer.function_error() {
            return Err(Refusal::unavailable(format!(
                "the worker that exchanges codes failed: {error}"
            )));
        }
        let answer = serde_json::from_slice(answer.payload().map(Blob::as_ref).unwrap_or_default())
            .map_err(Refusal::internal)?;
        Ok(match answer {
            ExchangeAnswer { granted: true, .. } => {
                Consented::Granted(self.granted_in_words(authorization).await?)
            }
            ExchangeAnswer {
                retry: true,
                detail,
                ..
            } => Consented::Again(detail),
            ExchangeAnswer { detail, .. } => Consented::Refused(detail),
        })
    }

    /// Returns a sentence that says what the person has consented to.
    async fn granted_in_words(&self, authorization: &Authorization) -> Result<String, Refusal> {
        let organization = self
            .existing_organization(authorization.organization_id)
            .await?;
        let servers = authorization.mail_servers_in_words();
        Ok(format!(
            "{} can now send e-mail for you through {servers}, and through no other mail server",
            organization.name
        ))
    }
}

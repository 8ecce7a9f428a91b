//! A person's consent to a mailbox. The authorization code is exchanged for a refresh token, and
//! the refresh token for access tokens.
//!
//! The worker does this because only workers can open secrets; the API can only seal them
//! (decision 15).

use std::time::Duration;

use domain::authorization::{
    Authorization, CLIENT_SECRET, CODE, Consent, Exchange, ExchangeAnswer, REFRESH_TOKEN, VERIFIER,
};
use domain::credentials::Sealed;
use domain::destination::Destination;
use domain::id::AuthorizationId;
use domain::settings::email::{Smtp, Transport};
use domain::settle::Outcome;
use egress::Host;
use oauth::{Client, Grant, Granted, Refusal};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use vault::Recipient;
use worker::{ConnectorError, Opened, Unavailable};

use crate::connector::{Parts, settings};
use crate::keeping::{SaveOutcome, keep};

/// How long an exchange may take. A person waits for the answer.
const EXCHANGE_MAX: Duration = Duration::from_secs(15);
/// How many times an authorization is saved again when others change it at the same time.
const RACES_MAX: usize = 4;

impl Parts {
    /// Exchanges an authorization code for a refresh token.
    pub(crate) async fn exchange(&self, exchange: Exchange) -> ExchangeAnswer {
        match self.exchanged(&exchange).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = worker::redacted(&domain::chain(&error).to_string());
                tracing::warn!(
                    error,
                    authorization = %exchange.authorization_id,
                    "failed to exchange an authorization code"
                );
                ExchangeAnswer::refused(true, "Waybill cannot do this right now")
            }
        }
    }

    async fn exchanged(&self, exchange: &Exchange) -> Result<ExchangeAnswer, ConnectorError> {
        let (organization, id) = (exchange.organization_id, exchange.authorization_id);
        let found = self.store.authorization(organization, id).await?;
        let Some(authorization) = found else {
            return Ok(ExchangeAnswer::refused(
                false,
                "the authorization no longer exists",
            ));
        };
        let Consent::Requested {
            verifier,
            redirect_uri,
            ..
        } = &authorization.consent
        else {
            return Ok(ExchangeAnswer::refused(
                false,
                "the authorization has been answered before",
            ));
        };
        let sealing_id = Authorization::sealing_id(id);
        let secret = self.client_secret(&authorization).await?;
        let verifier = self
            .vault
            .open(organization, sealing_id, VERIFIER, verifier)
            .await?;
        let code = self
            .vault
            .open(organization, sealing_id, CODE, &exchange.code)
            .await?;
        let client = Client {
            organization,
            token_url: &authorization.token_url,
            id: &authorization.client_id,
            secret: &secret,
        };
        let grant = Grant::AuthorizationCode {
            code: &code,
            verifier: &verifier,
            redirect_uri,
        };
        let (consent, answer) = match self
            .tokens
            .ask(&client, &grant, Instant::now() + EXCHANGE_MAX)
            .await
        {
            Ok(Granted {
                refresh_token: Some(token),
                ..
            }) => {
                let refresh_token = self.sealed_refresh_token(&authorization, &token).await?;
                let answer = ExchangeAnswer {
                    granted: true,
                    retry: false,
                    detail: "access was granted".to_owned(),
                };
                (Consent::Granted { refresh_token }, answer)
            }
            Ok(Granted {
                refresh_token: None,
                ..
            }) => refusal(
                "the provider returned no refresh token: request a scope that permits offline \
                 access",
            ),
            Err(Refusal {
                outcome: Outcome::Retry(_) | Outcome::Throttled(..),
                detail,
            }) => {
                return Ok(ExchangeAnswer::refused(true, detail));
            }
            // The detail is stored before the worker redacts the answer, so it is redacted here.
            Err(Refusal { detail, .. }) => refusal(&worker::redacted(&detail)),
        };
        match self
            .store
            .save_authorization(&authorization.with(consent))
            .await?
        {
            store::Saved::Done => Ok(answer),
            store::Saved::Conflict => Ok(ExchangeAnswer::refused(
                false,
                "the authorization has been answered before",
            )),
        }
    }

    /// Returns an access token that a person's consent permits, for the mail server of this
    /// destination.
    pub(crate) async fn token_by_consent(
        &self,
        destination: &Destination,
        deadline: Instant,
    ) -> Result<Granted, ConnectorError> {
        let opened = Opened::of(&self.vault, destination);
        let id: AuthorizationId = opened
            .open("authorization_id")?
            .parse()
            .map_err(|_| lost())?;
        let organization = destination.organization_id;
        let authorization = self
            .store
            .authorization(organization, id)
            .await?
            .ok_or_else(lost)?;
        let authorization = self
            .bound(authorization, &mail_server(destination)?)
            .await?;
        let refresh = self.refresh_token(&authorization).await?;
        let secret = self.client_secret(&authorization).await?;
        let client = Client {
            organization,
            token_url: &authorization.token_url,
            id: &authorization.client_id,
            secret: &secret,
        };
        let granted = self
            .token(&client, &Grant::RefreshToken(&refresh), deadline)
            .await?;
        let changed = granted
            .refresh_token
            .as_ref()
            .filter(|new| new.expose_secret() != refresh.expose_secret());
        if let Some(new) = changed {
            keep("authorization", id, || {
                self.try_to_keep_consent(&authorization, new)
            })
            .await;
        }
        Ok(granted)
    }

    /// Returns the authorization if it permits this mail server. An authorization without a mail
    /// server is bound to this one, for every destination that uses it.
    async fn bound(
        &self,
        mut authorization: Authorization,
        mail_server: &str,
    ) -> Result<Authorization, ConnectorError> {
        let (organization, id) = (authorization.organization_id, authorization.id);
        for _ in 0..RACES_MAX {
            match authorization.admits(mail_server) {
                Some(true) => return Ok(authorization),
                Some(false) => return Err(not_admitted(&authorization)),
                None => {}
            }
            let token = self.refresh_token(&authorization).await?;
            let mut after = authorization.with(authorization.consent.clone());
            after.mail_servers = Some(vec![mail_server.to_owned()]);
            after.consent = Consent::Granted {
                refresh_token: self.sealed_refresh_token(&after, &token).await?,
            };
            if self.store.save_authorization(&after).await? == store::Saved::Done {
                return Ok(after);
            }
            authorization = self
                .store
                .authorization(organization, id)
                .await?
                .ok_or_else(lost)?;
        }
        Err(Unavailable::new(format!("the authorization {id} kept changing")).into())
    }

    async fn client_secret(
        &self,
        authorization: &Authorization,
    ) -> Result<SecretString, ConnectorError> {
        let recipient = Recipient::of_token_url(&authorization.token_url);
        let sealing_id = Authorization::sealing_id(authorization.id);
        let organization = authorization.organization_id;
        Ok(self
            .vault
            .open_for(
                &recipient,
                organization,
                sealing_id,
                CLIENT_SECRET,
                &authorization.client_secret,
            )
            .await?)
    }

    async fn refresh_token(
        &self,
        authorization: &Authorization,
    ) -> Result<SecretString, ConnectorError> {
        let Consent::Granted { refresh_token } = &authorization.consent else {
            return Err(lost());
        };
        let recipient = Recipient::of_authorization(authorization);
        let sealing_id = Authorization::sealing_id(authorization.id);
        Ok(self
            .vault
            .open_for(
                &recipient,
                authorization.organization_id,
                sealing_id,
                REFRESH_TOKEN,
                refresh_token,
            )
            .await?)
    }

    async fn sealed_refresh_token(
        &self,
        authorization: &Authorization,
        token: &SecretString,
    ) -> Result<Sealed, ConnectorError> {
        let recipient = Recipient::of_authorization(authorization);
        let sealing_id = Authorization::sealing_id(authorization.id);
        let fields = [(REFRESH_TOKEN, token.clone())];
        let sealed = self
            .vault
            .seal_for(
                &recipient,
                authorization.organization_id,
                sealing_id,
                &fields,
            )
            .await?
            .pop();
        Ok(sealed.ok_or_else(|| Unavailable::new("the vault sealed nothing"))?)
    }

    /// Seals and stores a refresh token that the provider returned in place of the authorization's.
    async fn try_to_keep_consent(
        &self,
        authorization: &Authorization,
        new: &SecretString,
    ) -> Result<SaveOutcome, ConnectorError> {
        let (organization, id) = (authorization.organization_id, authorization.id);
        let stored = match self.store.authorization(organization, id).await? {
            Some(stored) if stored.consent == authorization.consent => stored,
            _ => return Ok(SaveOutcome::Superseded),
        };
        let refresh_token = self.sealed_refresh_token(&stored, new).await?;
        Ok(
            match self
                .store
                .save_authorization(&stored.with(Consent::Granted { refresh_token }))
                .await?
            {
                store::Saved::Done => SaveOutcome::Stored,
                store::Saved::Conflict => SaveOutcome::Changed,
            },
        )
    }
}

/// Returns the mail server of a destination in the form that authorizations list.
fn mail_server(destination: &Destination) -> Result<String, ConnectorError> {
    let Transport::Smtp(Smtp { host, port, .. }) = &settings(destination)?.transport else {
        return Err(ConnectorError::misconfigured(
            "an authorization is for a mail server, not for Amazon SES",
        ));
    };
    let host =
        Host::parse(host).map_err(|refusal| ConnectorError::misconfigured(refusal.to_string()))?;
    Ok(format!("{}:{port}", host.to_url_host()))
}

fn not_admitted(authorization: &Authorization) -> ConnectorError {
    let servers = authorization.mail_servers_in_words();
    ConnectorError::misconfigured(format!(
        "the authorization is for {servers}; a person has to consent to this mail server"
    ))
}

fn refusal(detail: &str) -> (Consent, ExchangeAnswer) {
    (
        Consent::Refused {
            detail: detail.to_owned(),
        },
        ExchangeAnswer::refused(false, detail),
    )
}

/// The error when an authorization was deleted after the destination was saved.
fn lost() -> ConnectorError {
    ConnectorError::unauthenticated(
        "the authorization that the destination names no longer exists; a person has to consent \
         again",
    )
}

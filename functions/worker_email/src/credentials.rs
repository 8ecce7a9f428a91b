//! Opens the credentials with which one attempt signs in at a mail server.

use domain::audit::AuditEvent;
use domain::check::StepName;
use domain::credentials::{CredentialKind, hint, sealed_name};
use domain::destination::Destination;
use domain::id::Ulid;
use mail_send::Credentials;
use oauth::{Client, Grant, Granted};
use secrecy::{ExposeSecret as _, SecretString};
use store::Saved;
use tokio::time::Instant;
use vault::{Confidential, Recipient};
use worker::{ConnectorError, Opened, Unavailable};

use crate::connector::Parts;
use crate::keeping::{SaveOutcome, keep};

/// The credentials for signing in at a mail server.
pub(crate) struct SignIn {
    pub(crate) credentials: Credentials<String>,
    /// The access token, if an authorization server issued it.
    pub(crate) token: Option<Granted>,
}

impl SignIn {
    fn password(username: String, secret: String) -> Self {
        Self {
            credentials: Credentials::Plain { username, secret },
            token: None,
        }
    }

    fn token(username: String, granted: &Granted) -> Self {
        Confidential::add(&granted.access_token);
        let secret = granted.access_token.expose_secret().to_owned();
        Self {
            credentials: Credentials::XOauth2 { username, secret },
            token: Some(granted.clone()),
        }
    }
}

impl Parts {
    /// Returns the credentials for the mail server.
    pub(crate) async fn sign_in(
        &self,
        destination: &Destination,
        deadline: Instant,
    ) -> Result<SignIn, ConnectorError> {
        let opened = Opened::of(&self.vault, destination);
        let username = || opened.open("username").map(str::to_owned);
        match destination.credentials.kind {
            CredentialKind::SmtpPassword => {
                let secret = opened.secret("password").await?.expose_secret().to_owned();
                Ok(SignIn::password(username()?, secret))
            }
            CredentialKind::Oauth2ClientCredentials => {
                let secret = opened.secret("client_secret").await?;
                let organization = destination.organization_id;
                let client = Client {
                    organization,
                    token_url: opened.open("token_url")?,
                    id: opened.open("client_id")?,
                    secret: &secret,
                };
                let grant = Grant::ClientCredentials {
                    scope: opened.open_opt("scope"),
                    audience: opened.open_opt("audience"),
                };
                let granted = self.token(&client, &grant, deadline).await?;
                Ok(SignIn::token(username()?, &granted))
            }
            CredentialKind::Oauth2Authorization => {
                let granted = self.token_by_consent(destination, deadline).await?;
                Ok(SignIn::token(username()?, &granted))
            }
            CredentialKind::Oauth2RefreshToken => {
                let (secret, refresh) = (
                    opened.secret("client_secret").await?,
                    opened.secret("refresh_token").await?,
                );
                let organization = destination.organization_id;
                let client = Client {
                    organization,
                    token_url: opened.open("token_url")?,
                    id: opened.open("client_id")?,
                    secret: &secret,
                };
                let granted = self
                    .token(&client, &Grant::RefreshToken(&refresh), deadline)
                    .await?;
                let sign_in = SignIn::token(username()?, &granted);
                if let Some(new) = granted
                    .refresh_token
                    .filter(|new| new.expose_secret() != refresh.expose_secret())
                {
                    keep("destination", destination.id, || {
                        self.try_to_store(destination, &new)
                    })
                    .await;
                }
                Ok(sign_in)
            }
            other => Err(ConnectorError::misconfigured(format!(
                "a mail server does not take credentials of the kind {}",
                other.as_str()
            ))),
        }
    }

    /// Returns an access token from the authorization server.
    pub(crate) async fn token(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        deadline: Instant,
    ) -> Result<Granted, ConnectorError> {
        let granted = self.tokens.token(client, grant, deadline).await;
        granted.map_err(|refusal| {
            ConnectorError::new(refusal.outcome, refusal.detail).at(StepName::Authenticate)
        })
    }

    /// Seals and stores a refresh token that the server returned in place of the destination's.
    async fn try_to_store(
        &self,
        destination: &Destination,
        new: &SecretString,
    ) -> Result<SaveOutcome, ConnectorError> {
        let (organization, id) = (destination.organization_id, destination.id);
        // A check's destination is not stored yet. It is saved with the old token, and the next
        // attempt stores the new one.
        let Some(stored) = self.store.destination(organization, id).await? else {
            return Ok(SaveOutcome::Superseded);
        };
        let is_same = stored
            .credentials
            .secrets
            .get("refresh_token")
            .map(|field| &field.sealed)
            == destination
                .credentials
                .secrets
                .get("refresh_token")
                .map(|field| &field.sealed);
        if !is_same || stored.is_deleted() {
            return Ok(SaveOutcome::Superseded);
        }
        let name = sealed_name("refresh_token");
        let sealed = self
            .vault
            .seal_for(
                &Recipient::of(destination),
                organization,
                id,
                &[(&name, new.clone())],
            )
            .await?;
        let sealed = sealed
            .into_iter()
            .next()
            .ok_or_else(|| Unavailable::new("the vault sealed nothing"))?;
        let now = self.clock.now();
        let mut after = stored.revised(now);
        if let Some(field) = after.credentials.secrets.get_mut("refresh_token") {
            (field.sealed, field.hint, field.updated_at) = (sealed, hint(new.expose_secret()), now);
        }
        let audit_id = Ulid::untagged(&self.clock, &self.random).into();
        let event =
            AuditEvent::by_system(audit_id, organization, now, "destination.token_rotated", id);
        Ok(
            match self
                .store
                .save_destination(&after, stored.revision(), &event)
                .await?
            {
                Saved::Done => SaveOutcome::Stored,
                Saved::Conflict => SaveOutcome::Changed,
            },
        )
    }
}

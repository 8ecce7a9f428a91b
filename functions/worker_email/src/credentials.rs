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
use worker::{ConnectorError, Opened};

use crate::connector::Parts;

/// How many times a destination is saved again when others change it at the same time.
const RACES_MAX: usize = 4;

/// The credentials for signing in at a mail server.
pub(crate) struct SignIn {
    pub(crate) credentials: Credentials<String>,
    /// The access token, if it came from the cache. A cached token that the server rejects is
    /// replaced once.
    pub(crate) kept_token: Option<SecretString>,
}

impl SignIn {
    fn password(username: String, secret: String) -> Self {
        Self { credentials: Credentials::Plain { username, secret }, kept_token: None }
    }

    fn token(username: String, granted: &Granted) -> Self {
        let token = &granted.access_token;
        Confidential::add(token);
        let credentials = Credentials::XOauth2 { username, secret: token.expose_secret().to_owned() };
        Self { credentials, kept_token: granted.is_kept.then(|| token.clone()) }
    }
}

impl Parts {
    /// Returns the credentials for the mail server. A token that the server `refused` is not used
    /// again.
    pub(crate) async fn sign_in(
        &self,
        destination: &Destination,
        refused: Option<&SecretString>,
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
                let client = Client { organization, token_url: opened.open("token_url")?, id: opened.open("client_id")?, secret: &secret };
                let grant = Grant::ClientCredentials { scope: opened.open_opt("scope"), audience: opened.open_opt("audience") };
                let granted = self.token(&client, &grant, refused, deadline).await?;
                Ok(SignIn::token(username()?, &granted))
            }
            CredentialKind::Oauth2Authorization => {
                let granted = self.token_by_consent(destination, refused, deadline).await?;
                Ok(SignIn::token(username()?, &granted))
            }
            CredentialKind::Oauth2RefreshToken => {
                let (secret, refresh) = (opened.secret("client_secret").await?, opened.secret("refresh_token").await?);
                let organization = destination.organization_id;
                let client = Client { organization, token_url: opened.open("token_url")?, id: opened.open("client_id")?, secret: &secret };
                let granted = self.token(&client, &Grant::RefreshToken(&refresh), refused, deadline).await?;
                let sign_in = SignIn::token(username()?, &granted);
                self.keep_rotated(destination, &refresh, granted).await?;
                Ok(sign_in)
            }
            other => Err(ConnectorError::misconfigured(format!("a mail server does not take credentials of the kind {}", other.as_str()))),
        }
    }

    /// Returns an access token from the authorization server, but not the one that a mail server
    /// `refused`.
    pub(crate) async fn token(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        refused: Option<&SecretString>,
        deadline: Instant,
    ) -> Result<Granted, ConnectorError> {
        if let Some(token) = refused {
            self.tokens.forget(client, grant, token);
        }
        let granted = self.tokens.token(client, grant, deadline).await;
        granted.map_err(|refusal| ConnectorError::new(refusal.outcome, refusal.detail).at(StepName::Authenticate))
    }

    /// Seals and stores a refresh token that the server replaced, before the old one is discarded
    /// (design.md §6).
    async fn keep_rotated(&self, destination: &Destination, old: &SecretString, granted: Granted) -> Result<(), ConnectorError> {
        let Some(new) = granted.refresh_token.filter(|new| new.expose_secret() != old.expose_secret()) else { return Ok(()) };
        let (organization, id) = (destination.organization_id, destination.id);
        let name = sealed_name("refresh_token");
        let sealed = self.vault.seal_for(&Recipient::of(destination), organization, id, &[(&name, new.clone())]).await?;
        let Some(sealed) = sealed.into_iter().next() else { return Ok(()) };
        for _ in 0..RACES_MAX {
            // A check's destination is not stored yet, so the new token cannot be saved. The
            // destination is saved with the old one, which works as long as the provider accepts
            // it.
            let Some(stored) = self.store.destination(organization, id).await? else { return Ok(()) };
            let is_same = stored.credentials.secrets.get("refresh_token").map(|field| &field.sealed)
                == destination.credentials.secrets.get("refresh_token").map(|field| &field.sealed);
            if !is_same || stored.is_deleted() {
                return Ok(());
            }
            let now = self.clock.now();
            let mut after = stored.revised(now);
            if let Some(field) = after.credentials.secrets.get_mut("refresh_token") {
                (field.sealed, field.hint, field.updated_at) = (sealed.clone(), hint(new.expose_secret()), now);
            }
            let event =
                AuditEvent::by_system(Ulid::untagged(&self.clock, &self.random).into(), organization, now, "destination.token_rotated", id);
            if self.store.save_destination(&after, stored.revision(), &event).await? == Saved::Done {
                return Ok(());
            }
        }
        tracing::warn!(destination = %id, "failed to store a changed refresh token, because the destination kept changing; the old token stays");
        Ok(())
    }
}

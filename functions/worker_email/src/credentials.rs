//! What a mail server demands, opened for one attempt.

use domain::audit::{Actor, AuditEvent, AuditOutcome};
use domain::check::StepName;
use domain::credentials::{CredentialKind, hint, sealed_name};
use domain::destination::Destination;
use domain::id::{AuditId, Ulid};
use mail_send::Credentials;
use oauth::{Client, Grant, Granted};
use secrecy::{ExposeSecret as _, SecretString};
use store::Saved;
use tokio::time::Instant;
use vault::{Confidential, Recipient};
use worker::{ConnectorError, Opened};

use crate::connector::Parts;

/// How often a changed refresh token is put in the place of the old one when the destination keeps changing.
const RACES_MAX: usize = 4;

impl Parts {
    /// What signs in at the mail server.
    pub(crate) async fn sign_in(&self, destination: &Destination, deadline: Instant) -> Result<Credentials<String>, ConnectorError> {
        let opened = Opened::of(&self.vault, destination);
        let username = || opened.open("username").map(str::to_owned);
        match destination.credentials.kind {
            CredentialKind::SmtpPassword => {
                let secret = opened.secret("password").await?.expose_secret().to_owned();
                Ok(Credentials::Plain { username: username()?, secret })
            }
            CredentialKind::Oauth2ClientCredentials => {
                let secret = opened.secret("client_secret").await?;
                let organization = destination.organization_id;
                let client = Client { organization, token_url: opened.open("token_url")?, id: opened.open("client_id")?, secret: &secret };
                let grant = Grant::ClientCredentials { scope: opened.open_opt("scope"), audience: opened.open_opt("audience") };
                let granted = self.tokens.token(&client, &grant, deadline).await.map_err(refused)?;
                Confidential::add(&granted.access_token);
                Ok(Credentials::XOauth2 { username: username()?, secret: granted.access_token.expose_secret().to_owned() })
            }
            CredentialKind::Oauth2Authorization => {
                let token = self.token_by_consent(destination, deadline).await?;
                Confidential::add(&token);
                Ok(Credentials::XOauth2 { username: username()?, secret: token.expose_secret().to_owned() })
            }
            CredentialKind::Oauth2RefreshToken => {
                let (secret, refresh) = (opened.secret("client_secret").await?, opened.secret("refresh_token").await?);
                let organization = destination.organization_id;
                let client = Client { organization, token_url: opened.open("token_url")?, id: opened.open("client_id")?, secret: &secret };
                let granted = self.tokens.token(&client, &Grant::RefreshToken(&refresh), deadline).await.map_err(refused)?;
                Confidential::add(&granted.access_token);
                let token = granted.access_token.expose_secret().to_owned();
                self.keep_rotated(destination, &refresh, granted).await?;
                Ok(Credentials::XOauth2 { username: username()?, secret: token })
            }
            other => Err(ConnectorError::misconfigured(format!("a mail server takes no credentials of the kind {}", other.as_str()))),
        }
    }

    /// A refresh token that the server changed is sealed and stored before the old one is forgotten (design.md §6).
    async fn keep_rotated(&self, destination: &Destination, old: &SecretString, granted: Granted) -> Result<(), ConnectorError> {
        let Some(new) = granted.refresh_token.filter(|new| new.expose_secret() != old.expose_secret()) else { return Ok(()) };
        let (organization, id) = (destination.organization_id, destination.id);
        let name = sealed_name("refresh_token");
        let sealed = self.vault.seal_for(&Recipient::of(destination), organization, id, &[(&name, new.clone())]).await?;
        let Some(sealed) = sealed.into_iter().next() else { return Ok(()) };
        for _ in 0..RACES_MAX {
            // A check's destination is not stored yet: what it was given goes into it when it is saved, the old one as long as it works.
            let Some(stored) = self.store.destination(organization, id).await? else { return Ok(()) };
            let is_same = stored.credentials.secrets.get("refresh_token").map(|field| &field.sealed)
                == destination.credentials.secrets.get("refresh_token").map(|field| &field.sealed);
            if !is_same || stored.is_deleted() {
                return Ok(());
            }
            let now = self.clock.now();
            let mut after = stored.clone();
            if let Some(field) = after.credentials.secrets.get_mut("refresh_token") {
                (field.sealed, field.hint, field.updated_at) = (sealed.clone(), hint(new.expose_secret()), now);
            }
            (after.revision, after.updated_at) = (stored.revision + 1, now);
            let event = AuditEvent {
                id: AuditId::from(Ulid::untagged(&self.clock, &self.random)),
                organization_id: organization,
                at: now,
                action: "destination.token_rotated".to_owned(),
                outcome: AuditOutcome::Succeeded,
                actor: Actor::system(),
                ip: None,
                target: Some(id.to_string()),
                changes: Vec::new(),
                request_id: None,
            };
            if self.store.save_destination(&after, stored.revision, &event).await? == Saved::Done {
                return Ok(());
            }
        }
        tracing::warn!(destination = %id, "a changed refresh token could not be stored: the destination kept changing");
        Ok(())
    }
}

pub(crate) fn refused(refusal: oauth::Refusal) -> ConnectorError {
    ConnectorError::new(refusal.outcome, refusal.detail).at(StepName::Authenticate)
}

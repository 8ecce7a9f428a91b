//! A destination's secrets, opened for one attempt: the address, the credentials and the signing
//! keys.

use domain::Timestamp;
use domain::destination::Destination;
use domain::signing_secret::{SecretSource, SigningSecret};
use futures_util::future::{try_join, try_join_all};
use http::{HeaderName, HeaderValue};
use oauth::{Granted, Tokens};
use secrecy::{ExposeSecret as _, SecretString};
use signing::SigningKey;
use tokio::time::Instant;
use vault::Vault;
use worker::{ConnectorError, dependency};

use crate::authentication::authentication;

/// The secrets that the vault opened.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    /// The headers that authenticate, with their values marked as sensitive.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The URL, if the URL is the secret.
    pub(crate) url: Option<SecretString>,
    /// PagerDuty's routing key, which is sent in the body.
    pub(crate) routing_key: Option<SecretString>,
    /// The access token in those headers, if an authorization server issued it.
    pub(crate) token: Option<Granted>,
    /// The signing keys, newest first; empty if signatures are off.
    pub(crate) keys: Vec<SigningKey>,
}

impl Secrets {
    /// Opens the secrets that `destination` needs at `now`.
    pub(crate) async fn open(
        vault: &Vault,
        tokens: &Tokens,
        destination: &Destination,
        signed: bool,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Self, ConnectorError> {
        let live = if signed {
            destination.live_secrets(now)
        } else {
            Vec::new()
        };
        if signed && live.is_empty() {
            return Err(ConnectorError::misconfigured(
                "signatures are enabled, but no signing secret is valid",
            ));
        }
        let keys = try_join_all(
            live.into_iter()
                .map(|secret| signing_key(vault, destination, secret)),
        );
        let (authentication, keys) =
            try_join(authentication(vault, tokens, destination, deadline), keys).await?;
        Ok(Self {
            keys,
            ..authentication
        })
    }
}

async fn signing_key(
    vault: &Vault,
    destination: &Destination,
    secret: &SigningSecret,
) -> Result<SigningKey, ConnectorError> {
    let text = match &secret.source {
        SecretSource::Generated { sealed } | SecretSource::Provided { sealed } => {
            dependency(vault.open(
                destination.organization_id,
                destination.id,
                &SigningSecret::sealed_name(secret.id),
                sealed,
            ))
            .await?
        }
        SecretSource::SecretsManager { arn, role } => {
            dependency(vault.referenced(arn, role.as_ref(), destination.organization_id)).await?
        }
    };
    // Text that was stored with an editor may end with a newline.
    SigningKey::parse(text.expose_secret().trim()).map_err(|error| {
        ConnectorError::misconfigured(format!(
            "the signing secret {} cannot be used: {error}",
            secret.id
        ))
    })
}

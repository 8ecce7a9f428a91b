//! A destination's secrets, opened for one attempt: where it is, what authenticates it and what signs it.

use domain::Timestamp;
use domain::destination::Destination;
use domain::signing_secret::{SecretSource, SigningSecret};
use futures_util::future::{try_join, try_join_all};
use http::{HeaderName, HeaderValue};
use oauth::Tokens;
use secrecy::{ExposeSecret as _, SecretString};
use signing::SigningKey;
use tokio::time::Instant;
use vault::Vault;
use worker::{ConnectorError, dependency};

use crate::authentication::authentication;

/// What the vault opened.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    /// The headers that authenticate; their values are marked sensitive.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The address, when it is the secret.
    pub(crate) url: Option<SecretString>,
    /// What a pager service knows the customer by: it stands in the body.
    pub(crate) routing_key: Option<SecretString>,
    /// The token in those headers, where an authorization server gave it.
    pub(crate) token: Option<SecretString>,
    /// The keys that sign, newest first; none when signatures are off.
    pub(crate) keys: Vec<SigningKey>,
}

impl Secrets {
    /// Opens what `destination` needs at `now`.
    pub(crate) async fn open(
        vault: &Vault,
        tokens: &Tokens,
        destination: &Destination,
        signed: bool,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Self, ConnectorError> {
        let live = if signed { destination.live_secrets(now) } else { Vec::new() };
        if signed && live.is_empty() {
            return Err(ConnectorError::misconfigured("signatures are on and no signing secret is live"));
        }
        let keys = try_join_all(live.into_iter().map(|secret| signing_key(vault, destination, secret)));
        let (authentication, keys) = try_join(authentication(vault, tokens, destination, deadline), keys).await?;
        Ok(Self { keys, ..authentication })
    }
}

async fn signing_key(vault: &Vault, destination: &Destination, secret: &SigningSecret) -> Result<SigningKey, ConnectorError> {
    let text = match &secret.source {
        SecretSource::Generated { sealed } | SecretSource::Provided { sealed } => {
            dependency(vault.open(destination.organization_id, destination.id, &SigningSecret::sealed_name(secret.id), sealed)).await?
        }
        SecretSource::SecretsManager { arn, role } => dependency(vault.referenced(arn, role.as_ref(), destination.organization_id)).await?,
    };
    // Secrets Manager keeps the newline that an editor put at the end.
    SigningKey::parse(text.expose_secret().trim())
        .map_err(|error| ConnectorError::misconfigured(format!("the signing secret {} cannot be used: {error}", secret.id)))
}

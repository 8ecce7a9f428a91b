//! A destination's secrets, opened for one attempt: what authenticates it and what signs it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use domain::Timestamp;
use domain::credentials::CredentialKind;
use domain::destination::Destination;
use domain::signing_secret::{SecretSource, SigningSecret};
use futures_util::future::{try_join, try_join_all};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use signing::SigningKey;
use vault::Vault;
use worker::{Hindrance, Opened};
use zeroize::Zeroizing;

/// What the vault opened.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    /// The header that authenticates; its value is marked sensitive.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    /// The keys that sign, newest first; none when signatures are off.
    pub(crate) keys: Vec<SigningKey>,
    /// What a receiver might send back to us, and nobody may read.
    pub(crate) confidential: Vec<SecretString>,
}

/// The credentials as a header, and each form of them that must not show.
#[derive(Default)]
struct Authentication {
    header: Option<(HeaderName, HeaderValue)>,
    confidential: Vec<SecretString>,
}

impl Secrets {
    /// Opens what `destination` needs at `now`.
    pub(crate) async fn open(vault: &Vault, destination: &Destination, signed: bool, now: Timestamp) -> Result<Self, Hindrance> {
        let live = if signed { destination.live_secrets(now) } else { Vec::new() };
        if signed && live.is_empty() {
            return Err(Hindrance::misconfigured("signatures are on and no signing secret is live"));
        }
        let keys = try_join_all(live.into_iter().map(|secret| signing_key(vault, destination, secret)));
        let (authentication, keys) = try_join(authentication(vault, destination), keys).await?;
        Ok(Self { header: authentication.header, keys, confidential: authentication.confidential })
    }
}

async fn signing_key(vault: &Vault, destination: &Destination, secret: &SigningSecret) -> Result<SigningKey, Hindrance> {
    let text = match &secret.source {
        SecretSource::Generated { sealed } | SecretSource::Provided { sealed } => {
            vault.open(destination.organization_id, destination.id, &SigningSecret::sealed_name(secret.id), sealed).await?
        }
        SecretSource::SecretsManager { arn } => vault.referenced(arn, destination.organization_id).await?,
    };
    // Secrets Manager keeps the newline that an editor put at the end.
    SigningKey::parse(text.expose_secret().trim())
        .map_err(|error| Hindrance::misconfigured(format!("the signing secret {} cannot be used: {error}", secret.id)))
}

async fn authentication(vault: &Vault, destination: &Destination) -> Result<Authentication, Hindrance> {
    let credentials = Opened::of(vault, destination);
    match destination.credentials.kind {
        CredentialKind::None => Ok(Authentication::default()),
        CredentialKind::ApiKey => {
            let name = HeaderName::from_bytes(credentials.open("header")?.as_bytes());
            let name = name.map_err(|_| Hindrance::misconfigured("the API key's header is no header name"))?;
            let value = credentials.secret("value").await?;
            let header = header_value(value.expose_secret())?;
            Ok(Authentication { header: Some((name, header)), confidential: vec![value] })
        }
        CredentialKind::Bearer => {
            let token = credentials.secret("token").await?;
            let header = header_value(&Zeroizing::new(format!("Bearer {}", token.expose_secret())))?;
            Ok(Authentication { header: Some((AUTHORIZATION, header)), confidential: vec![token] })
        }
        CredentialKind::Basic => {
            let username = credentials.open("username")?;
            let password = credentials.secret("password").await?;
            let pair = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
            let encoded = SecretString::from(BASE64.encode(&*pair));
            let header = header_value(&Zeroizing::new(format!("Basic {}", encoded.expose_secret())))?;
            Ok(Authentication { header: Some((AUTHORIZATION, header)), confidential: vec![encoded, password] })
        }
        other => Err(Hindrance::misconfigured(format!("a webhook does not take credentials of the kind {}", other.as_str()))),
    }
}

fn header_value(text: &str) -> Result<HeaderValue, Hindrance> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| Hindrance::misconfigured("the credentials hold characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

//! Builds the headers and secrets that authenticate a request, for each kind of credentials.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use domain::credentials::CredentialKind;
use domain::destination::Destination;
use domain::settings::Settings;
use domain::settings::webhook::Preset;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use oauth::{Client, Grant, Tokens};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use vault::{Confidential, Vault};
use worker::{ConnectorError, Opened};
use zeroize::Zeroizing;

use crate::secrets::Secrets;

/// Opens the credentials and returns what authenticates a request: headers, a secret URL or a
/// PagerDuty routing key.
pub(crate) async fn authentication(
    vault: &Vault,
    tokens: &Tokens,
    destination: &Destination,
    deadline: Instant,
) -> Result<Secrets, ConnectorError> {
    let credentials = Opened::of(vault, destination);
    match destination.credentials.kind {
        CredentialKind::None => Ok(Secrets::default()),
        CredentialKind::SecretUrl => {
            let url = credentials.secret("url").await?;
            Ok(Secrets {
                url: Some(url),
                ..Secrets::default()
            })
        }
        CredentialKind::Headers => headers(&credentials, destination).await,
        CredentialKind::ApiKey => {
            let name = header_name(credentials.open("header")?)?;
            let value = credentials.secret("value").await?;
            with_header(name, value.expose_secret())
        }
        CredentialKind::Bearer => bearer(credentials.secret("token").await?, destination),
        CredentialKind::Basic => {
            let username = credentials.open("username")?;
            let password = credentials.secret("password").await?;
            let pair = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
            let encoded = SecretString::from(BASE64.encode(&*pair));
            Confidential::add(&encoded);
            let header = Zeroizing::new(format!("Basic {}", encoded.expose_secret()));
            with_header(AUTHORIZATION, &header)
        }
        CredentialKind::Oauth2ClientCredentials => {
            let secret = credentials.secret("client_secret").await?;
            let (client, grant) = client_credentials(&credentials, &secret)?;
            let granted = tokens
                .token(&client, &grant, deadline)
                .await
                .map_err(refused)?;
            Confidential::add(&granted.access_token);
            let header = Zeroizing::new(format!("Bearer {}", granted.access_token.expose_secret()));
            Ok(Secrets {
                token: Some(granted),
                ..with_header(AUTHORIZATION, &header)?
            })
        }
        other => Err(ConnectorError::misconfigured(format!(
            "a webhook does not take credentials of the kind {}",
            other.as_str()
        ))),
    }
}

fn client_credentials<'c>(
    credentials: &Opened<'c>,
    secret: &'c SecretString,
) -> Result<(Client<'c>, Grant<'c>), ConnectorError> {
    let organization = credentials.organization();
    let client = Client {
        organization,
        token_url: credentials.open("token_url")?,
        id: credentials.open("client_id")?,
        secret,
    };
    let grant = Grant::ClientCredentials {
        scope: credentials.open_opt("scope"),
        audience: credentials.open_opt("audience"),
    };
    Ok((client, grant))
}

fn refused(refusal: oauth::Refusal) -> ConnectorError {
    ConnectorError::new(refusal.outcome, refusal.detail)
}

/// Sends the token in the `Authorization` header. PagerDuty expects its key in the body instead.
fn bearer(token: SecretString, destination: &Destination) -> Result<Secrets, ConnectorError> {
    let is_pager = matches!(&destination.settings,
        Settings::Webhook(webhook) if webhook.preset == Some(Preset::Pagerduty));
    if is_pager {
        return Ok(Secrets {
            routing_key: Some(token),
            ..Secrets::default()
        });
    }
    let header = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    with_header(AUTHORIZATION, &header)
}

async fn headers(
    credentials: &Opened<'_>,
    destination: &Destination,
) -> Result<Secrets, ConnectorError> {
    let mut secrets = Secrets::default();
    let members = destination
        .credentials
        .secrets
        .keys()
        .filter_map(|member| Some((member, member.strip_prefix("headers/")?)));
    for (member, name) in members {
        let value = credentials.secret(member).await?;
        secrets
            .headers
            .push((header_name(name)?, header_value(value.expose_secret())?));
    }
    Ok(secrets)
}

fn with_header(name: HeaderName, value: &str) -> Result<Secrets, ConnectorError> {
    Ok(Secrets {
        headers: vec![(name, header_value(value)?)],
        ..Secrets::default()
    })
}

fn header_name(name: &str) -> Result<HeaderName, ConnectorError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ConnectorError::misconfigured(
            "the credentials name a header whose name is not valid in HTTP",
        )
    })
}

fn header_value(text: &str) -> Result<HeaderValue, ConnectorError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ConnectorError::misconfigured(
            "the credentials contain characters that are not valid in an HTTP header",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

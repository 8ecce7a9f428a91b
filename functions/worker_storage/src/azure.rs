//! Credentials for Azure: an account key, a shared access signature, or a token of an Entra ID
//! application.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{Clock, Timestamp};
use egress::{Client, Failure, Request, Schemes, Target};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use object_store::azure::{AzureAccessKey, AzureCredential, split_sas};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded;
use vault::Confidential;

use crate::Credentials;
use crate::answer::Answer;
use crate::error::StorageError;
use crate::session_cache::SessionCache;

const SCOPE: &str = "https://storage.azure.com/.default";
/// The remaining lifetime that a token must have when an attempt begins. No attempt takes longer.
const LIFE_LEFT_MIN: Duration = Duration::from_secs(11 * 60);
/// The largest answer that is read. A token is a few kilobytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Entra ID tokens, cached until they expire.
#[derive(Debug)]
pub(crate) struct Tokens {
    client: Client,
    schemes: Schemes,
    authority: String,
    clock: Clock,
    cache: SessionCache<Principal, SharedToken>,
}

/// A token, and the time until which an attempt may begin with it.
type Token = (SecretString, Timestamp);

/// The cached token of a principal. It is locked while a new token is requested.
type SharedToken = Arc<AsyncMutex<Option<Token>>>;

/// Tenant, client id and client secret. A wrong secret never finds the token of the right one.
type Principal = (String, String, String);

impl Tokens {
    pub(crate) fn new(client: Client, schemes: Schemes, authority: String, clock: Clock) -> Self {
        Self {
            client,
            schemes,
            authority,
            clock,
            cache: SessionCache::default(),
        }
    }

    /// Returns a cached token or a new one. For each principal, one request at a time is sent;
    /// concurrent callers wait for its answer.
    async fn token(
        &self,
        organization: &str,
        tenant_id: &str,
        client_id: &str,
        secret: &SecretString,
        deadline: Instant,
    ) -> Result<SecretString, StorageError> {
        let principal = (
            tenant_id.to_owned(),
            client_id.to_owned(),
            secret.expose_secret().to_owned(),
        );
        let shared = self.cache.get_or_default(organization, principal);
        let slow =
            |_| StorageError::from(Failure::timed_out("Entra ID did not issue a token in time"));
        let mut cached = timeout_at(deadline, shared.lock()).await.map_err(slow)?;
        let now = self.clock.now();
        if let Some((token, until)) = &*cached
            && *until > now
        {
            return Ok(token.clone());
        }
        let (token, life) = self.ask(tenant_id, client_id, secret, deadline).await?;
        *cached = Some((token.clone(), now.plus(life.saturating_sub(LIFE_LEFT_MIN))));
        Ok(token)
    }

    /// Requests a token with the client credentials grant (RFC 6749 §4.4).
    async fn ask(
        &self,
        tenant: &str,
        client_id: &str,
        secret: &SecretString,
        deadline: Instant,
    ) -> Result<(SecretString, Duration), StorageError> {
        if !is_tenant(tenant) {
            return Err(StorageError::misconfigured(
                "tenant_id is not a directory's id or domain",
            ));
        }
        let url = format!(
            "{}/{tenant}/oauth2/v2.0/token",
            self.authority.trim_end_matches('/')
        );
        let target =
            Target::parse(&url, self.schemes).map_err(|refusal| StorageError::address(&refusal))?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client_id)
            .append_pair("client_secret", secret.expose_secret())
            .append_pair("scope", SCOPE)
            .finish();
        let headers = HeaderMap::from_iter([
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let request = Request {
            method: Method::POST,
            target,
            headers,
            body: Bytes::from(form),
            deadline,
        };
        let response = self.client.send(request).await?;
        let (status, headers) = (response.status, response.headers.clone());
        let body = response.read(ANSWER_BYTES_MAX).await;
        let answer: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
        if status == StatusCode::BAD_REQUEST || status == StatusCode::UNAUTHORIZED {
            let code = answer["error"]
                .as_str()
                .filter(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            return Err(StorageError::unauthenticated(format!(
                "Entra ID rejected the application: {}",
                code.unwrap_or("no reason given")
            )));
        }
        if !status.is_success() {
            return Err(StorageError::Refused(Answer::new(
                status,
                &headers,
                "",
                self.clock.now(),
            )));
        }
        let token = answer["access_token"]
            .as_str()
            .filter(|token| HeaderValue::from_str(token).is_ok())
            .ok_or_else(StorageError::unintelligible)?;
        let life = Duration::from_secs(answer["expires_in"].as_u64().unwrap_or(0));
        Ok((SecretString::from(token.to_owned()), life))
    }
}

/// Returns credentials that stay valid for the whole attempt.
pub(crate) async fn credential(
    tokens: &Tokens,
    organization: &str,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<AzureCredential, StorageError> {
    match credentials {
        Credentials::AccountKey { account_key } => {
            let unreadable = |_| StorageError::unauthenticated("the account's key is not base64");
            Ok(AzureCredential::AccessKey(
                AzureAccessKey::try_new(account_key.expose_secret()).map_err(unreadable)?,
            ))
        }
        Credentials::SasToken { sas_token } => {
            let pairs = split_sas(sas_token.expose_secret()).unwrap_or_default();
            if !pairs.iter().any(|(name, _)| name == "sig") {
                return Err(StorageError::unauthenticated(
                    "the shared access signature cannot be read",
                ));
            }
            Ok(AzureCredential::SASToken(pairs))
        }
        Credentials::ServicePrincipal {
            tenant_id,
            client_id,
            client_secret,
        } => {
            let token = tokens
                .token(organization, tenant_id, client_id, client_secret, deadline)
                .await?;
            Confidential::add(&token);
            Ok(AzureCredential::BearerToken(
                token.expose_secret().to_owned(),
            ))
        }
        _ => Err(StorageError::misconfigured(
            "Azure Blob Storage takes account_key, sas_token or service_principal credentials",
        )),
    }
}

fn is_tenant(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        && !text.starts_with('.')
}

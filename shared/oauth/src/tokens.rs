//! Asking for tokens.

use std::time::Duration;

use bytes::Bytes;
use domain::settle::Outcome;
use domain::{Clock, Reason};
use egress::{Request, Schemes, Target};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

use crate::kept::Kept;
use crate::{Client, Grant, Refusal};

/// A token is not used in the last minute of its life: the receiver's clock is another, and the request takes its time.
const LIFE_LEFT_MIN: Duration = Duration::from_secs(60);
/// How long a token lives whose server does not say.
const LIFE_UNSAID: Duration = Duration::from_secs(300);
/// A token is a few kilobytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Asks for tokens and keeps them. One per process.
#[derive(Debug)]
pub struct Tokens {
    http: egress::Client,
    schemes: Schemes,
    clock: Clock,
    kept: Kept,
}

/// What a server gave.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub access_token: SecretString,
    /// Another refresh token, in the place of the one it was asked with, or the first.
    pub refresh_token: Option<SecretString>,
}

impl Tokens {
    /// Tokens asked for through `http`, at addresses of these schemes.
    #[must_use]
    pub fn new(http: egress::Client, schemes: Schemes, clock: Clock) -> Self {
        Self { http, schemes, clock, kept: Kept::default() }
    }

    /// A token that is kept, or a new one.
    pub async fn token(&self, client: &Client<'_>, grant: &Grant<'_>, deadline: Instant) -> Result<Granted, Refusal> {
        let kept = self.kept.get(&grant.digest(client), self.clock.now());
        match kept {
            Some(access_token) => Ok(Granted { access_token, refresh_token: None }),
            None => self.ask(client, grant, deadline).await,
        }
    }

    /// Forgets a token that a receiver did not take; the next one is new.
    pub fn forget(&self, client: &Client<'_>, grant: &Grant<'_>) {
        self.kept.remove(&grant.digest(client));
    }

    /// A new token, in any case.
    pub async fn ask(&self, client: &Client<'_>, grant: &Grant<'_>, deadline: Instant) -> Result<Granted, Refusal> {
        let target = Target::parse(client.token_url, self.schemes).map_err(|refusal| Refusal::address(&refusal))?;
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let request = Request { method: Method::POST, target, headers, body: Bytes::from(grant.form(client)), deadline };
        let response = self.http.send(request).await.map_err(|failure| Refusal::unanswered(&failure))?;
        let status = response.status;
        let body = response.read(ANSWER_BYTES_MAX).await;
        let answer: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
        if !status.is_success() {
            return Err(refused(status, &answer));
        }
        let text = |name: &str| answer[name].as_str().filter(|token| HeaderValue::from_str(token).is_ok()).map(SecretString::from);
        let Some(access_token) = text("access_token") else {
            return Err(Refusal::new(Outcome::Retry(Reason::Protocol), "the authorization server answered without a token"));
        };
        let life = answer["expires_in"].as_u64().map_or(LIFE_UNSAID, Duration::from_secs);
        let now = self.clock.now();
        // A code is good for once; the others' tokens are asked for again and again.
        if !matches!(grant, Grant::AuthorizationCode { .. }) {
            self.kept.put(grant.digest(client), access_token.clone(), now.plus(life.saturating_sub(LIFE_LEFT_MIN)), now);
        }
        Ok(Granted { access_token, refresh_token: text("refresh_token") })
    }
}

/// RFC 6749 §5.2: 400 and 401 say that something is wrong with what was sent.
fn refused(status: StatusCode, answer: &Value) -> Refusal {
    let code = answer["error"].as_str().filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    let told = code.map_or_else(|| format!("it answered {status}"), |code| format!("{code} (it answered {status})"));
    let detail = format!("the authorization server gave no token: {told}");
    let outcome = match status.as_u16() {
        400 | 401 | 403 => Outcome::ClientError(Reason::Authentication),
        429 => Outcome::Throttled(Reason::RateLimited, Duration::ZERO),
        408 => Outcome::Retry(Reason::Timeout),
        500..=599 => Outcome::Retry(Reason::ServerError),
        _ => Outcome::ClientError(Reason::Rejected),
    };
    Refusal::new(outcome, detail)
}

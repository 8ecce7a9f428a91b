//! Asking for tokens.

use std::time::Duration;

use bytes::Bytes;
use domain::id::OrganizationId;
use domain::retry::retry_after;
use domain::settle::Outcome;
use domain::{Clock, Reason};
use egress::{Request, Schemes, Target};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::client_authentication::{ClientAuthentication, Ways};
use crate::kept::{Kept, Paused};
use crate::turns::Turns;
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
    paused: Paused,
    turns: Turns,
    ways: Ways,
}

/// What a server gave.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub access_token: SecretString,
    /// Another refresh token, in the place of the one it was asked with, or the first.
    pub refresh_token: Option<SecretString>,
    /// Whether the token was kept from an earlier request: the server may have revoked it since.
    pub is_kept: bool,
}

impl Tokens {
    /// Tokens asked for through `http`, at addresses of these schemes.
    #[must_use]
    pub fn new(http: egress::Client, schemes: Schemes, clock: Clock) -> Self {
        Self { http, schemes, clock, kept: Kept::default(), paused: Paused::default(), turns: Turns::default(), ways: Ways::default() }
    }

    /// A token that is kept, or a new one. Whoever needs one that is being asked for waits for that answer.
    pub async fn token(&self, client: &Client<'_>, grant: &Grant<'_>, deadline: Instant) -> Result<Granted, Refusal> {
        let digest = grant.digest(client);
        if let Some(granted) = self.kept(client.organization, &digest)? {
            return Ok(granted);
        }
        let turn = self.turns.of(digest);
        let taken = timeout_at(deadline, turn.take()).await.map_err(|_| Refusal::slow())?;
        if let Some(granted) = self.kept(client.organization, &digest)? {
            return Ok(granted);
        }
        if let Some(refusal) = taken.refused_meanwhile() {
            return Err(refusal);
        }
        let answer = self.ask(client, grant, deadline).await;
        // Whoever has more time left than this request had asks again.
        let refusal = answer.as_ref().err().filter(|refusal| refusal.outcome.reason() != Some(Reason::Timeout));
        taken.answered(refusal.cloned());
        answer
    }

    fn kept(&self, organization: OrganizationId, digest: &[u8; 32]) -> Result<Option<Granted>, Refusal> {
        let now = self.clock.now();
        match self.kept.get(organization, digest, now) {
            Some(access_token) => Ok(Some(Granted { access_token, refresh_token: None, is_kept: true })),
            None => self.paused.left(organization, digest, now).map_or(Ok(None), |left| Err(Refusal::paused(left))),
        }
    }

    /// Forgets a token that a receiver did not take; the next one is new.
    pub fn forget(&self, client: &Client<'_>, grant: &Grant<'_>, token: &SecretString) {
        self.kept.remove(client.organization, &grant.digest(client), token);
    }

    /// A new token, in any case.
    pub async fn ask(&self, client: &Client<'_>, grant: &Grant<'_>, deadline: Instant) -> Result<Granted, Refusal> {
        let digest = grant.digest(client);
        let way = self.ways.get(&digest);
        let refused = match self.request(client, grant, way, deadline).await? {
            Answer::Granted(granted) => return Ok(granted),
            Answer::ClientRefused(refusal) => refusal,
        };
        match self.request(client, grant, way.other(), deadline).await? {
            Answer::Granted(granted) => {
                self.ways.put(digest, way.other());
                Ok(granted)
            }
            Answer::ClientRefused(_) => Err(refused),
        }
    }

    /// Asks once, with the client authenticated in this way.
    async fn request(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        way: ClientAuthentication,
        deadline: Instant,
    ) -> Result<Answer, Refusal> {
        let target = Target::parse(client.token_url, self.schemes).map_err(|refusal| Refusal::address(&refusal))?;
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        headers.extend(way.header(client).map(|header| (AUTHORIZATION, header)));
        let request = Request { method: Method::POST, target, headers, body: Bytes::from(grant.form(client, way)), deadline };
        let response = self.http.send(request).await.map_err(|failure| Refusal::unanswered(&failure))?;
        let status = response.status;
        let now = self.clock.now();
        let text = |name| response.headers.get(name).and_then(|value| value.to_str().ok());
        let pause = text(RETRY_AFTER).and_then(|after| retry_after(after, text(DATE), now));
        let body = response.read(ANSWER_BYTES_MAX).await;
        let answer: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
        if !status.is_success() {
            let refusal = refused(status, &answer, pause);
            if let Outcome::Throttled(_, pause) = refusal.outcome {
                self.paused.put(client.organization, grant.digest(client), now.plus(pause), now);
            }
            return if refuses_client(status, &answer) { Ok(Answer::ClientRefused(refusal)) } else { Err(refusal) };
        }
        let text = |name: &str| answer[name].as_str().filter(|token| HeaderValue::from_str(token).is_ok()).map(SecretString::from);
        let Some(access_token) = text("access_token") else {
            return Err(Refusal::new(Outcome::Retry(Reason::Protocol), "the authorization server answered without a token"));
        };
        let life = answer["expires_in"].as_u64().map_or(LIFE_UNSAID, Duration::from_secs);
        // A code is good for once; the others' tokens are asked for again and again.
        if !matches!(grant, Grant::AuthorizationCode { .. }) {
            self.kept.put(
                client.organization,
                grant.digest(client),
                access_token.clone(),
                now.plus(life.saturating_sub(LIFE_LEFT_MIN)),
                now,
            );
        }
        Ok(Answer::Granted(Granted { access_token, refresh_token: text("refresh_token"), is_kept: false }))
    }
}

/// A server's answer that is about the client.
enum Answer {
    Granted(Granted),
    /// It may not have looked for the client where the request named it.
    ClientRefused(Refusal),
}

/// Whether a server may take the client authenticated in another way. Errors that name the grant or its scope are about a client it knows.
fn refuses_client(status: StatusCode, answer: &Value) -> bool {
    let may_be_client = |code: &str| matches!(code, "invalid_client" | "invalid_request" | "unauthorized_client");
    matches!(status.as_u16(), 400 | 401 | 403) && answer["error"].as_str().is_none_or(may_be_client)
}

/// RFC 6749 §5.2: 400 and 401 say that something is wrong with what was sent.
fn refused(status: StatusCode, answer: &Value, pause: Option<Duration>) -> Refusal {
    let code = answer["error"].as_str().filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    let told = code.map_or_else(|| format!("it answered {status}"), |code| format!("{code} (it answered {status})"));
    let detail = format!("the authorization server gave no token: {told}");
    let outcome = match (status.as_u16(), code, pause) {
        (429, _, pause) => Outcome::Throttled(Reason::RateLimited, pause.unwrap_or_default()),
        (503, _, Some(pause)) => Outcome::Throttled(Reason::RateLimited, pause),
        (400 | 401 | 403, Some("server_error" | "temporarily_unavailable"), _) => Outcome::Retry(Reason::ServerError),
        (400 | 401 | 403, _, _) => Outcome::ClientError(Reason::Authentication),
        (408, _, _) => Outcome::Retry(Reason::Timeout),
        (425 | 500..=599, _, _) => Outcome::Retry(Reason::ServerError),
        _ => Outcome::ClientError(Reason::Rejected),
    };
    Refusal::new(outcome, detail)
}

//! Requests and caches tokens.

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

use crate::client_authentication::{ClientAuthentication, KnownMethods};
use crate::rotated::Rotated;
use crate::token_cache::{Paused, TokenCache};
use crate::turns::Turns;
use crate::{Client, Grant, Refusal};

/// The remaining lifetime at which a token is no longer used, because the receiver's clock may
/// differ and the request takes time.
const LIFE_LEFT_MIN: Duration = Duration::from_secs(60);
/// The lifetime of a token if the server does not state one.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// The largest answer that is read. A token is a few kilobytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Requests tokens and caches them. Create one per process.
#[derive(Debug)]
pub struct Tokens {
    http: egress::Client,
    schemes: Schemes,
    clock: Clock,
    cache: TokenCache,
    rotated: Rotated,
    paused: Paused,
    turns: Turns,
    ways: KnownMethods,
}

/// The answer of an authorization server.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The access token that was issued.
    pub access_token: SecretString,
    /// A refresh token that replaces the one of the request, or the first one. It is returned again
    /// for the replaced one, so that a caller that failed to store it can store it later.
    pub refresh_token: Option<SecretString>,
    /// Whether the token was cached before the caller asked for it, so that the server may have
    /// revoked it since.
    pub was_cached: bool,
}

impl Tokens {
    /// Creates an instance that sends requests through `http` to URLs of these schemes.
    #[must_use]
    pub fn new(http: egress::Client, schemes: Schemes, clock: Clock) -> Self {
        let (cache, rotated, paused) =
            (TokenCache::default(), Rotated::default(), Paused::default());
        Self {
            http,
            schemes,
            clock,
            cache,
            rotated,
            paused,
            turns: Turns::default(),
            ways: KnownMethods::default(),
        }
    }

    /// Returns a cached token or a new one. If the same token is being requested, waits for that
    /// answer. A refresh token that the server has replaced is not sent again: its successor is
    /// used and returned.
    pub async fn token(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        deadline: Instant,
    ) -> Result<Granted, Refusal> {
        let newer = self.rotated.newest(client, grant, self.clock.now());
        let newest = newer.as_ref().map_or(*grant, Grant::RefreshToken);
        let granted = self.newest_token(client, &newest, deadline).await?;
        Ok(Granted {
            refresh_token: granted.refresh_token.or(newer),
            ..granted
        })
    }

    async fn newest_token(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        deadline: Instant,
    ) -> Result<Granted, Refusal> {
        let digest = grant.digest(client);
        if let Some(granted) = self.cached(client.organization, &digest)? {
            return Ok(granted);
        }
        let turn = self.turns.of(digest);
        let taken = timeout_at(deadline, turn.take())
            .await
            .map_err(|_| Refusal::slow())?;
        if let Some(granted) = self.cached(client.organization, &digest)? {
            // It was issued while this caller waited.
            return Ok(Granted {
                was_cached: false,
                ..granted
            });
        }
        if let Some(refusal) = taken.refused_meanwhile() {
            return Err(refusal);
        }
        // The request that this one waited for may have replaced the refresh token.
        let newer = self.rotated.newest(client, grant, self.clock.now());
        let answer = self
            .ask(
                client,
                &newer.as_ref().map_or(*grant, Grant::RefreshToken),
                deadline,
            )
            .await;
        let answer = answer.map(|granted| Granted {
            refresh_token: granted.refresh_token.or(newer),
            ..granted
        });
        // A caller whose deadline is later than that of this request asks again.
        let refusal = answer
            .as_ref()
            .err()
            .filter(|refusal| refusal.outcome.reason() != Some(Reason::Timeout));
        taken.answered(refusal.cloned());
        answer
    }

    fn cached(
        &self,
        organization: OrganizationId,
        digest: &[u8; 32],
    ) -> Result<Option<Granted>, Refusal> {
        let now = self.clock.now();
        match self.cache.get(organization, digest, now) {
            Some(access_token) => Ok(Some(Granted {
                access_token,
                refresh_token: None,
                was_cached: true,
            })),
            None => self
                .paused
                .left(organization, digest, now)
                .map_or(Ok(None), |left| Err(Refusal::paused(left))),
        }
    }

    /// Removes a token that a receiver rejected from the cache, so that the next one is new.
    pub fn forget(&self, organization: OrganizationId, token: &SecretString) {
        self.cache.remove(organization, token);
    }

    /// Requests a new token, with the other method of client authentication if the first is
    /// rejected.
    pub async fn ask(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        deadline: Instant,
    ) -> Result<Granted, Refusal> {
        let digest = grant.digest(client);
        let way = self
            .ways
            .get(client.organization, &digest, self.clock.now());
        let refused = match self.request(client, grant, way, deadline).await? {
            Answer::Granted(granted) => return Ok(granted),
            Answer::ClientRefused(refusal) => refusal,
        };
        match self.request(client, grant, way.other(), deadline).await? {
            Answer::Granted(granted) => {
                self.ways
                    .put(client.organization, digest, way.other(), self.clock.now());
                Ok(granted)
            }
            Answer::ClientRefused(_) => Err(refused),
        }
    }

    /// Sends one request with this method of client authentication.
    async fn request(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        way: ClientAuthentication,
        deadline: Instant,
    ) -> Result<Answer, Refusal> {
        let target = Target::parse(client.token_url, self.schemes)
            .map_err(|refusal| Refusal::address(&refusal))?;
        let mut headers = HeaderMap::from_iter([
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        headers.extend(way.header(client).map(|header| (AUTHORIZATION, header)));
        let request = Request {
            method: Method::POST,
            target,
            headers,
            body: Bytes::from(grant.form(client, way)),
            deadline,
        };
        let response = self
            .http
            .send(request)
            .await
            .map_err(|failure| Refusal::unanswered(&failure))?;
        let status = response.status;
        let now = self.clock.now();
        let text = |name| {
            response
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let pause = text(RETRY_AFTER).and_then(|after| retry_after(after, text(DATE), now));
        let body = response.read(ANSWER_BYTES_MAX).await;
        let answer: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
        if !status.is_success() {
            let refusal = refused(status, &answer, pause);
            if let Outcome::Throttled(_, pause) = refusal.outcome {
                self.paused.put(
                    client.organization,
                    grant.digest(client),
                    now.plus(pause),
                    now,
                );
            }
            return if refuses_client(status, &answer) {
                Ok(Answer::ClientRefused(refusal))
            } else {
                Err(refusal)
            };
        }
        let text = |name: &str| {
            answer[name]
                .as_str()
                .filter(|token| HeaderValue::from_str(token).is_ok())
                .map(SecretString::from)
        };
        let Some(access_token) = text("access_token") else {
            return Err(Refusal::new(
                Outcome::Retry(Reason::Protocol),
                "the authorization server answered without a token",
            ));
        };
        let life = answer["expires_in"]
            .as_u64()
            .map_or(DEFAULT_LIFETIME, Duration::from_secs);
        // An authorization code can be used only once, so its token is not cached.
        let refresh_token = text("refresh_token");
        if !matches!(grant, Grant::AuthorizationCode { .. }) {
            let until = now.plus(life.saturating_sub(LIFE_LEFT_MIN));
            // The next request has the replaced refresh token or its successor.
            let successor = self
                .rotated
                .note(client, grant, refresh_token.as_ref(), now);
            for digest in std::iter::once(grant.digest(client)).chain(successor) {
                self.cache.put(
                    client.organization,
                    digest,
                    access_token.clone(),
                    until,
                    now,
                );
            }
        }
        Ok(Answer::Granted(Granted {
            access_token,
            refresh_token,
            was_cached: false,
        }))
    }
}

/// The answer of a server, if it was granted or may concern the client's authentication.
enum Answer {
    Granted(Granted),
    /// The server may not have found the client's credentials in this part of the request.
    ClientRefused(Refusal),
}

/// Whether the server may accept the client with the other authentication method. Errors about the
/// grant or its scope mean that it has recognised the client.
fn refuses_client(status: StatusCode, answer: &Value) -> bool {
    let may_be_client = |code: &str| {
        matches!(
            code,
            "invalid_client" | "invalid_request" | "unauthorized_client"
        )
    };
    matches!(status.as_u16(), 400 | 401 | 403) && answer["error"].as_str().is_none_or(may_be_client)
}

/// Maps a refusal. By RFC 6749 §5.2, 400 and 401 mean that the request was wrong.
fn refused(status: StatusCode, answer: &Value, pause: Option<Duration>) -> Refusal {
    let code = answer["error"].as_str().filter(|code| {
        code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    let cause = code.map_or_else(
        || format!("it answered {status}"),
        |code| format!("{code} (it answered {status})"),
    );
    let detail = format!("the authorization server gave no token: {cause}");
    let outcome = match (status.as_u16(), code, pause) {
        (429, _, pause) => Outcome::Throttled(Reason::RateLimited, pause.unwrap_or_default()),
        (503, _, Some(pause)) => Outcome::Throttled(Reason::RateLimited, pause),
        (400 | 401 | 403, Some("server_error" | "temporarily_unavailable"), _) => {
            Outcome::Retry(Reason::ServerError)
        }
        (400 | 401 | 403, _, _) => Outcome::ClientError(Reason::Authentication),
        (408, _, _) => Outcome::Retry(Reason::Timeout),
        (425 | 500..=599, _, _) => Outcome::Retry(Reason::ServerError),
        _ => Outcome::ClientError(Reason::Rejected),
    };
    Refusal::new(outcome, detail)
}

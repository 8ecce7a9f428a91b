//! HTTP requests to destinations.

use crate::{
    Failure, FailureKind, Guard, Identity, Outgoing, Response, Target, Tls, TlsSetupError,
    classify::{classify, may_be_sent_again},
    connecting::{Attempt, Copier},
    organization,
    pool::{self, Pool, Route, RouteKey},
};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

const BODY_IS_GONE: &str = "the body was sent before and cannot be sent again";

/// The HTTP client. One per process: a new one would know no open connection and load its roots again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) guard: Guard,
    pub(crate) tls: Tls,
    pool: Arc<Pool>,
    copier: Arc<Copier>,
}

/// A request to send.
#[derive(Debug, Clone)]
pub struct Request {
    /// POST, PUT …
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// All headers but `host`, `content-length` and `accept: */*`, which are made here.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When to give up, the answer's body included.
    pub deadline: Instant,
}

impl Client {
    /// A client whose connections all go through `guard`.
    ///
    /// # Panics
    ///
    /// When the HTTP library refuses settings that are the same on every machine.
    pub fn new(guard: Guard, tls: Tls) -> Self {
        let config = tls.offering(&ALPN);
        let copier = Copier::new(pool::builder(&config)).expect("the settings do not depend on anything");
        let pool = Arc::new(Pool::new(config));
        Self { guard, tls, pool, copier: Arc::new(copier) }
    }

    /// The same for one destination: with a certificate of its own, and with a private authority in the place of the public ones. It shares
    /// no connection with this one.
    pub fn for_destination(
        &self,
        identity: Option<&Identity>,
        authorities: Option<&[rustls::pki_types::CertificateDer<'static>]>,
    ) -> Result<Self, TlsSetupError> {
        let tls = self.tls.for_destination(identity, authorities)?;
        Ok(Self { pool: Arc::new(Pool::new(tls.offering(&ALPN))), tls, ..self.clone() })
    }

    /// Sends a request and waits for the answer's status line and headers. A redirect is an answer
    /// like any other. A request that a kept connection lost before a byte of an answer came, or that
    /// the receiver's HTTP/2 says it did not process, is sent once more on a new connection.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let Request { method, target, headers, body, deadline } = request;
        self.send_body(method, &target, headers, Outgoing::from(body), deadline).await
    }

    /// The same with a body that may be streamed: as large as it likes, in memory piece by piece.
    /// A stream that was read from is not sent again.
    pub async fn send_body(
        &self,
        method: Method,
        target: &Target,
        mut headers: HeaderMap,
        body: Outgoing,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        // RFC 9110, section 8.6: a request of these methods says that its content is empty.
        if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        let key =
            RouteKey { organization: organization::current(), is_tls: target.is_tls(), host: target.host().clone(), port: target.port() };
        let route = self.pool.route(&key).map_err(|error| classify(&error).because(error))?;
        let _under_way = route.traffic.begin();
        let attempt = Attempt::new(self.guard.clone(), target.clone(), deadline, Arc::clone(&self.copier), route.traffic.clone());
        let request = |client: &reqwest::Client| {
            let mut request = reqwest::Request::new(method.clone(), target.url().clone());
            request.headers_mut().clone_from(&headers);
            *request.body_mut() = Some(body.body()?);
            Some(client.execute(request))
        };
        let exchange = self.exchange(&key, &route, &attempt, request);
        // On the heap: callers' futures contain this one, and their stacks are bounded.
        match timeout_at(deadline, Box::pin(exchange)).await {
            Ok(Ok(response)) => Ok(Response::new(response, deadline)),
            Ok(Err(failure)) => Err(failure),
            Err(_) => {
                self.pool.give_up(&key, &route);
                Err(Failure::new(FailureKind::Timeout, "no answer came in time"))
            }
        }
    }

    /// Sends what `request` makes, and once more on a new connection when a kept one lost it.
    async fn exchange<F>(
        &self,
        key: &RouteKey,
        route: &Route,
        attempt: &Arc<Attempt>,
        request: impl Fn(&reqwest::Client) -> Option<F>,
    ) -> Result<reqwest::Response, Failure>
    where
        F: Future<Output = reqwest::Result<reqwest::Response>>,
    {
        let Some(first) = request(&route.client) else { return Err(Failure::new(FailureKind::Protocol, BODY_IS_GONE)) };
        let first = attempt.run(first).await;
        let again = if may_be_sent_again(&first, attempt) { self.pool.new_client().ok() } else { None };
        let again = again.and_then(|client| Some((request(&client)?, client)));
        let failure = |error: reqwest::Error| classify(&error).because(error);
        let Some((again, client)) = again else { return first.map_err(failure) };
        let host = attempt.target.host();
        match first {
            Ok(_) => tracing::debug!(%host, "a kept connection timed out as a request was sent; it is sent on a new one"),
            Err(error) => tracing::debug!(%error, %host, "a kept connection lost a request; it is sent on a new one"),
        }
        let answer = attempt.run(again).await.map_err(failure)?;
        self.pool.replace(key, route, client);
        Ok(answer)
    }
}

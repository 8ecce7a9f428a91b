//! The HTTP client for requests to destinations.

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

/// The HTTP client. Create one per process: a new one has no open connections and loads its roots
/// again. Cloning it is cheap.
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
    /// The method, such as POST or PUT.
    pub method: Method,
    /// The URL to send the request to.
    pub target: Target,
    /// All headers except `host`, `content-length` and `accept: */*`, which the client adds.
    pub headers: HeaderMap,
    /// The body in memory.
    pub body: Bytes,
    /// The deadline, which includes reading the answer's body.
    pub deadline: Instant,
}

impl Client {
    /// Creates a client whose connections all pass `guard`.
    ///
    /// # Panics
    ///
    /// Panics if the HTTP library refuses its settings, which are the same on every machine.
    pub fn new(guard: Guard, tls: Tls) -> Self {
        let config = tls.offering(&ALPN);
        let copier =
            Copier::new(pool::builder(&config)).expect("the settings do not depend on anything");
        let pool = Arc::new(Pool::new(config));
        Self {
            guard,
            tls,
            pool,
            copier: Arc::new(copier),
        }
    }

    /// Returns a client for one destination, with a client certificate, or with certificate
    /// authorities that replace the public ones. It shares no connection with this client.
    pub fn for_destination(
        &self,
        identity: Option<&Identity>,
        authorities: Option<&[rustls::pki_types::CertificateDer<'static>]>,
    ) -> Result<Self, TlsSetupError> {
        let tls = self.tls.for_destination(identity, authorities)?;
        Ok(Self {
            pool: Arc::new(Pool::new(tls.offering(&ALPN))),
            tls,
            ..self.clone()
        })
    }

    /// Sends a request and waits for the status line and headers of the answer. Redirects are not
    /// followed. If a kept connection was lost before any byte of the answer arrived, or if HTTP/2
    /// reports that the request was not processed, the request is sent once more on a new
    /// connection.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let Request {
            method,
            target,
            headers,
            body,
            deadline,
        } = request;
        self.send_body(method, &target, headers, Outgoing::from(body), deadline)
            .await
    }

    /// Sends a request whose body may be streamed: it can have any size, and only one piece is in
    /// memory. A stream that was read from is not sent again.
    pub async fn send_body(
        &self,
        method: Method,
        target: &Target,
        mut headers: HeaderMap,
        body: Outgoing,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        // RFC 9110, section 8.6: requests with these methods declare an empty content.
        if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            headers
                .entry(CONTENT_LENGTH)
                .or_insert(HeaderValue::from_static("0"));
        }
        let key = RouteKey {
            organization: organization::current(),
            is_tls: target.is_tls(),
            host: target.host().clone(),
            port: target.port(),
        };
        let route = self
            .pool
            .route(&key)
            .map_err(|error| classify(&error).because(error))?;
        let _under_way = route.traffic.begin();
        let attempt = Attempt::new(
            self.guard.clone(),
            target.clone(),
            deadline,
            Arc::clone(&self.copier),
            route.traffic.clone(),
        );
        let request = |client: &reqwest::Client| {
            let mut request = reqwest::Request::new(method.clone(), target.url().clone());
            request.headers_mut().clone_from(&headers);
            *request.body_mut() = Some(body.body()?);
            Some(client.execute(request))
        };
        let exchange = self.exchange(&key, &route, &attempt, request);
        // Boxed, because callers' futures contain this one and their stacks are small.
        match timeout_at(deadline, Box::pin(exchange)).await {
            Ok(Ok(response)) => Ok(Response::new(response, deadline)),
            Ok(Err(failure)) => Err(failure),
            Err(_) => {
                self.pool.give_up(&key, &route);
                Err(Failure::new(FailureKind::Timeout, "no answer came in time"))
            }
        }
    }

    /// Sends the request that `request` creates, and sends it once more on a new connection if a
    /// kept connection was lost.
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
        let Some(first) = request(&route.client) else {
            return Err(Failure::new(FailureKind::Protocol, BODY_IS_GONE));
        };
        let first = attempt.run(first).await;
        let again = if may_be_sent_again(&first, attempt) {
            self.pool.new_client().ok()
        } else {
            None
        };
        let again = again.and_then(|client| Some((request(&client)?, client)));
        let failure = |error: reqwest::Error| classify(&error).because(error);
        let Some((again, client)) = again else {
            return first.map_err(failure);
        };
        let host = attempt.target.host();
        match first {
            Ok(_) => {
                tracing::debug!(
                    %host,
                    "a kept connection timed out while a request was sent; the request is sent on \
                     a new connection"
                )
            }
            Err(error) => {
                tracing::debug!(
                    %error,
                    %host,
                    "a kept connection was lost with a request; the request is sent on a new \
                     connection"
                )
            }
        }
        let answer = attempt.run(again).await.map_err(failure)?;
        self.pool.replace(key, route, client);
        Ok(answer)
    }
}

//! HTTP requests to destinations.

use crate::{
    Failure, FailureKind, Guard, Identity, Outgoing, Response, Target, Tls, TlsSetupError, classify::classify, connector::Connector,
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use hyper_util::{
    client::legacy::{self, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long an idle connection is kept. Shorter than common servers' five seconds: a connection that the other side closes just as we
/// write costs an attempt. It also ends those that slept through a Lambda's freeze.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Idle connections to one host: a batch of ten, and some.
const IDLE_PER_HOST_MAX: usize = 16;
/// An answer's status line and headers together.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The HTTP client. One per process: a new one would know no open connection and load its roots again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) guard: Guard,
    pub(crate) tls: Tls,
    http: legacy::Client<Connector, Outgoing>,
}

/// A request to send.
#[derive(Debug, Clone)]
pub struct Request {
    /// POST, PUT …
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// All headers but `host` and `content-length`, which are made here.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When to give up, the answer's body included.
    pub deadline: Instant,
}

impl Client {
    /// A client whose connections all go through `guard`.
    pub fn new(guard: Guard, tls: Tls) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(Connector::new(guard.clone(), &tls));
        Self { guard, tls, http }
    }

    /// The same for one destination: with a certificate of its own, and with a private authority in the place of the public ones. It shares
    /// no connection with this one.
    pub fn for_destination(
        &self,
        identity: Option<&Identity>,
        authorities: Option<&[rustls::pki_types::CertificateDer<'static>]>,
    ) -> Result<Self, TlsSetupError> {
        Ok(Self::new(self.guard.clone(), self.tls.for_destination(identity, authorities)?))
    }

    /// Sends a request, once, and waits for the answer's status line and headers. A redirect is an answer like any other.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let Request { method, target, headers, body, deadline } = request;
        self.send_body(method, &target, headers, Outgoing::from(body), deadline).await
    }

    /// The same with a body that may be streamed: as large as it likes, in memory piece by piece.
    pub async fn send_body(
        &self,
        method: Method,
        target: &Target,
        headers: HeaderMap,
        body: Outgoing,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let mut http = http::Request::new(body);
        *http.method_mut() = method;
        *http.uri_mut() = target.uri().clone();
        *http.headers_mut() = headers;
        let connection = capture_connection(&mut http);
        match timeout_at(deadline, self.http.request(http)).await {
            Ok(Ok(response)) => Ok(Response::new(response, deadline)),
            Ok(Err(error)) => Err(classify(error)),
            Err(_) if connection.connection_metadata().is_some() => Err(Failure::new(FailureKind::Timeout, "no answer came in time")),
            Err(_) => {
                let host = target.host();
                Err(Failure::new(FailureKind::Timeout, format!("no connection to {host} came about in time")))
            }
        }
    }
}

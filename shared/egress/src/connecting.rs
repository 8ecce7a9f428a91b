//! New connections of the HTTP client: the name resolved and checked by the guard, the addresses
//! raced, TCP and TLS by reqwest.
//!
//! reqwest tries the addresses of a name one after the other and hides its transport, but takes a
//! layer around its connector. This layer connects once for each address that the race starts, and
//! the client's resolver hands over the one checked address that each connection is for.

use crate::{Failure, Guard, Target, classify::sources, guard, handshake::Handshake, tls, traffic::Traffic};
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use std::{
    any::Any,
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};

/// What is left of an attempt when connecting is given up.
const CONNECT_MARGIN: Duration = Duration::from_millis(20);

type BoxError = Box<dyn Error + Send + Sync>;

tokio::task_local! {
    static ATTEMPT: Arc<Attempt>;
    static ADDRESS: SocketAddr;
    static REQUEST: Arc<Mutex<Option<Box<dyn Any + Send>>>>;
}

/// One request on its way, as far as connections are concerned.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) guard: Guard,
    pub(crate) target: Target,
    /// When to give up.
    pub(crate) deadline: Instant,
    /// Makes further connection requests of reqwest's own type.
    pub(crate) copier: Arc<Copier>,
    /// The requests of the same client.
    traffic: Traffic,
    opened: Mutex<Vec<Opened>>,
}

/// A connection that was opened for a request.
#[derive(Debug)]
struct Opened {
    /// Our end.
    local: SocketAddr,
    /// The requests that had begun by then, when no other of them was under way.
    begun_alone: Option<u64>,
}

impl Attempt {
    pub(crate) fn new(guard: Guard, target: Target, deadline: Instant, copier: Arc<Copier>, traffic: Traffic) -> Arc<Self> {
        Arc::new(Self { guard, target, deadline, copier, traffic, opened: Mutex::default() })
    }

    /// Runs a request; connections that it needs are opened for this attempt.
    pub(crate) async fn run<F: Future>(self: &Arc<Self>, request: F) -> F::Output {
        ATTEMPT.scope(Arc::clone(self), request).await
    }

    /// Whether the connection with this end of ours was opened for this attempt and carried no other
    /// request. Requests that wait for a connection of HTTP/2 all use the first that is there, also
    /// before the one that it was opened for.
    pub(crate) fn was_alone_on(&self, local: SocketAddr, is_http_2: bool) -> bool {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let found = opened.iter().find(|opened| opened.local == local);
        found.is_some_and(|opened| !is_http_2 || opened.begun_alone == Some(self.traffic.begun()))
    }

    async fn connect<S, R>(&self, connector: S, request: R) -> Result<S::Response, Failure>
    where
        S: Service<R, Error = BoxError> + Clone,
        S::Response: Connection,
        R: Send + 'static,
    {
        let first = Mutex::new(Some(request));
        // Just before the attempt ends, so that the failure says what was waited for.
        let by = guard::connect_by(self.deadline.checked_sub(CONNECT_MARGIN).unwrap_or(self.deadline));
        let open = |address| {
            let request = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.open(connector.clone(), request, address, by)
        };
        let connection = self.guard.open(self.target.host(), self.target.port(), by, open).await?;
        if let Some(info) = info(&connection) {
            let opened = Opened { local: info.local_addr(), begun_alone: self.traffic.begun_alone() };
            self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        }
        Ok(connection)
    }

    async fn open<S, R>(&self, mut connector: S, request: Option<R>, address: SocketAddr, by: Instant) -> Result<S::Response, Failure>
    where
        S: Service<R, Error = BoxError>,
        R: Send + 'static,
    {
        let handshake = Arc::new(Handshake::default());
        let connecting = async {
            let request = match request {
                Some(request) => request,
                None => self.copier.copy(&self.target).await?,
            };
            connector.call(request).await
        };
        let connecting = ADDRESS.scope(address, handshake.observe(connecting));
        match timeout_at(by, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) if handshake.began() => Err(tls::handshake_failure(self.target.host(), &handshake, error)),
            Ok(Err(error)) => {
                let source = sources(&*error).find_map(|source| source.downcast_ref::<io::Error>());
                let kind = source.map_or(io::ErrorKind::Other, io::Error::kind);
                Err(guard::connect_failure(address, kind, error))
            }
            Err(_) if handshake.began() => Err(tls::handshake_timeout(self.target.host())),
            Err(_) => Err(guard::not_accepted(address)),
        }
    }
}

/// The addresses of a connection.
pub(crate) fn info(connection: &impl Connection) -> Option<HttpInfo> {
    let mut extensions = http::Extensions::new();
    connection.connected().get_extras(&mut extensions);
    extensions.remove()
}

/// Puts [`Connecting`] around reqwest's connector.
#[derive(Debug, Clone)]
pub(crate) struct ConnectingLayer;

/// Connects on behalf of the attempt that runs.
#[derive(Debug, Clone)]
pub(crate) struct Connecting<S>(S);

impl<S> Layer<S> for ConnectingLayer {
    type Service = Connecting<S>;

    fn layer(&self, connector: S) -> Connecting<S> {
        Connecting(connector)
    }
}

impl<S, R> Service<R> for Connecting<S>
where
    S: Service<R, Error = BoxError> + Clone + Send + Sync + 'static,
    S::Response: Connection + Send,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let attempt = ATTEMPT.try_with(Arc::clone);
        let connector = self.0.clone();
        Box::pin(async move { Ok(attempt?.connect(connector, request).await?) })
    }
}

/// Hands reqwest the address that the guard has checked.
#[derive(Debug)]
pub(crate) struct CheckedAddress;

impl reqwest::dns::Resolve for CheckedAddress {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let address = ADDRESS.try_with(|address| *address);
        Box::pin(async move { Ok(Box::new(std::iter::once(address?)) as reqwest::dns::Addrs) })
    }
}

/// Makes requests for reqwest's connector. Their type cannot be named or cloned outside of reqwest,
/// and a race needs one for each address: this client asks for a connection, and its layer keeps
/// the request and connects to nothing.
#[derive(Debug)]
pub(crate) struct Copier(reqwest::Client);

impl Copier {
    /// `builder` is one of a client that has no other layer.
    pub(crate) fn new(builder: reqwest::ClientBuilder) -> reqwest::Result<Self> {
        Ok(Self(builder.pool_max_idle_per_host(0).connector_layer(KeepingLayer).build()?))
    }

    async fn copy<R: 'static>(&self, target: &Target) -> Result<R, BoxError> {
        let kept = Arc::new(Mutex::new(None));
        // It always fails: no connection is made.
        let _ = REQUEST.scope(Arc::clone(&kept), self.0.get(target.url().clone()).send()).await;
        let request = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let request = request.and_then(|request: Box<dyn Any + Send>| request.downcast().ok());
        request.map(|request| *request).ok_or_else(|| "the HTTP client made no request for a connection".into())
    }
}

#[derive(Debug, Clone)]
struct KeepingLayer;

#[derive(Debug, Clone)]
struct Keeping<S>(S);

impl<S> Layer<S> for KeepingLayer {
    type Service = Keeping<S>;

    fn layer(&self, connector: S) -> Keeping<S> {
        Keeping(connector)
    }
}

impl<S, R> Service<R> for Keeping<S>
where
    S: Service<R, Error = BoxError>,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = std::future::Ready<Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let keep = |slot: &Arc<Mutex<Option<Box<dyn Any + Send>>>>| {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(request));
        };
        let _ = REQUEST.try_with(keep);
        std::future::ready(Err("kept".into()))
    }
}

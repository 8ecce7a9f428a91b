//! Opens connections for the HTTP client: the guard resolves and checks the name, the addresses are
//! raced, and reqwest does TCP and TLS.
//!
//! reqwest tries the addresses of a name one after another and hides its transport, but accepts a
//! layer around its connector. This layer connects once for each address that the race starts, and
//! the client's resolver returns the one checked address for each connection.

use crate::{
    Failure, Guard, Target, classify::sources, guard, handshake::Handshake, tls, traffic::Traffic,
};
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

/// The time left of an attempt when connecting ends.
const CONNECT_MARGIN: Duration = Duration::from_millis(20);

type BoxError = Box<dyn Error + Send + Sync>;

tokio::task_local! {
    static ATTEMPT: Arc<Attempt>;
    static ADDRESS: SocketAddr;
    static REQUEST: Arc<Mutex<Option<Box<dyn Any + Send>>>>;
}

/// One request, as far as connections are concerned.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) guard: Guard,
    pub(crate) target: Target,
    /// The deadline of the request.
    pub(crate) deadline: Instant,
    /// Creates more connection requests of reqwest's own type.
    pub(crate) copier: Arc<Copier>,
    /// The traffic of the same client.
    traffic: Traffic,
    opened: Mutex<Vec<Opened>>,
}

/// A connection that was opened for a request.
#[derive(Debug)]
struct Opened {
    /// The local address of the connection.
    local: SocketAddr,
    /// How many requests the client had begun when the connection was opened, if this was the only
    /// one in progress.
    sole_request_number: Option<u64>,
}

impl Attempt {
    pub(crate) fn new(
        guard: Guard,
        target: Target,
        deadline: Instant,
        copier: Arc<Copier>,
        traffic: Traffic,
    ) -> Arc<Self> {
        Arc::new(Self {
            guard,
            target,
            deadline,
            copier,
            traffic,
            opened: Mutex::default(),
        })
    }

    /// Runs a request. Connections that it needs are opened for this attempt.
    pub(crate) async fn run<F: Future>(self: &Arc<Self>, request: F) -> F::Output {
        ATTEMPT.scope(Arc::clone(self), request).await
    }

    /// Whether the connection with this local address was opened for this attempt and carried no
    /// other request. Requests that wait for an HTTP/2 connection all use the first one that is
    /// opened, regardless of which request opened it.
    pub(crate) fn was_only_request_on(&self, local: SocketAddr, is_http_2: bool) -> bool {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let found = opened.iter().find(|opened| opened.local == local);
        found.is_some_and(|opened| {
            !is_http_2 || opened.sole_request_number == Some(self.traffic.begun())
        })
    }

    async fn connect<S, R>(&self, connector: S, request: R) -> Result<S::Response, Failure>
    where
        S: Service<R, Error = BoxError> + Clone,
        S::Response: Connection,
        R: Send + 'static,
    {
        let first = Mutex::new(Some(request));
        // Ends just before the attempt does, so that the failure describes the connection.
        let by = guard::connect_by(
            self.deadline
                .checked_sub(CONNECT_MARGIN)
                .unwrap_or(self.deadline),
        );
        let open = |address| {
            let request = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.open(connector.clone(), request, address, by)
        };
        let connection = self
            .guard
            .open(self.target.host(), self.target.port(), by, open)
            .await?;
        if let Some(info) = info(&connection) {
            let opened = Opened {
                local: info.local_addr(),
                sole_request_number: self.traffic.sole_request_number(),
            };
            self.opened
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(opened);
        }
        Ok(connection)
    }

    async fn open<S, R>(
        &self,
        mut connector: S,
        request: Option<R>,
        address: SocketAddr,
        by: Instant,
    ) -> Result<S::Response, Failure>
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
            Ok(Err(error)) if handshake.began() => Err(tls::handshake_failure(
                self.target.host(),
                &handshake,
                error,
            )),
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

/// Returns the addresses of a connection.
pub(crate) fn info(connection: &impl Connection) -> Option<HttpInfo> {
    let mut extensions = http::Extensions::new();
    connection.connected().get_extras(&mut extensions);
    extensions.remove()
}

/// Puts [`Connecting`] around reqwest's connector.
#[derive(Debug, Clone)]
pub(crate) struct ConnectingLayer;

/// Connects for the attempt that runs.
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

/// Returns the address that the guard has checked to reqwest.
#[derive(Debug)]
pub(crate) struct CheckedAddress;

impl reqwest::dns::Resolve for CheckedAddress {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let address = ADDRESS.try_with(|address| *address);
        Box::pin(async move { Ok(Box::new(std::iter::once(address?)) as reqwest::dns::Addrs) })
    }
}

/// Creates connection requests for reqwest's connector. Their type cannot be named or cloned
/// outside reqwest, and a race needs one for each address. So this client asks for a connection,
/// and its layer keeps the request without connecting.
#[derive(Debug)]
pub(crate) struct Copier(reqwest::Client);

impl Copier {
    /// `builder` must be that of a client without another layer.
    pub(crate) fn new(builder: reqwest::ClientBuilder) -> reqwest::Result<Self> {
        Ok(Self(
            builder
                .pool_max_idle_per_host(0)
                .connector_layer(CaptureLayer)
                .build()?,
        ))
    }

    async fn copy<R: 'static>(&self, target: &Target) -> Result<R, BoxError> {
        let sent_request = Arc::new(Mutex::new(None));
        // The request always fails, because no connection is made.
        let _ = REQUEST
            .scope(
                Arc::clone(&sent_request),
                self.0.get(target.url().clone()).send(),
            )
            .await;
        let request = sent_request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let request = request.and_then(|request: Box<dyn Any + Send>| request.downcast().ok());
        request
            .map(|request| *request)
            .ok_or_else(|| "the HTTP client requested no connection".into())
    }
}

#[derive(Debug, Clone)]
struct CaptureLayer;

#[derive(Debug, Clone)]
struct CaptureService<S>(S);

impl<S> Layer<S> for CaptureLayer {
    type Service = CaptureService<S>;

    fn layer(&self, connector: S) -> CaptureService<S> {
        CaptureService(connector)
    }
}

impl<S, R> Service<R> for CaptureService<S>
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

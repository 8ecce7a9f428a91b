//! The server behind a sink: its scripts, its requests and its port.

use super::{Received, Reply};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, combinators::BoxBody};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_rustls::TlsAcceptor;

/// The state that the routes and connections of a sink share.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    arrivals: Notify,
    connections: atomic::AtomicU64,
}

#[derive(Default)]
struct State {
    anywhere: Script,
    scripts: HashMap<String, Script>,
    received: Vec<Received>,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    delay: Duration,
}

impl Script {
    fn next(&mut self) -> Reply {
        let reply = match self.replies.len() {
            0 => Reply::status(200),
            1 => self.replies[0].clone(),
            _ => self.replies.pop_front().expect("there are two"),
        };
        let delay = reply.delay.max(self.delay);
        reply.after(delay)
    }
}

impl State {
    fn script(&mut self, path: Option<&str>) -> &mut Script {
        match path {
            None => &mut self.anywhere,
            Some(path) => self.scripts.entry(path.to_owned()).or_default(),
        }
    }

    fn next(&mut self, path: &str) -> Reply {
        self.scripts
            .get_mut(path)
            .unwrap_or(&mut self.anywhere)
            .next()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_replies(&self, path: Option<&str>, replies: VecDeque<Reply>) {
        self.state().script(path).replies = replies;
    }

    pub(super) fn set_delay(&self, path: Option<&str>, delay: Duration) {
        self.state().script(path).delay = delay;
    }

    pub(super) fn received(&self, path: Option<&str>) -> Vec<Received> {
        self.state()
            .received
            .iter()
            .filter(|request| claims(path, request))
            .cloned()
            .collect()
    }

    pub(super) fn count(&self, path: Option<&str>) -> usize {
        self.state()
            .received
            .iter()
            .filter(|request| claims(path, request))
            .count()
    }

    pub(super) fn forget(&self, path: Option<&str>) {
        self.state()
            .received
            .retain(|request| !claims(path, request));
    }

    /// Ends at the next arrival. Create it before reading what has arrived, so that nothing is
    /// missed in between.
    pub(super) fn arrival(&self) -> impl Future<Output = ()> + '_ {
        self.arrivals.notified()
    }

    fn record(&self, request: Received) -> Reply {
        let mut state = self.state();
        let reply = state.next(&request.path);
        state.received.push(request);
        drop(state);
        self.arrivals.notify_waiters();
        reply
    }
}

fn claims(path: Option<&str>, request: &Received) -> bool {
    path.is_none_or(|path| path == request.path)
}

/// The listening port, which can be closed and opened again. Dropping it ends the server.
pub(super) struct ListeningPort {
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

struct Order {
    open: bool,
    done: oneshot::Sender<()>,
}

/// How long a port may still be in use by a server that has just been dropped.
const RELEASED_MAX: Duration = Duration::from_secs(10);

/// Listens at an address. A server that is dropped closes its port only when its runtime runs
/// again.
async fn bind(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + RELEASED_MAX;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                sleep(Duration::from_millis(50)).await
            }
            Err(error) => panic!("cannot listen at {address}: {error}"),
        }
    }
}

impl ListeningPort {
    pub(super) async fn open(
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        shared: Arc<Shared>,
    ) -> (Self, SocketAddr) {
        let listener = bind(address).await;
        let address = listener.local_addr().expect("a listener has an address");
        let (orders, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(listen(listener, tls.map(TlsAcceptor::from), shared, inbox));
        (Self { orders, task }, address)
    }

    pub(super) async fn set(&self, open: bool) {
        let (done, answer) = oneshot::channel();
        assert!(
            self.orders.send(Order { open, done }).is_ok(),
            "the server runs"
        );
        answer.await.expect("the server runs");
    }
}

impl Drop for ListeningPort {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let address = listener.local_addr().expect("a listener has an address");
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(Order { open, done }) = order else { return };
                if !open {
                    listener = None;
                    connections.shutdown().await;
                } else if listener.is_none() {
                    listener = Some(bind(address).await);
                }
                let _ = done.send(());
            }
            Ok(stream) = accept(listener.as_ref()), if listener.is_some() => {
                connections.spawn(connection(stream, tls.clone(), Arc::clone(&shared)));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let number = shared.connections.fetch_add(1, atomic::Ordering::Relaxed) + 1;
    let Some(tls) = tls else {
        return serve(stream, false, number, shared).await;
    };
    // A client that rejects the certificate ends here.
    if let Ok(stream) = tls.accept(stream).await {
        let is_http_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        serve(stream, is_http_2, number, shared).await;
    }
}

async fn serve<S>(stream: S, is_http_2: bool, number: u64, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| answer(request, number, Arc::clone(&shared)));
    let io = TokioIo::new(stream);
    // A client that disconnects causes an error, which is ignored.
    if is_http_2 {
        let _ = conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(io, service)
            .await;
    } else {
        let _ = conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(io, service)
            .await;
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: u64,
    shared: Arc<Shared>,
) -> io::Result<Response<BoxBody<Bytes, Infallible>>> {
    let (at, wall) = (Instant::now(), wall_clock());
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let headers = head.headers.iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let reply = shared.record(Received {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: headers.collect(),
        body,
        at,
        wall,
        connection,
    });
    if !reply.delay.is_zero() {
        // Even an empty sleep lasts until the timer's next millisecond.
        tokio::time::sleep(reply.delay).await;
    }
    reply
        .into_response()
        .ok_or_else(|| io::Error::other("asked to close without an answer"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a receiver is outside of Waybill and has a clock of its own"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

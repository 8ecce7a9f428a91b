//! Receivers on bare sockets, which send what no HTTP library would.
//!
//! - A [`Receiver`] speaks HTTP/1.1, or HTTP/2 over TLS. For each request its script chooses a
//!   [`Turn`].
//! - Connections and the requests on each are counted from 1, so that a script can distinguish
//!   them.

mod http_2;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

/// What a receiver does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Sends these bytes and keeps the connection. HTTP/2 sends them as a block of headers.
    Answer(Vec<u8>),
    /// Reads and sends nothing for this time, not even an acknowledgement of HTTP/2 pings, and then
    /// sends these bytes.
    AnswerAfter(Duration, Vec<u8>),
    /// Sends these bytes and closes the connection.
    AnswerAndClose(Vec<u8>),
    /// Closes the connection (FIN).
    Close,
    /// Resets the connection (RST).
    Reset,
    /// Keeps the connection open and never sends anything again, not even an acknowledgement of
    /// HTTP/2 pings.
    FallSilent,
    /// HTTP/2: refuses the stream (REFUSED_STREAM).
    Refuse,
    /// HTTP/2: ends the connection before this request (GOAWAY).
    GoAway,
}

impl Turn {
    /// Returns an empty HTTP/1.1 response with status 200.
    pub fn ok() -> Self {
        Self::text("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    }

    /// Returns a response with this text.
    pub fn text(answer: &str) -> Self {
        Self::Answer(answer.as_bytes().to_vec())
    }

    /// Returns an empty HTTP/2 response with status 200.
    pub fn ok_http_2() -> Self {
        Self::Answer(http_2::STATUS_200.to_vec())
    }

    /// Returns an empty HTTP/2 response with status 200 that is sent after this time.
    pub fn ok_http_2_after(delay: Duration) -> Self {
        Self::AnswerAfter(delay, http_2::STATUS_200.to_vec())
    }

    /// Returns an empty HTTP/2 response with status 200 and `count` headers of 100 bytes.
    pub fn ok_http_2_with_headers(count: usize) -> Self {
        Self::Answer(http_2::head(count))
    }
}

/// A listening receiver, which stops when dropped.
pub struct Receiver {
    address: SocketAddr,
    counts: Arc<Counts>,
    is_tls: bool,
    /// Dropped with the receiver, which stops listening.
    _listening: oneshot::Sender<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

/// Chooses a turn by the number of the connection and that of the request on it.
type Script = Arc<dyn Fn(usize, usize) -> Turn + Send + Sync>;

impl Receiver {
    /// Starts an HTTP/1.1 receiver on a free port of 127.0.0.1. The script gets the numbers of the
    /// connection and of the request on it.
    pub async fn start(script: impl Fn(usize, usize) -> Turn + Send + Sync + 'static) -> Self {
        Self::listen(
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            None,
            Arc::new(script),
        )
        .await
    }

    /// Starts an HTTP/1.1 receiver at this address.
    pub async fn start_at(
        address: (IpAddr, u16),
        script: impl Fn(usize, usize) -> Turn + Send + Sync + 'static,
    ) -> Self {
        Self::listen(SocketAddr::from(address), None, Arc::new(script)).await
    }

    /// Starts an HTTP/2 receiver over TLS. `config` must offer `h2`.
    pub async fn start_http_2(
        config: Arc<ServerConfig>,
        script: impl Fn(usize, usize) -> Turn + Send + Sync + 'static,
    ) -> Self {
        Self::listen(
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            Some(config),
            Arc::new(script),
        )
        .await
    }

    async fn listen(address: SocketAddr, tls: Option<Arc<ServerConfig>>, script: Script) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (counts, is_tls) = (Arc::<Counts>::default(), tls.is_some());
        let tls = tls.map(TlsAcceptor::from);
        let shared = Arc::clone(&counts);
        let (listening, mut stopped) = oneshot::channel();
        tokio::spawn(async move {
            loop {
                // Connections that the kernel has accepted are handled first, so that a server that
                // stops leaves none without a response.
                let stream = tokio::select! {
                    biased;
                    Ok((stream, _)) = listener.accept() => stream,
                    _ = &mut stopped => break,
                };
                let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (counts, script, tls) = (Arc::clone(&shared), Arc::clone(&script), tls.clone());
                tokio::spawn(async move {
                    let on_this = AtomicUsize::new(0);
                    let next = move || {
                        counts.requests.fetch_add(1, Ordering::SeqCst);
                        script(connection, on_this.fetch_add(1, Ordering::SeqCst) + 1)
                    };
                    match tls {
                        None => http_1(stream, next).await,
                        Some(tls) => {
                            let Ok(mut stream) = tls.accept(stream).await else {
                                return;
                            };
                            if http_2::serve(&mut stream, next).await == Some(Turn::Reset) {
                                let _ = stream.get_ref().0.set_zero_linger();
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            counts,
            is_tls,
            _listening: listening,
        }
    }

    /// Returns the address of the receiver.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the receiver.
    pub fn url(&self) -> String {
        format!(
            "{}://{}/",
            if self.is_tls { "https" } else { "http" },
            self.address
        )
    }

    /// Returns how many connections were opened.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Returns how many requests arrived.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }
}

async fn http_1(mut stream: TcpStream, next: impl Fn() -> Turn) {
    while read_request(&mut stream).await.is_some() {
        match next() {
            Turn::Answer(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Turn::AnswerAfter(delay, bytes) => {
                tokio::time::sleep(delay).await;
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Turn::AnswerAndClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Turn::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Turn::FallSilent => std::future::pending().await,
            Turn::Close | Turn::Refuse | Turn::GoAway => return,
        }
    }
}

/// Reads the head and body of a request; `None` when the connection ends.
async fn read_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

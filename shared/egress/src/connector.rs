//! Connections for the HTTP client: through the guard, then TLS.

use crate::{Failure, FailureKind, Guard, Host, Refusal, Tls};
use futures_util::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::client::TlsStream;

/// The longest that a connection is waited for. A request's own deadline is at most this long and ends the wait earlier.
const CONNECT_MAX: Duration = Duration::from_secs(60);
const ALPN_HTTP_2: &[u8] = b"h2";
const ALPN_HTTP_1: &[u8] = b"http/1.1";

/// Opens connections for the HTTP client.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    guard: Guard,
    tls: Tls,
}

impl Connector {
    pub(crate) fn new(guard: Guard, tls: &Tls) -> Self {
        Self { guard, tls: tls.offering(&[ALPN_HTTP_2, ALPN_HTTP_1]) }
    }

    async fn open(self, uri: Uri) -> Result<Stream, Failure> {
        let deadline = Instant::now() + CONNECT_MAX;
        let refused = |refusal: Refusal| Failure::new(FailureKind::Blocked, refusal.to_string());
        let host = Host::parse(uri.host().unwrap_or_default()).map_err(refused)?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tcp = self.guard.connect(&host, port, deadline).await?;
        let peer = tcp.peer_addr().ok();
        let io = if is_tls {
            Transport::Tls(TokioIo::new(Box::new(self.tls.handshake(tcp, &host, deadline).await?)))
        } else {
            Transport::Plain(TokioIo::new(tcp))
        };
        Ok(Stream { io, peer })
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Stream, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

/// The address at the other end, noted on each answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// An open connection.
pub(crate) struct Stream {
    io: Transport,
    peer: Option<SocketAddr>,
}

enum Transport {
    Plain(TokioIo<TcpStream>),
    Tls(TokioIo<Box<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let mut connected = Connected::new();
        if let Transport::Tls(tls) = &self.io
            && tls.inner().get_ref().1.alpn_protocol() == Some(ALPN_HTTP_2)
        {
            connected = connected.negotiated_h2();
        }
        match self.peer {
            Some(peer) => connected.extra(Peer(peer)),
            None => connected,
        }
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Transport::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Transport::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Transport::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(io) => Pin::new(io).poll_flush(cx),
            Transport::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Transport::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Transport::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Transport::Plain(io) => io.is_write_vectored(),
            Transport::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Transport::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Transport::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }
}

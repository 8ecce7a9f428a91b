//! A receiver of webhooks: a real HTTP server that remembers what it got and answers as it is told.
//!
//! - A [`Sink`] listens; its [`Route`]s are the receivers it plays, each with a script of its own: `sink.path("/a").answers([503, 200])`.
//!   What is said to the sink itself goes for every path without a script.
//! - A [`Reply`] is one turn of a script; the last one repeats.
//! - A [`Received`] is one request as it arrived.

mod received;
mod reply;
mod route;
mod server;

pub use received::Received;
pub use reply::Reply;
pub use route::Route;

use server::{Door, Shared};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::Arc,
};

/// A free port of 127.0.0.1.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A listening receiver. It stops when dropped.
pub struct Sink {
    everything: Route,
    address: SocketAddr,
    door: Door,
}

impl Sink {
    /// Listens on a free port of 127.0.0.1 and answers 200.
    pub async fn start() -> Self {
        Self::listen(ANY_PORT, None).await
    }

    /// Listens at an address of this machine that destinations name already. Panics when the port is taken.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::listen(address, None).await
    }

    /// The same over TLS; see [`crate::tls::Authority::server`].
    pub async fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::listen(ANY_PORT, Some(config)).await
    }

    async fn listen(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared::default());
        let (door, address) = Door::open(address, tls, Arc::clone(&shared)).await;
        let everything = Route::new(shared, format!("{scheme}://{address}"), None);
        Self { everything, address, door }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One of the receivers that this sink plays.
    pub fn path(&self, path: &str) -> Route {
        self.everything.at(path)
    }

    /// Closes the port and all connections: whoever connects is refused, until [`Sink::accepts`].
    pub async fn refuses(&self) {
        self.door.set(false).await;
    }

    /// Opens the same port again.
    pub async fn accepts(&self) {
        self.door.set(true).await;
    }
}

/// A sink is the route of everything that no other route claims.
impl Deref for Sink {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.everything
    }
}

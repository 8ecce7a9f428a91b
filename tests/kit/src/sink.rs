//! A receiver of webhooks: a real HTTP server that records requests and responds as scripted.
//!
//! - A [`Sink`] listens. Each of its [`Route`]s is a receiver with its own script:
//!   `sink.path("/a").answers([503, 200])`. The script of the sink itself applies to every path
//!   without one.
//! - A [`Reply`] is one step of a script; the last one repeats.
//! - A [`Received`] is a request as it arrived.

mod received;
mod reply;
mod route;
mod server;

pub use received::Received;
pub use reply::Reply;
pub use route::Route;

use server::{ListeningPort, Shared};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::Arc,
};

/// A free port of 127.0.0.1.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A listening receiver, which stops when dropped.
pub struct Sink {
    everything: Route,
    address: SocketAddr,
    door: ListeningPort,
}

impl Sink {
    /// Listens on a free port of 127.0.0.1 and responds with 200.
    pub async fn start() -> Self {
        Self::listen(ANY_PORT, None).await
    }

    /// Listens at an address of this machine that destinations already use. Panics if the port is
    /// taken.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::listen(address, None).await
    }

    /// Listens over TLS; see [`crate::tls::Authority::server`].
    pub async fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::listen(ANY_PORT, Some(config)).await
    }

    async fn listen(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared::default());
        let (door, address) = ListeningPort::open(address, tls, Arc::clone(&shared)).await;
        let everything = Route::new(shared, format!("{scheme}://{address}"), None);
        Self {
            everything,
            address,
            door,
        }
    }

    /// Returns the address of the sink.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the receiver at a path.
    pub fn path(&self, path: &str) -> Route {
        self.everything.at(path)
    }

    /// Closes the port and all connections. New connections are refused until [`Sink::accepts`].
    pub async fn refuses(&self) {
        self.door.set(false).await;
    }

    /// Opens the same port again.
    pub async fn accepts(&self) {
        self.door.set(true).await;
    }
}

/// The sink is the route of everything that no other route handles.
impl Deref for Sink {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.everything
    }
}

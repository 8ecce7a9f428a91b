//! Names to addresses.

use futures_util::future::BoxFuture;
use std::{
    io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::Arc,
};
use tokio::sync::Semaphore;

/// Lookups that may run at once. Each holds a thread until the system's resolver gives up, and tenants choose the names.
const LOOKUPS_MAX: usize = 64;

/// Looks names up. The system's resolver in production, a scripted one in tests.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name, best first.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;

    /// Drops what is cached about a name, and returns whether a new lookup may answer otherwise.
    fn forget(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// The system's resolver (`getaddrinfo`).
#[derive(Debug, Clone)]
pub struct SystemResolver {
    slots: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        let slots = self.slots.clone();
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // Held by the thread, not by the caller, who may have left at its deadline.
                let _slot = slot;
                Ok((name.as_str(), 0).to_socket_addrs()?.map(|socket| socket.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

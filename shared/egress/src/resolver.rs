//! Resolves names to addresses.

use crate::name_service::NameService;
use futures_util::{
    future::{BoxFuture, Either, select},
    pin_mut,
};
use hickory_resolver::{TokioResolver, net::NetError, proto::rr::RecordType};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// How long to wait for the addresses of one family when those of the other have arrived, because
/// some name servers never answer queries for IPv6. RFC 8305 (section 3) recommends 50 ms and adds
/// later addresses to the race. Here every address is checked first, so the wait is longer.
const OTHER_FAMILY_MAX: Duration = Duration::from_millis(300);

/// Resolves names. Production uses the system's resolver, tests a scripted one.
pub trait Resolve: Send + Sync + 'static {
    /// Returns all addresses of a name in order of preference. Dropping the future ends the lookup.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;

    /// Drops the cached answer for a name, and returns whether a new lookup may have another
    /// result.
    fn forget(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// The system's resolver: the hosts file first, then the name servers of `/etc/resolv.conf` with
/// its search list and options. It is asynchronous and caches answers, so a name server that does
/// not answer delays only lookups of its own names.
#[derive(Debug, Clone, Default)]
pub struct SystemResolver(Arc<NameService>);

impl SystemResolver {
    /// Creates a resolver that uses one name server instead of those of the system.
    pub fn with_name_server(name_server: SocketAddr) -> Self {
        Self(Arc::new(NameService::with_name_server(name_server)))
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if let Some(addresses) = self.0.hosts().addresses(name) {
                return Ok(addresses.to_vec());
            }
            let (servers, name) = (self.0.name_servers()?, name.to_owned());
            // A separate task keeps this future off the caller's stack. Dropping the set ends it.
            let mut lookup = JoinSet::new();
            lookup.spawn(async move { look_up(&servers, &name).await });
            lookup
                .join_next()
                .await
                .ok_or(io::ErrorKind::NotFound)?
                .map_err(io::Error::other)?
        })
    }

    fn forget(&self, name: &str) -> bool {
        if self.0.hosts().addresses(name).is_some() {
            return false;
        }
        let Ok(servers) = self.0.name_servers() else {
            return false;
        };
        servers.clear_lookup_cache(name, RecordType::A);
        servers.clear_lookup_cache(name, RecordType::AAAA);
        true
    }
}

/// Queries the addresses of both families concurrently.
async fn look_up(servers: &TokioResolver, name: &str) -> io::Result<Vec<IpAddr>> {
    let (v4, v6) = (
        addresses(servers, name, RecordType::A),
        addresses(servers, name, RecordType::AAAA),
    );
    pin_mut!(v4, v6);
    let (v6, v4) = match select(v4, v6).await {
        Either::Left((Ok(v4), v6)) => (
            timeout(OTHER_FAMILY_MAX, v6)
                .await
                .unwrap_or(Ok(Vec::new())),
            Ok(v4),
        ),
        Either::Left((Err(error), v6)) => (v6.await, Err(error)),
        Either::Right((Ok(v6), v4)) => (
            Ok(v6),
            timeout(OTHER_FAMILY_MAX, v4)
                .await
                .unwrap_or(Ok(Vec::new())),
        ),
        Either::Right((Err(error), v4)) => (Err(error), v4.await),
    };
    match (v6, v4) {
        (Err(_), Err(error)) => Err(error),
        (v6, v4) => Ok(alternating(v6.unwrap_or_default(), v4.unwrap_or_default())),
    }
}

async fn addresses(
    servers: &TokioResolver,
    name: &str,
    family: RecordType,
) -> io::Result<Vec<IpAddr>> {
    let found = servers.lookup(name, family).await.map_err(failed)?;
    Ok(found
        .answers()
        .iter()
        .filter_map(|record| record.data.ip_addr())
        .collect())
}

fn failed(error: NetError) -> io::Error {
    let kind = match &error {
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) => io::ErrorKind::TimedOut,
        _ if error.is_no_records_found() => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Alternates between the families, IPv6 first (RFC 8305, section 4).
fn alternating(v6: Vec<IpAddr>, v4: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

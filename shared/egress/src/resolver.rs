//! Names to addresses.

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

/// Once a name has addresses of one family, how long those of the other are waited for: some name
/// servers never answer a question about IPv6. RFC 8305 (section 3) recommends 50 ms and adds later
/// addresses to the race; here every address is checked first, so the wait is longer.
const OTHER_FAMILY_MAX: Duration = Duration::from_millis(300);

/// Looks names up. The system's resolver in production, a scripted one in tests.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name, best first. Dropping the future ends the lookup.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;

    /// Drops what is cached about a name, and returns whether a new lookup may answer otherwise.
    fn forget(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// The system's resolver: the hosts file first, then the name servers of `/etc/resolv.conf` with its
/// search list and options. Asynchronous and cached: a name server that does not answer holds up
/// nobody but those who ask for its names.
#[derive(Debug, Clone, Default)]
pub struct SystemResolver(Arc<NameService>);

impl SystemResolver {
    /// A resolver that asks one name server in the place of the system's.
    pub fn asking(name_server: SocketAddr) -> Self {
        Self(Arc::new(NameService::asking(name_server)))
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if let Some(addresses) = self.0.hosts().addresses(name) {
                return Ok(addresses.to_vec());
            }
            let (servers, name) = (self.0.name_servers()?, name.to_owned());
            // In a task of its own, whose stack is not added to the caller's. Dropping the set ends it.
            let mut lookup = JoinSet::new();
            lookup.spawn(async move { look_up(&servers, &name).await });
            lookup.join_next().await.ok_or(io::ErrorKind::NotFound)?.map_err(io::Error::other)?
        })
    }

    fn forget(&self, name: &str) -> bool {
        if self.0.hosts().addresses(name).is_some() {
            return false;
        }
        let Ok(servers) = self.0.name_servers() else { return false };
        servers.clear_lookup_cache(name, RecordType::A);
        servers.clear_lookup_cache(name, RecordType::AAAA);
        true
    }
}

/// Asks for the addresses of both families at once.
async fn look_up(servers: &TokioResolver, name: &str) -> io::Result<Vec<IpAddr>> {
    let (v4, v6) = (addresses(servers, name, RecordType::A), addresses(servers, name, RecordType::AAAA));
    pin_mut!(v4, v6);
    let (v6, v4) = match select(v4, v6).await {
        Either::Left((Ok(v4), v6)) => (timeout(OTHER_FAMILY_MAX, v6).await.unwrap_or(Ok(Vec::new())), Ok(v4)),
        Either::Left((Err(error), v6)) => (v6.await, Err(error)),
        Either::Right((Ok(v6), v4)) => (Ok(v6), timeout(OTHER_FAMILY_MAX, v4).await.unwrap_or(Ok(Vec::new()))),
        Either::Right((Err(error), v4)) => (Err(error), v4.await),
    };
    match (v6, v4) {
        (Err(_), Err(error)) => Err(error),
        (v6, v4) => Ok(alternating(v6.unwrap_or_default(), v4.unwrap_or_default())),
    }
}

async fn addresses(servers: &TokioResolver, name: &str, family: RecordType) -> io::Result<Vec<IpAddr>> {
    let found = servers.lookup(name, family).await.map_err(failed)?;
    Ok(found.answers().iter().filter_map(|record| record.data.ip_addr()).collect())
}

fn failed(error: NetError) -> io::Error {
    let kind = match &error {
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) => io::ErrorKind::TimedOut,
        _ if error.is_no_records_found() => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// IPv6 first, then alternating between the families (RFC 8305, section 4).
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

//! Resolves a host, checks its addresses, and connects only to those.

use crate::{
    Failure, FailureKind, Host, Policy, Resolve, SystemResolver, eyeballs::FailedAddresses,
    lookups::Lookups, organization,
};
use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// The longest time for looking up a name and connecting to an address. It is shorter than most
/// time-outs, so that an attempt at an unreachable receiver frees its slot for others; the answer
/// may take the whole time-out. It is longer than the third retransmission of a lost first packet
/// (7 s).
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Returns the deadline of a connection that begins now.
pub(crate) fn connect_by(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + CONNECT_MAX)
}

/// Checks every connection to a destination.
#[derive(Clone)]
pub struct Guard {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolve>,
    failed: Arc<FailedAddresses>,
    lookups: Arc<Lookups>,
}

impl Guard {
    /// Creates a guard that uses the system's resolver.
    pub fn new(policy: Policy) -> Self {
        Self::with_resolver(policy, SystemResolver::default())
    }

    /// Creates a guard that uses another resolver.
    pub fn with_resolver(policy: Policy, resolver: impl Resolve) -> Self {
        Self {
            policy: Arc::new(policy),
            resolver: Arc::new(resolver),
            failed: Arc::default(),
            lookups: Arc::default(),
        }
    }

    /// Returns the policy of this guard.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the addresses of a host. There is at least one, and all of them have been checked.
    /// One blocked address among several refuses the host.
    pub async fn resolve(
        &self,
        host: &Host,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let deadline = connect_by(deadline);
        let addresses = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.look_up(name, deadline).await?,
        };
        if let Some(blocked) = addresses
            .iter()
            .find(|address| !self.policy.permits(**address))
        {
            tracing::debug!(%host, %blocked, "egress refused");
            return Err(Failure::new(FailureKind::Blocked, blocked_detail(host)));
        }
        if addresses.is_empty() {
            return Err(Failure::new(
                FailureKind::Dns,
                format!("{host} has no address"),
            ));
        }
        Ok(addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// Connects to one of the host's checked addresses, which are raced until the deadline, for at
    /// most ten seconds. The connection has nodelay set.
    pub async fn connect(
        &self,
        host: &Host,
        port: u16,
        deadline: Instant,
    ) -> Result<TcpStream, Failure> {
        let deadline = connect_by(deadline);
        // Boxed, because callers' futures contain this one and their stacks are small.
        Box::pin(self.open(host, port, deadline, |address| {
            connect_one(address, deadline)
        }))
        .await
    }

    /// Resolves and checks a host, and opens a connection to one of its addresses.
    pub(crate) async fn open<T, F>(
        &self,
        host: &Host,
        port: u16,
        deadline: Instant,
        connect: impl FnMut(SocketAddr) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let addresses = self.resolve(host, port, deadline).await?;
        self.open_at(host, &addresses, deadline, connect).await
    }

    /// Opens a connection to one of a host's addresses, which must come from [`Guard::resolve`]. If
    /// none of them accepts a connection, the cached addresses are dropped, and addresses that a
    /// new lookup adds are tried, because the host may have moved. If that lookup fails, the
    /// failure of the connection is returned, unless the host now has a blocked address.
    pub(crate) async fn open_at<T, E, F>(
        &self,
        host: &Host,
        addresses: &[SocketAddr],
        deadline: Instant,
        mut connect: impl FnMut(SocketAddr) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Failure>,
    {
        let failure = match self.race(addresses, deadline, &mut connect).await {
            Ok(connected) => return Ok(connected),
            Err(failure) => failure,
        };
        match (host, addresses) {
            (Host::Name(name), [first, ..])
                if Instant::now() < deadline && self.resolver.forget(name) =>
            {
                let found = match self.resolve(host, first.port(), deadline).await {
                    Ok(found) => found,
                    Err(blocked) if blocked.kind() == FailureKind::Blocked => {
                        return Err(blocked.into());
                    }
                    Err(_) => return Err(failure),
                };
                let added: Vec<_> = found
                    .into_iter()
                    .filter(|address| !addresses.contains(address))
                    .collect();
                if added.is_empty() {
                    Err(failure)
                } else {
                    self.race(&added, deadline, connect).await
                }
            }
            _ => Err(failure),
        }
    }

    async fn race<T, E, F>(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        connect: impl FnMut(SocketAddr) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Failure>,
    {
        let raced = self.failed.race(addresses, deadline, connect).await;
        raced.unwrap_or_else(|| {
            Err(Failure::new(FailureKind::Dns, "the name has no address").into())
        })
    }

    async fn look_up(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        let lookup = async {
            let _permit = self.lookups.permit(organization::current(), name).await;
            self.resolver.resolve(name).await
        };
        let answer = timeout_at(deadline, lookup).await;
        self.lookups.ended(name, matches!(answer, Ok(Ok(_))));
        match answer {
            Ok(Ok(addresses)) => Ok(addresses
                .into_iter()
                .map(|address| address.to_canonical())
                .collect()),
            Ok(Err(error)) => {
                let detail = match error.kind() {
                    io::ErrorKind::TimedOut => {
                        format!("no name server answered the lookup of {name}")
                    }
                    _ => format!("{name} does not resolve to an address"),
                };
                Err(Failure::new(FailureKind::Dns, detail).because(error))
            }
            Err(_) => Err(Failure::new(
                FailureKind::Timeout,
                format!("looking up {name} took too long"),
            )),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Connects to one checked address.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that opens a connection: its address has been checked"
)]
pub(crate) async fn connect_one(
    address: SocketAddr,
    deadline: Instant,
) -> Result<TcpStream, Failure> {
    let stream = match timeout_at(deadline, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(connect_failure(address, error.kind(), error)),
        Err(_) => return Err(not_accepted(address)),
    };
    stream
        .set_nodelay(true)
        .map_err(|error| connect_failure(address, error.kind(), error))?;
    Ok(stream)
}

pub(crate) fn not_accepted(address: SocketAddr) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("{address} did not accept a connection in time"),
    )
}

pub(crate) fn connect_failure(
    address: SocketAddr,
    kind: io::ErrorKind,
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> Failure {
    let detail = match kind {
        io::ErrorKind::TimedOut => return not_accepted(address).because(error),
        io::ErrorKind::ConnectionRefused => "refused the connection",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "is unreachable",
        _ => "could not be connected to",
    };
    Failure::new(FailureKind::Connect, format!("{address} {detail}")).because(error)
}

fn blocked_detail(host: &Host) -> String {
    match host {
        Host::Address(address) => {
            format!("{address} is not an address that Waybill may connect to")
        }
        Host::Name(name) => {
            format!("{name} resolves to an address that Waybill may not connect to")
        }
    }
}

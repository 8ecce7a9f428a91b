//! Resolve, check, connect: in this order, and to nothing else.

use crate::{Failure, FailureKind, Host, Policy, Resolve, SystemResolver};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// A name may have any number of addresses: all are checked, this many are tried.
const ADDRESSES_TRIED_MAX: usize = 8;
/// An address that does not answer gets no more than this while another is left to try.
const TRY_MAX: Duration = Duration::from_secs(5);

/// The gate that every connection to a destination passes.
#[derive(Clone)]
pub struct Guard {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolve>,
}

impl Guard {
    /// A guard over the system's resolver.
    pub fn new(policy: Policy) -> Self {
        Self::with_resolver(policy, SystemResolver::default())
    }

    /// A guard over another resolver.
    pub fn with_resolver(policy: Policy, resolver: impl Resolve) -> Self {
        Self { policy: Arc::new(policy), resolver: Arc::new(resolver) }
    }

    /// What this guard permits.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The addresses of a host: at least one, and every one of them checked. One blocked address among many refuses the host.
    pub async fn resolve(&self, host: &Host, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
        let addresses = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.look_up(name, deadline).await?,
        };
        if let Some(blocked) = addresses.iter().find(|address| !self.policy.permits(**address)) {
            tracing::debug!(%host, %blocked, "egress refused");
            return Err(Failure::new(FailureKind::Blocked, blocked_detail(host)));
        }
        if addresses.is_empty() {
            return Err(Failure::new(FailureKind::Dns, format!("{host} has no address")));
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// Connects to one of the host's checked addresses, trying each in turn until the deadline. Small writes leave at once (nodelay).
    pub async fn connect(&self, host: &Host, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
        let addresses = self.resolve(host, port, deadline).await?;
        connect_checked(&addresses, deadline).await
    }

    async fn look_up(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        match timeout_at(deadline, self.resolver.resolve(name)).await {
            Ok(Ok(addresses)) => Ok(addresses.into_iter().map(|address| address.to_canonical()).collect()),
            Ok(Err(error)) => Err(Failure::new(FailureKind::Dns, format!("{name} does not resolve to an address")).because(error)),
            Err(_) => Err(Failure::new(FailureKind::Timeout, format!("looking up {name} took too long"))),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Connects to the first that accepts. The addresses come from [`Guard::resolve`] and from nowhere else.
pub(crate) async fn connect_checked(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failure> {
    let tried = &addresses[..addresses.len().min(ADDRESSES_TRIED_MAX)];
    let mut last = Failure::new(FailureKind::Dns, "the name has no address");
    for (position, address) in tried.iter().enumerate() {
        match connect_one(*address, try_until(tried.len() - position, deadline)).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// The time for one address: its share of what is left, and all of it for the last.
fn try_until(addresses_left: usize, deadline: Instant) -> Instant {
    if addresses_left <= 1 {
        return deadline;
    }
    let now = Instant::now();
    let share = deadline.saturating_duration_since(now) / u32::try_from(addresses_left).unwrap_or(u32::MAX);
    now + share.min(TRY_MAX)
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens a connection: its address has been checked")]
async fn connect_one(address: SocketAddr, deadline: Instant) -> Result<TcpStream, Failure> {
    let stream = match timeout_at(deadline, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(connect_failure(address, error)),
        Err(_) => return Err(Failure::new(FailureKind::Timeout, format!("{address} did not accept a connection in time"))),
    };
    stream.set_nodelay(true).map_err(|error| connect_failure(address, error))?;
    Ok(stream)
}

fn connect_failure(address: SocketAddr, error: io::Error) -> Failure {
    let (kind, detail) = match error.kind() {
        io::ErrorKind::TimedOut => (FailureKind::Timeout, "did not accept a connection in time"),
        io::ErrorKind::ConnectionRefused => (FailureKind::Connect, "refused the connection"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => (FailureKind::Connect, "is unreachable"),
        _ => (FailureKind::Connect, "could not be connected to"),
    };
    Failure::new(kind, format!("{address} {detail}")).because(error)
}

fn blocked_detail(host: &Host) -> String {
    match host {
        Host::Address(address) => format!("{address} {BLOCKED_ADDRESS}"),
        Host::Name(name) => format!("{name} {BLOCKED_NAME}"),
    }
}

const BLOCKED_ADDRESS: &str = "is not an address that Waybill may connect to";
const BLOCKED_NAME: &str = "resolves to an address that Waybill may not connect to";

/// Does a check's step tell, in these words, that an address is blocked? Steps travel as text.
#[must_use]
pub fn tells_of_a_blocked_address(detail: &str) -> bool {
    detail.contains(BLOCKED_ADDRESS) || detail.contains(BLOCKED_NAME)
}

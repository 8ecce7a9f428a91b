//! Why a host or URL is refused as soon as it is read.

use std::net::IpAddr;

/// What is wrong with a host or URL that somebody gave us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is an address that the policy does not permit.
    #[error("{0} is not an address that Waybill may connect to")]
    BlockedAddress(IpAddr),
    /// It does not parse as a URL.
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    /// It does not parse as a host name or address.
    #[error("not a host name or address: {0}")]
    Host(url::ParseError),
    /// The scheme is not one of those accepted here.
    #[error("the scheme must be {accepted}")]
    Scheme {
        /// The schemes that would do.
        accepted: &'static str,
    },
    /// Spaces or control characters, which parsers read in different ways.
    #[error("spaces and control characters are not accepted")]
    Characters,
    /// `user:password@`, which belongs into the credentials.
    #[error("a user name or password in a URL is not accepted: give it as credentials")]
    UserInfo,
    /// An IPv6 zone (`%eth0`): it names one of our own network interfaces.
    #[error("an IPv6 zone is not accepted")]
    Zone,
    /// Port 0 cannot be connected to.
    #[error("port 0 is not accepted")]
    PortZero,
    /// Two dots in a row, a dot in front, or nothing at all.
    #[error("a host name has no empty labels")]
    EmptyLabel,
    /// Longer than the DNS can hold (RFC 1035, 2.3.4).
    #[error("a host name has at most 253 characters, and 63 between two dots")]
    TooLong,
}

impl Refusal {
    /// Whether it is an address that no destination may have, which is a security event.
    pub fn is_blocked_address(&self) -> bool {
        matches!(self, Self::BlockedAddress(_))
    }
}

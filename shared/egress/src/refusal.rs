//! The reasons for rejecting a host or URL when it is parsed.

use std::net::IpAddr;

/// Why a host or URL is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The address is not permitted by the policy.
    #[error("{0} is not an address that Waybill may connect to")]
    BlockedAddress(IpAddr),
    /// The text is not a URL.
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    /// The text is not a host name or address.
    #[error("not a host name or address: {0}")]
    Host(url::ParseError),
    /// The scheme is not accepted.
    #[error("the scheme must be {accepted}")]
    Scheme {
        /// The schemes that are accepted.
        accepted: &'static str,
    },
    /// The text contains spaces or control characters, which parsers treat differently.
    #[error("spaces and control characters are not accepted")]
    Characters,
    /// The URL contains `user:password@`, which belongs in the credentials.
    #[error("a user name or password in a URL is not accepted: give it as credentials")]
    UserInfo,
    /// The host has an IPv6 zone (`%eth0`), which would name a network interface of this machine.
    #[error("an IPv6 zone is not accepted")]
    Zone,
    /// Port 0 cannot be connected to.
    #[error("port 0 is not accepted")]
    PortZero,
    /// The name has two consecutive dots, a leading dot, or is empty.
    #[error("a host name has no empty labels")]
    EmptyLabel,
    /// The name is longer than the DNS permits (RFC 1035, 2.3.4).
    #[error("a host name has at most 253 characters, and 63 between two dots")]
    TooLong,
}

impl Refusal {
    /// Whether it is an address that no destination may have, which is a security event.
    pub fn is_blocked_address(&self) -> bool {
        matches!(self, Self::BlockedAddress(_))
    }
}

//! A host name or address, normalised from the text of a tenant.

use crate::Refusal;
use std::{fmt, net::IpAddr};

/// The longest name in the DNS, without its final dot.
const NAME_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

/// A host to connect to. Different spellings of an address are equal: `0x7f.1`, `2130706433`,
/// `0177.0.0.1`, `１２７.0.0.1`, `127.0.0.1.` and `::ffff:127.0.0.1` are all the address 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in lower-case ASCII (punycode), without a trailing dot.
    Name(String),
    /// An address, which is never an IPv4-mapped one.
    Address(IpAddr),
}

impl Host {
    /// Parses a host from a setting: a name, an IPv4 address, or an IPv6 address with or without
    /// brackets.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::EmptyLabel);
        }
        refuse_characters(text)?;
        if text.contains(':') && text.contains('%') {
            return Err(Refusal::Zone);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let parsed = url::Host::parse(text).map_err(|error| refuse_host(text, error))?;
        Self::of(parsed)
    }

    /// Converts a host that the URL parser has normalised.
    pub(crate) fn of<S: AsRef<str>>(host: url::Host<S>) -> Result<Self, Refusal> {
        match host {
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::Address(IpAddr::V6(address).to_canonical())),
            url::Host::Domain(name) => {
                let name = name.as_ref();
                let name = name.strip_suffix('.').unwrap_or(name);
                if name.split('.').any(str::is_empty) {
                    return Err(Refusal::EmptyLabel);
                }
                if name.len() > NAME_CHARS_MAX
                    || name.split('.').any(|label| label.len() > LABEL_CHARS_MAX)
                {
                    return Err(Refusal::TooLong);
                }
                Ok(Self::Name(name.to_owned()))
            }
        }
    }

    /// Returns the host in the notation of URLs: an IPv6 address has brackets.
    pub fn to_url_host(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Self::Address(IpAddr::V4(address)) => address.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Address(address) => address.fmt(out),
        }
    }
}

pub(crate) fn refuse_characters(text: &str) -> Result<(), Refusal> {
    let refused = |character: char| character.is_control() || character.is_whitespace();
    if text.contains(refused) {
        Err(Refusal::Characters)
    } else {
        Ok(())
    }
}

fn refuse_host(text: &str, error: url::ParseError) -> Refusal {
    if text.contains('@') {
        Refusal::UserInfo
    } else {
        Refusal::Host(error)
    }
}

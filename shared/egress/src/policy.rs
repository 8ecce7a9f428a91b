//! Decides which addresses may be connected to.

use crate::{Host, Refusal};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks that are not part of the public Internet (IANA's special-purpose registry, and a
/// cloud's metadata address that is not in it).
const DENIED_V4: [Ipv4Net; 18] = [
    v4([0, 0, 0, 0], 8),        // this network, and unspecified
    v4([10, 0, 0, 0], 8),       // private
    v4([100, 64, 0, 0], 10),    // carrier-grade NAT
    v4([127, 0, 0, 0], 8),      // loopback
    v4([169, 254, 0, 0], 16),   // link-local, and the metadata address
    v4([172, 16, 0, 0], 12),    // private
    v4([192, 0, 0, 0], 24),     // protocol assignments
    v4([192, 0, 2, 0], 24),     // documentation
    v4([192, 31, 196, 0], 24),  // AS112
    v4([192, 52, 193, 0], 24),  // AMT
    v4([192, 88, 99, 0], 24),   // 6to4 relays
    v4([192, 168, 0, 0], 16),   // private
    v4([192, 175, 48, 0], 24),  // AS112
    v4([198, 18, 0, 0], 15),    // benchmarks
    v4([198, 51, 100, 0], 24),  // documentation
    v4([203, 0, 113, 0], 24),   // documentation
    v4([224, 0, 0, 0], 3),      // multicast, reserved, broadcast
    v4([168, 63, 129, 16], 32), // Azure's wire server
];

/// The global unicast addresses of IPv6. No other IPv6 address is public.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);
/// Global unicast networks that contain an IPv4 address or are reserved. NAT64 (64:ff9b::/96,
/// 64:ff9b:1::/48) is outside 2000::/3.
const DENIED_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0], 23),     // protocol assignments, with Teredo in 2001::/32
    v6([0x2001, 0xdb8], 32), // documentation
    v6([0x2002, 0], 16),     // 6to4
    v6([0x3fff, 0], 20),     // documentation
];

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(
        Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]),
        prefix,
    )
}

const fn v6(front: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(front[0], front[1], 0, 0, 0, 0, 0, 0), prefix)
}

/// Permits the public Internet, and the networks that a deployment allows in addition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    allow: Vec<IpNet>,
}

/// An entry of the list of allowed networks is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{entry}\" is not a network such as 10.1.0.0/16 or fd00::/8")]
pub struct PolicyError {
    /// The entry as it was given.
    pub entry: String,
}

impl Policy {
    /// Permits public addresses only.
    pub fn public() -> Self {
        Self::default()
    }

    /// Permits public addresses and these networks. A mapped IPv6 network (`::ffff:…`) is treated
    /// as the IPv4 network.
    pub fn allowing(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            allow: networks.into_iter().map(canonical_network).collect(),
        }
    }

    /// Parses a comma-separated list of networks or addresses. An empty text is [`Policy::public`].
    pub fn parse(list: &str) -> Result<Self, PolicyError> {
        let entries = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let networks = entries.map(|entry| {
            let network = entry
                .parse::<IpNet>()
                .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| PolicyError {
                entry: entry.to_owned(),
            })
        });
        Ok(Self::allowing(networks.collect::<Result<Vec<_>, _>>()?))
    }

    /// Whether this address may be connected to. A mapped IPv6 address is treated as the IPv4
    /// address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address)) || is_public(address)
    }

    /// Returns an error if the host is a blocked address. Names are accepted here and checked when
    /// they are resolved.
    pub fn admit(&self, host: &Host) -> Result<(), Refusal> {
        match host {
            Host::Address(address) if !self.permits(*address) => {
                Err(Refusal::BlockedAddress(*address))
            }
            Host::Address(_) | Host::Name(_) => Ok(()),
        }
    }
}

/// Parses a configuration value like [`Policy::parse`].
impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(list: &str) -> Result<Self, PolicyError> {
        Self::parse(list)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !DENIED_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address)
                && !DENIED_V6.iter().any(|network| network.contains(&address))
                && !is_isatap(address)
        }
    }
}

/// Whether an interface identifier contains an IPv4 address: `::0:5efe:a.b.c.d` or
/// `::200:5efe:a.b.c.d` (RFC 5214, 6.1).
fn is_isatap(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    segments[4] & !0x0200 == 0 && segments[5] == 0x5efe
}

fn canonical_network(network: IpNet) -> IpNet {
    const MAPPED_PREFIX: u8 = 96;
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(MAPPED_PREFIX)
        && let Ok(v4) = Ipv4Net::new(v4, prefix)
    {
        return IpNet::V4(v4);
    }
    network
}

//! Follows the system's name configuration as it changes: the hosts file and `resolv.conf`.

use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
        ServerOrderingStrategy,
    },
    net::runtime::TokioRuntimeProvider,
    system_conf::parse_resolv_conf,
};
use std::{
    collections::HashMap,
    env, fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// The longest time that an answer is cached, regardless of its TTL. Together with
/// [`crate::pool`]'s limit on a connection's age, a receiver that moved is found within five
/// minutes.
const POSITIVE_TTL_MAX: Duration = Duration::from_secs(60);
/// The longest time that a missing name is cached.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(10);
/// How many answers are cached.
const ANSWERS_MAX: u64 = 4_096;

/// The system's name configuration. A file is read again when it has changed.
#[derive(Debug)]
pub(crate) struct NameService {
    hosts: DerivedFromFile<Hosts>,
    name_servers: DerivedFromFile<TokioResolver>,
    /// One name server that replaces those of the system.
    name_server_override: Option<SocketAddr>,
}

impl Default for NameService {
    #[expect(
        clippy::disallowed_methods,
        reason = "as with the C library, tests replace a process's names by its environment"
    )]
    fn default() -> Self {
        let hosts = env::var("NSS_WRAPPER_HOSTS").unwrap_or_else(|_| "/etc/hosts".to_owned());
        let name_server_override = env::var("WAYBILL_NAME_SERVER")
            .ok()
            .and_then(|address| address.parse().ok());
        Self {
            hosts: DerivedFromFile::new(hosts),
            name_servers: DerivedFromFile::new("/etc/resolv.conf"),
            name_server_override,
        }
    }
}

impl NameService {
    /// Uses one name server instead of those of the system.
    pub(crate) fn with_name_server(name_server: SocketAddr) -> Self {
        Self {
            name_server_override: Some(name_server),
            ..Self::default()
        }
    }

    /// Returns the hosts file, which is empty if it cannot be read.
    pub(crate) fn hosts(&self) -> Arc<Hosts> {
        self.hosts
            .get(|text| Ok(Hosts::parse(&String::from_utf8_lossy(&text))))
            .unwrap_or_default()
    }

    /// Returns a resolver that asks the system's name servers.
    pub(crate) fn name_servers(&self) -> io::Result<Arc<TokioResolver>> {
        self.name_servers.get(|text| {
            let (config, options) = match self.name_server_override {
                Some(address) => (single_server(address), ResolverOpts::default()),
                // Like the C library, uses the name server on this machine if none is configured.
                None => parse_resolv_conf(&text).unwrap_or_else(|_| {
                    (
                        single_server((Ipv4Addr::LOCALHOST, 53).into()),
                        ResolverOpts::default(),
                    )
                }),
            };
            let builder =
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            let mut builder = builder.with_options(options);
            let options = builder.options_mut();
            options.use_hosts_file = ResolveHosts::Never;
            options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
            options.cache_size = ANSWERS_MAX;
            options.positive_max_ttl = Some(POSITIVE_TTL_MAX);
            options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
            builder.build().map_err(io::Error::other)
        })
    }
}

fn single_server(address: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    ResolverConfig::from_name_servers(vec![NameServerConfig::new(
        address.ip(),
        true,
        connections.to_vec(),
    )])
}

/// Names with their addresses, in the order of the hosts file.
#[derive(Debug, Default)]
pub(crate) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                hosts
                    .0
                    .entry(name.to_ascii_lowercase())
                    .or_default()
                    .push(address);
            }
        }
        hosts
    }

    /// Returns the addresses of a name in lower case.
    pub(crate) fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

/// A value that is derived from a file, and derived again when the file changes.
#[derive(Debug)]
struct DerivedFromFile<T> {
    path: PathBuf,
    cached: Mutex<Option<(Option<Version>, Arc<T>)>>,
}

/// The modification time and length of a file.
type Version = (SystemTime, u64);

impl<T> DerivedFromFile<T> {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cached: Mutex::default(),
        }
    }

    /// Returns the value. A file that cannot be read counts as empty.
    fn get(&self, make: impl FnOnce(Vec<u8>) -> io::Result<T>) -> io::Result<Arc<T>> {
        let version = fs::metadata(&self.path)
            .ok()
            .and_then(|file| Some((file.modified().ok()?, file.len())));
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, value)) = &*cached
            && *known == version
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make(fs::read(&self.path).unwrap_or_default())?);
        *cached = Some((version, Arc::clone(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file() {
        let hosts = Hosts::parse(
            "127.0.0.1\tlocalhost # this machine\n::1 localhost Ours\n#1.1.1.1 no\nbad line\n10.0.0.1\n",
        );
        assert_eq!(
            hosts.addresses("localhost"),
            Some(&[IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()][..])
        );
        assert_eq!(hosts.addresses("ours").map(<[IpAddr]>::len), Some(1));
        assert_eq!(
            (hosts.addresses("no"), hosts.addresses("line")),
            (None, None)
        );
    }
}

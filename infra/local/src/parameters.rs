//! The template parameters that local mode sets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::args::Args;

/// Loopback, which only local mode allows, and only unless `--allow-egress` is given.
const LOOPBACK: &str = "127.0.0.0/8,::1/128";

/// The sender of alert e-mails, which are stored in the data directory.
const ALERT_FROM: &str = "alerts@waybill.localhost";

/// Local mode has only one account, the operator's own.
const INGEST_SOURCES: &str =
    r#"[{"account":"000000000000","source":"*","organization_ids":["*"]}]"#;

/// Returns the template's parameters for these arguments. Plain HTTP is allowed and quotas are off,
/// because receivers and load tests run on the same machine.
pub fn of(args: &Args, public_url: &str) -> BTreeMap<String, String> {
    let allowed: Vec<String> = args.allow_egress.iter().map(ToString::to_string).collect();
    let egress_allow = if allowed.is_empty() {
        LOOPBACK.to_owned()
    } else {
        allowed.join(",")
    };
    let mut parameters = BTreeMap::from([
        ("PublicUrl".to_owned(), public_url.to_owned()),
        ("AlertFrom".to_owned(), ALERT_FROM.to_owned()),
        ("GrantableIdentities".to_owned(), "*".to_owned()),
        ("EgressAllow".to_owned(), egress_allow),
        ("AllowPlainHttp".to_owned(), "true".to_owned()),
        ("IngestSources".to_owned(), INGEST_SOURCES.to_owned()),
        ("RateLimits".to_owned(), "off".to_owned()),
    ]);
    if let Some(seconds) = args.monitor_interval_seconds {
        parameters.insert("MonitorIntervalSeconds".to_owned(), seconds.to_string());
    }
    parameters.extend(args.parameters.iter().cloned());
    parameters
}

/// Returns the URL of a listener. One that listens on all addresses is reached at loopback.
pub fn url_of(listening: SocketAddr) -> String {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listening.port()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn allowed_networks_replace_loopback() {
        let cases: [(&[&str], &str); 2] = [
            (&["waybill"], LOOPBACK),
            (
                &[
                    "waybill",
                    "--allow-egress",
                    "10.0.0.0/8",
                    "--allow-egress",
                    "fd00::/8",
                ],
                "10.0.0.0/8,fd00::/8",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(
                of(&Args::parse_from(line), "http://x")["EgressAllow"],
                expected
            );
        }
    }

    #[test]
    fn a_parameter_that_is_given_goes_before() {
        let args = Args::parse_from([
            "waybill",
            "--parameter",
            "RateLimits=on",
            "--parameter",
            "OidcIssuer=https://x/?a=b",
        ]);
        let parameters = of(&args, "http://x");
        assert_eq!(
            (&*parameters["RateLimits"], &*parameters["OidcIssuer"]),
            ("on", "https://x/?a=b")
        );
    }

    #[test]
    fn a_listener_has_a_url() {
        let cases = [
            ("127.0.0.1:80", "http://127.0.0.1:80"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("10.1.2.3:9", "http://10.1.2.3:9"),
        ];
        for (listening, url) in cases {
            assert_eq!(url_of(listening.parse().unwrap()), url);
        }
    }
}

//! Tests which addresses may be reached.

use egress::{Policy, PolicyError};

#[rustfmt::skip]
const BLOCKED: &[&str] = &[
    // IPv4: the first and last address of each network of the deny list
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
    "127.0.0.1", "127.255.255.255",
    "169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255", "172.16.0.0",
    "172.31.255.255", "192.0.0.0", "192.0.0.255",
    "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
    "192.175.48.1", "198.18.0.0",
    "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "168.63.129.16",
    // IPv6 outside global unicast
    "::", "::1", "::2", "::7f00:1", "::10.0.0.1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254",
    "ff02::1", "100::1", "4000::1",
    "5f00::1", "1fff:ffff::1",
    // IPv4 in IPv6: mapped, NAT64, translated
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.1.1",
    "64:ff9b::7f00:1", "64:ff9b::8.8.8.8",
    "64:ff9b:1::1", "::ffff:0:127.0.0.1",
    // within global unicast, but reserved or containing an IPv4 address
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1ff:ffff::1", "2001:db8::1", "2002::1",
    "2002:7f00:1::1",
    "2002:808:808::1", "3fff::1", "3fff:fff:ffff::1", "2600:1f18::5efe:a00:1",
    "2600:1f18::200:5efe:808:808",
];

#[rustfmt::skip]
const PUBLIC: &[&str] = &[
    "1.1.1.1", "8.8.8.8", "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0",
    "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15", "168.63.129.17",
    "::ffff:8.8.8.8", "2000::1", "2001:200::1",
    "2001:4860:4860::8888", "2003::1", "2600:1f18::1", "2606:4700:4700::1111", "3ffe::1",
    "3fff:1000::1",
];

#[test]
fn only_the_public_internet() {
    let policy = Policy::public();
    for address in BLOCKED {
        assert!(
            !policy.permits(address.parse().unwrap()),
            "{address} is permitted"
        );
    }
    for address in PUBLIC {
        assert!(
            policy.permits(address.parse().unwrap()),
            "{address} is blocked"
        );
    }
}

#[test]
fn a_deployment_can_allow_further_addresses() {
    let policy = Policy::parse("127.0.0.0/8, ::1,10.1.2.3").unwrap();
    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "::1",
        "10.1.2.3",
        "8.8.8.8",
    ] {
        assert!(
            policy.permits(address.parse().unwrap()),
            "{address} is blocked"
        );
    }
    for address in [
        "10.1.2.4",
        "::2",
        "169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "::7f00:1",
    ] {
        assert!(
            !policy.permits(address.parse().unwrap()),
            "{address} is permitted"
        );
    }
    let mapped = Policy::parse("::ffff:127.0.0.0/104").unwrap();
    assert!(mapped.permits("127.9.9.9".parse().unwrap()));
    assert!(!mapped.permits("10.0.0.1".parse().unwrap()));
}

#[test]
fn lists_are_read_or_refused() {
    assert_eq!(Policy::parse(""), Ok(Policy::public()));
    assert_eq!(Policy::parse(" , "), Ok(Policy::public()));
    for entry in ["localhost", "10.0.0.0/33", "10.0.0", "10.0.0.0-10.0.0.9"] {
        assert_eq!(
            Policy::parse(&format!("127.0.0.1,{entry}")),
            Err(PolicyError {
                entry: entry.to_owned()
            })
        );
    }
}

//! Tests reading and pinning host keys.

use std::time::Duration;

use domain::Reason;
use domain::settings::sftp::{HostKey, HostKeys};
use egress::{Guard, Host, Policy};
use kit::sshd::{Launch, Sshd};
use tokio::time::Instant;
use worker::Payload;
use worker_sftp::host_keys;

use crate::world::{World, delivered, loopback, reason};

#[tokio::test]
async fn a_server_s_keys_are_shown_as_ssh_keygen_shows_them() {
    let sshd = Sshd::start().await;
    let host = Host::parse("127.0.0.1").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let keys = host_keys(&loopback(), &host, sshd.port, deadline)
        .await
        .unwrap();
    let expected =
        ["ed25519", "ecdsa", "rsa"].map(|kind| (sshd.host_key(kind), sshd.fingerprint(kind)));
    assert_eq!(
        keys.iter()
            .map(|key| (key.public_key.clone(), key.fingerprint.clone()))
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(
        keys.iter().map(|key| &*key.algorithm).collect::<Vec<_>>(),
        ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
    );
    let blocked = host_keys(&Guard::new(Policy::default()), &host, sshd.port, deadline)
        .await
        .unwrap_err();
    let refused = domain::settle::Outcome::Reject(Reason::BlockedAddress);
    assert_eq!(blocked.outcome(), Some(&refused));
}

#[tokio::test]
async fn every_key_of_a_server_can_be_pinned_either_way() {
    let sshd = Sshd::start().await;
    let mut world = World::on(&sshd);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        for pin in [sshd.host_key(kind), sshd.fingerprint(kind)] {
            world.settings.host_keys = HostKeys::one(HostKey::parse(&pin).unwrap());
            delivered(&world.deliver("dlv_1_00", Payload::in_memory("x")).await);
        }
    }
}

#[tokio::test]
async fn a_server_whose_key_was_replaced_is_trusted_when_both_are_pinned() {
    let (old, new) = (
        Sshd::start().await,
        Launch::default().host_keys(&["rsa"]).start().await,
    );
    let pins = [
        [old.host_key("ed25519"), new.host_key("rsa")],
        [old.fingerprint("ed25519"), new.host_key("rsa")],
        [old.host_key("ecdsa"), new.fingerprint("rsa")],
    ];
    for pins in pins {
        let keys = pins
            .iter()
            .map(|pin| HostKey::parse(pin).unwrap())
            .collect();
        for server in [&old, &new] {
            let mut world = World::on(&old);
            world.settings.port = server.port;
            world.settings.host_keys = HostKeys::new(Vec::clone(&keys)).unwrap();
            delivered(&world.deliver("dlv_1_00", Payload::in_memory("x")).await);
        }
    }
}

#[tokio::test]
async fn another_key_stops_everything_before_the_password() {
    let (sshd, other) = (
        Launch::default().option("LogLevel VERBOSE").start().await,
        Sshd::start().await,
    );
    let rsa_only = Launch::default().host_keys(&["rsa"]).start().await;
    for (server, pin) in [
        (&sshd, other.host_key("ed25519")),
        (&sshd, other.fingerprint("ecdsa")),
        (&rsa_only, sshd.host_key("ed25519")),
    ] {
        let mut world = World::on(&sshd);
        world.settings.port = server.port;
        world.settings.host_keys = HostKeys::one(HostKey::parse(&pin).unwrap());
        let attempted = world.deliver("dlv_1_00", Payload::in_memory("x")).await;
        assert_eq!(reason(&attempted), Reason::Tls, "{}", attempted.detail);
        assert!(
            attempted
                .detail
                .contains(&world.settings.host_keys.identity()),
            "{}",
            attempted.detail
        );
    }
    assert!(!sshd.log().contains("password"), "{}", sshd.log());
}

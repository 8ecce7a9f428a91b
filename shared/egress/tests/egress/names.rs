//! Tests that names are resolved once and every address is checked.

use crate::{Script, client_of, post, target, within};
use egress::{FailureKind, Guard, Host, Policy, Resolve, StepName, StepOutcome};
use futures_util::future::BoxFuture;
use kit::sink::Sink;
use rustls::RootCertStore;
use std::io::{self, ErrorKind};
use std::net::IpAddr;

fn name() -> Host {
    Host::Name("hooks.example.com".to_owned())
}

fn policy() -> Policy {
    Policy::parse("127.0.0.1").unwrap()
}

async fn kind_of(script: &Script) -> Result<usize, FailureKind> {
    let guard = Guard::with_resolver(policy(), script.clone());
    guard
        .resolve(&name(), 443, within(1_000))
        .await
        .map(|found| found.len())
        .map_err(|failure| failure.kind())
}

#[tokio::test]
async fn one_blocked_address_refuses_the_name() {
    for answer in [
        &["127.0.0.2"][..],
        &["8.8.8.8", "169.254.169.254"],
        &["10.0.0.1", "8.8.8.8"],
        &["8.8.8.8", "::ffff:10.0.0.1"],
    ] {
        assert_eq!(
            kind_of(&Script::of(&[answer])).await,
            Err(FailureKind::Blocked),
            "{answer:?}"
        );
    }
    assert_eq!(
        kind_of(&Script::of(&[&["8.8.8.8", "2606:4700::1111", "127.0.0.1"]])).await,
        Ok(3)
    );
    assert_eq!(kind_of(&Script::of(&[&[]])).await, Err(FailureKind::Dns));
    assert_eq!(kind_of(&Script::of(&[])).await, Err(FailureKind::Dns));
}

#[tokio::test]
async fn a_blocked_address_is_not_revealed() {
    let guard = Guard::with_resolver(policy(), Script::of(&[&["10.20.30.40"]]));
    let failure = guard
        .connect(&name(), 443, within(1_000))
        .await
        .unwrap_err();
    assert_eq!(
        failure.to_string(),
        "hooks.example.com resolves to an address that Waybill may not connect to"
    );
}

/// The name passes the check and then resolves to an internal address. The connection goes to the
/// checked address.
#[tokio::test]
async fn a_rebound_name_reaches_no_blocked_address() {
    let outer = Sink::start().await;
    let port = outer.address().port();
    let inner = tokio::net::TcpListener::bind(("127.0.0.2", port))
        .await
        .unwrap()
        .into_std()
        .unwrap();
    let script = Script::of(&[
        &["127.0.0.1"],
        &["127.0.0.2"],
        &["127.0.0.1"],
        &["127.0.0.2"],
    ]);
    let guard = Guard::with_resolver(policy(), script.clone());
    let client = client_of(guard.clone(), RootCertStore::empty());
    let url = format!("http://hooks.example.com:{port}/");

    let stream = guard.connect(&name(), port, within(1_000)).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), outer.address());
    assert_eq!(script.lookups_left(), 3, "one lookup a connection");

    assert_eq!(
        client.send(post(&url)).await.unwrap_err().kind(),
        FailureKind::Blocked
    );
    assert!(client.probe(&target(&url), within(1_000)).await.passed());
    let probe = client.probe(&target(&url), within(1_000)).await;
    assert_eq!(
        probe.failure().map(egress::Failure::kind),
        Some(FailureKind::Blocked)
    );
    assert_eq!(probe.steps[0].name, StepName::Resolve);
    assert!(matches!(probe.steps[1].outcome, StepOutcome::NotReached));

    assert_eq!(
        inner.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "the inner address was connected to"
    );
}

#[tokio::test]
async fn each_address_is_tried() {
    let sink = Sink::start().await;
    let guard = Guard::with_resolver(
        Policy::parse("127.0.0.0/8").unwrap(),
        Script::of(&[&["127.0.0.9", "127.0.0.1"]]),
    );
    let stream = guard
        .connect(&name(), sink.address().port(), within(1_000))
        .await
        .unwrap();
    assert_eq!(stream.peer_addr().unwrap(), sink.address());
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn the_failure_of_the_connection_is_reported_when_the_second_lookup_fails() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://hooks.example.com:{closed}/");
    for (second, kind) in [
        (None, FailureKind::Connect),
        (Some("127.0.0.2"), FailureKind::Blocked),
    ] {
        let answers = || [Some("127.0.0.1"), second].into_iter().flatten();
        let script = || answers().map(|address| vec![address]).collect::<Vec<_>>();
        let moving = || {
            let script = script();
            let script: Vec<&[&str]> = script.iter().map(Vec::as_slice).collect();
            Guard::with_resolver(policy(), ClearableScript(Script::of(&script)))
        };
        let failure = moving()
            .connect(&name(), closed, within(2_000))
            .await
            .unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure}");
        let failure = client_of(moving(), RootCertStore::empty())
            .send(post(&url))
            .await
            .unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure}");
        let probe = client_of(moving(), RootCertStore::empty())
            .probe(&target(&url), within(2_000))
            .await;
        assert_eq!(
            probe.failure().map(egress::Failure::kind),
            Some(kind),
            "{probe:?}"
        );
    }
}

/// A check reaches a host that has moved, as a delivery does.
#[tokio::test]
async fn a_probe_follows_a_host_that_has_moved() {
    let sink = Sink::start().await;
    let url = format!("http://hooks.example.com:{}/", sink.address().port());
    let moved = || {
        let script = Script::of(&[&["127.0.0.9"], &["127.0.0.1"]]);
        client_of(
            Guard::with_resolver(
                Policy::parse("127.0.0.0/8").unwrap(),
                ClearableScript(script),
            ),
            RootCertStore::empty(),
        )
    };
    assert!(moved().send(post(&url)).await.is_ok());
    let probe = moved().probe(&target(&url), within(2_000)).await;
    assert!(probe.passed(), "{probe:?}");
    assert!(probe.steps[1].detail.starts_with("127.0.0.1:"), "{probe:?}");
}

/// A script whose cached answers can be dropped, as those of the system's resolver.
struct ClearableScript(Script);

impl Resolve for ClearableScript {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.0.resolve(name)
    }

    fn forget(&self, _: &str) -> bool {
        true
    }
}

#[tokio::test]
async fn literal_addresses_are_checked_by_the_client_too() {
    let sink = Sink::start().await;
    let client = client_of(Guard::new(Policy::public()), RootCertStore::empty());
    let port = sink.address().port();
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let failure = client
            .send(post(&format!("http://{host}:{port}/")))
            .await
            .unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Blocked, "{host}: {failure}");
    }
    assert_eq!(sink.count(), 0);
}

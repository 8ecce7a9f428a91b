//! Tests name servers that are slow, do not answer, or move a name.

use std::{collections::HashSet, time::Duration};

use crate::within;
use egress::{FailureKind, Guard, Host, Policy, SystemResolver, on_behalf_of};
use futures_util::future::join_all;
use kit::{dns::NameServer, sink::Sink};
use tokio::time::{Instant, timeout};

fn guard(server: &NameServer) -> Guard {
    Guard::with_resolver(
        Policy::parse("127.0.0.0/8, ::1").unwrap(),
        SystemResolver::with_name_server(server.address()),
    )
}

fn name(name: &str) -> Host {
    Host::parse(name).unwrap()
}

#[tokio::test]
async fn names_that_are_not_answered_hold_up_no_others() {
    let server = NameServer::start().await;
    server.silence("slow.example");
    server.set("fast.example", &["127.0.0.1"], 60);
    let guard = guard(&server);
    let mut waiting = Vec::new();
    for number in 0..300 {
        let guard = guard.clone();
        let lookup = async move {
            let host = name(&format!("n{number}.slow.example"));
            guard
                .resolve(&host, 443, within(3_000))
                .await
                .map(|_| ())
                .map_err(|failure| failure.kind())
        };
        waiting.push(tokio::spawn(on_behalf_of(format!("org_{number}"), lookup)));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    assert_eq!(
        guard
            .resolve(&name("fast.example"), 443, within(3_000))
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "took {:?}",
        started.elapsed()
    );
    for lookup in waiting {
        let failed = timeout(Duration::from_secs(8), lookup)
            .await
            .expect("it gives up with its caller")
            .unwrap();
        assert!(
            matches!(failed, Err(FailureKind::Timeout | FailureKind::Dns)),
            "{failed:?}"
        );
    }
}

/// The lookups of an organization are limited, so names that are not answered delay neither other
/// organizations' names nor the organization's own cached names.
#[tokio::test]
async fn an_organization_has_a_bounded_number_of_lookups_under_way() {
    let server = NameServer::start().await;
    server.silence("slow.example");
    server.set("known.example", &["127.0.0.1"], 60);
    server.set("fast.example", &["127.0.0.1"], 60);
    let guard = guard(&server);
    let find = |organization: &'static str, host: String, millis| {
        let guard = guard.clone();
        on_behalf_of(organization, async move {
            guard
                .resolve(&name(&host), 443, within(millis))
                .await
                .map(|_| ())
        })
    };
    find("org_slow", "known.example".to_owned(), 3_000)
        .await
        .unwrap();
    let silent = (0..100)
        .map(|number| tokio::spawn(find("org_slow", format!("n{number}.slow.example"), 3_000)));
    let silent: Vec<_> = silent.collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let names = |server: &NameServer| {
        server
            .asked()
            .into_iter()
            .filter(|name| name.ends_with("slow.example"))
            .collect::<HashSet<_>>()
            .len()
    };
    assert_eq!(names(&server), 64);
    let started = Instant::now();
    find("org_fast", "fast.example".to_owned(), 2_000)
        .await
        .unwrap();
    find("org_slow", "known.example".to_owned(), 2_000)
        .await
        .unwrap();
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "took {:?}",
        started.elapsed()
    );
    for lookup in join_all(silent).await {
        assert!(matches!(
            lookup.unwrap().unwrap_err().kind(),
            FailureKind::Timeout | FailureKind::Dns
        ));
    }
    server.set("late.example", &["127.0.0.1"], 60);
    find("org_slow", "late.example".to_owned(), 2_000)
        .await
        .expect("permits are free again");
}

/// A lookup of a name that is being looked up waits for the same answer.
#[tokio::test]
async fn lookups_of_one_name_at_once_are_one() {
    let server = NameServer::start().await;
    server.set("one.example", &["127.0.0.1"], 60);
    let guard = guard(&server);
    let host = name("one.example");
    for found in join_all((0..100).map(|_| guard.resolve(&host, 443, within(3_000)))).await {
        found.unwrap();
    }
    assert_eq!(
        server.asked(),
        ["one.example", "one.example"],
        "once for each family"
    );

    server.silence("silent.example");
    let host = name("silent.example");
    let silent = join_all((0..100).map(|_| guard.resolve(&host, 443, within(700)))).await;
    assert!(silent.iter().all(Result::is_err));
    // Queries without an answer are repeated.
    assert!(server.asked().len() < 20, "{:?}", server.asked());
}

#[tokio::test]
async fn both_families_are_found_and_a_missing_name_is_missing() {
    let server = NameServer::start().await;
    server.set("both.example", &["127.0.0.1", "127.0.0.2", "::1"], 60);
    let guard = guard(&server);
    let found = guard
        .resolve(&name("both.example"), 80, within(3_000))
        .await
        .unwrap();
    let found: Vec<String> = found
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "::1", "the families alternate, IPv6 first");
    let failure = guard
        .resolve(&name("none.example"), 80, within(3_000))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind(), failure.detail()),
        (
            FailureKind::Dns,
            "none.example does not resolve to an address"
        )
    );
    assert!(
        guard
            .resolve(&name("localhost"), 80, within(3_000))
            .await
            .is_ok(),
        "the hosts file comes first"
    );
}

/// The name's TTL is a day, but a failed connection looks it up again immediately.
#[tokio::test]
async fn a_host_that_moved_is_found() {
    let (server, sink) = (NameServer::start().await, Sink::start().await);
    let (guard, port) = (guard(&server), sink.address().port());
    server.set("moves.example", &["127.0.0.9"], 86_400);
    assert_eq!(
        guard
            .connect(&name("moves.example"), port, within(2_000))
            .await
            .unwrap_err()
            .kind(),
        FailureKind::Connect
    );
    server.set("moves.example", &["127.0.0.1"], 86_400);
    let stream = guard
        .connect(&name("moves.example"), port, within(2_000))
        .await
        .unwrap();
    assert_eq!(stream.peer_addr().unwrap(), sink.address());
}

#[tokio::test]
async fn a_blocked_address_of_either_family_refuses_the_name() {
    let server = NameServer::start().await;
    server.set("mixed.example", &["127.0.0.1", "fd00::1"], 60);
    let failure = guard(&server)
        .connect(&name("mixed.example"), 443, within(2_000))
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Blocked);
}

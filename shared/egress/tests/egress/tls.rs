//! Tests that TLS verifies the name regardless of the address.

use crate::{Script, client_of, guard, post, target, within};
use egress::{Client, FailureKind, Guard, Policy, StepName, StepOutcome};
use kit::{sink::Sink, tls::Authority};
use tokio::net::TcpListener;

fn client(authority: &Authority) -> Client {
    client_of(guard(), authority.roots())
}

async fn failure_of(client: &Client, url: &str) -> (FailureKind, String) {
    let failure = client.send(post(url)).await.unwrap_err();
    (failure.kind(), failure.to_string())
}

#[tokio::test]
async fn certificates_are_verified() {
    let authority = Authority::new();
    let sink = Sink::start_tls(authority.server(&["127.0.0.1", "hooks.example.com"], &[])).await;
    let port = sink.address().port();

    assert_eq!(
        client(&authority)
            .send(post(&sink.url()))
            .await
            .unwrap()
            .status,
        200
    );
    let script = Script::of(&[&["127.0.0.1"], &["127.0.0.1"]]);
    let named = client_of(
        Guard::with_resolver(Policy::parse("127.0.0.1").unwrap(), script),
        authority.roots(),
    );
    assert_eq!(
        named
            .send(post(&format!("https://hooks.example.com:{port}/")))
            .await
            .unwrap()
            .status,
        200
    );
    let (kind, detail) = failure_of(&named, &format!("https://other.example.com:{port}/")).await;
    assert_eq!(kind, FailureKind::Tls);
    assert!(detail.contains("not valid for this name"), "{detail}");

    let (kind, detail) = failure_of(&client(&Authority::new()), &sink.url()).await;
    assert_eq!(kind, FailureKind::Tls);
    assert!(
        detail.contains("not signed by a trusted authority"),
        "{detail}"
    );

    let expired = Sink::start_tls(authority.expired_server(&["127.0.0.1"])).await;
    let (kind, detail) = failure_of(&client(&authority), &expired.url()).await;
    assert_eq!(kind, FailureKind::Tls);
    assert!(detail.contains("has expired"), "{detail}");
    assert_eq!((sink.count(), expired.count()), (2, 0));
}

#[tokio::test]
async fn a_server_without_tls() {
    let authority = Authority::new();
    let plain = Sink::start().await;
    let url = format!("https://{}/", plain.address());
    assert_eq!(
        failure_of(&client(&authority), &url).await.0,
        FailureKind::Tls
    );

    let mute = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}/", mute.local_addr().unwrap());
    let probe = client(&authority).probe(&target(&url), within(200)).await;
    assert!(matches!(probe.steps[1].outcome, StepOutcome::Passed));
    assert!(matches!(&probe.steps[2].outcome,
            StepOutcome::Failed(failure) if failure.kind() == FailureKind::Timeout));

    tokio::spawn(async move { while mute.accept().await.is_ok() {} });
    let (kind, detail) = failure_of(&client(&authority), &url).await;
    assert_eq!(kind, FailureKind::Tls);
    assert!(
        detail.contains("closed the connection during the TLS handshake"),
        "{detail}"
    );
}

#[tokio::test]
async fn http_2_is_used_if_the_server_supports_it() {
    let authority = Authority::new();
    let sink = Sink::start_tls(authority.server(&["127.0.0.1"], &["h2", "http/1.1"])).await;
    let client = client(&authority);
    for _ in 0..3 {
        let response = client.send(post(&sink.url())).await.unwrap();
        assert_eq!(
            (response.status.as_u16(), response.peer),
            (200, Some(sink.address()))
        );
    }
    assert_eq!(
        sink.requests()
            .iter()
            .map(|request| request.connection)
            .collect::<Vec<_>>(),
        [1, 1, 1]
    );
    sink.drops();
    assert_eq!(
        failure_of(&client, &sink.url()).await.0,
        FailureKind::Protocol
    );
}

#[tokio::test]
async fn a_probe_performs_a_tls_handshake() {
    let authority = Authority::new();
    let sink = Sink::start_tls(authority.server(&["127.0.0.1"], &[])).await;
    let probe = client(&authority)
        .probe(&target(&sink.url()), within(1_000))
        .await;
    assert!(probe.passed());
    assert_eq!(probe.steps[2].name, StepName::Tls);
    assert_eq!(
        probe.steps[2].detail,
        "the certificate is valid for 127.0.0.1"
    );
}

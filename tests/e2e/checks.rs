//! The connection check that saving a destination makes.

use std::time::Duration;

use kit::{sink::Sink, tls::Authority};
use serde_json::{Value, json};

use crate::stage;

/// A destination that cannot be reached is not saved, and the response names the failed step.
#[tokio::test]
async fn a_destination_that_cannot_be_reached_is_not_saved_and_the_failing_step_is_named() {
    let (acme, sink, closed) = (
        stage::organization("Acme").await,
        Sink::start().await,
        Sink::start().await,
    );
    closed.refuses().await;
    let stranger = Sink::start_tls(Authority::new().server(&["127.0.0.1"], &["http/1.1"])).await;
    for (path, status) in [
        ("/401", 401),
        ("/403", 403),
        ("/404", 404),
        ("/500", 500),
        ("/302", 302),
    ] {
        sink.path(path).answers([status]);
    }
    sink.path("/drops").drops();
    let cases = [
        ("http://nowhere.invalid/".to_owned(), &["resolve"][..]),
        (closed.url(), &["connect"]),
        (stranger.url(), &["tls"]),
        (sink.path("/401").url(), &["authenticate"]),
        (sink.path("/403").url(), &["authorize", "authenticate"]),
        (sink.path("/404").url(), &["write"]),
        (sink.path("/500").url(), &["write"]),
        (sink.path("/302").url(), &["write"]),
        (sink.path("/drops").url(), &["write"]),
    ];
    for (url, steps) in cases {
        let answer = acme.destination().url(&url).asks().await;
        let problem = answer.problem(422, "connection_check_failed");
        assert!(
            steps.contains(&stage::failed_step(&problem["check"])),
            "{url}: {problem}"
        );
    }
    assert!(acme.list("/v1/destinations").await.is_empty());
}

/// The check is a signed request of its own type.
#[tokio::test]
async fn saving_sends_one_signed_check() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let created = acme.destination().webhook(&sink).asks().await.ok(201);
    assert!(created["verified_at"].is_string(), "{created}");
    let requests = sink.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].header("waybill-event-type"),
        Some("waybill.destination.check")
    );
    let secret = created["signing_secret"].as_str().unwrap();
    for verifier in kit::verifier::Verifier::ALL {
        assert_eq!(
            verifier.verdicts(&[kit::verifier::Signed::received(secret, &requests[0])]),
            [Ok(())]
        );
    }
    assert_eq!(created["health"]["status"], "unknown");
}

/// Some receivers must know the secret before they accept a request.
#[tokio::test]
async fn a_check_may_stop_once_it_is_connected() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    sink.answers([500]);
    acme.destination()
        .webhook(&sink)
        .settings(json!({"check": "connect"}))
        .create()
        .await;
    assert_eq!(sink.count(), 0);
}

/// `skip_check` saves a destination without verifying it, and the response shows that.
#[tokio::test]
async fn skipping_the_check_saves_and_is_audited() {
    let acme = stage::organization("Acme").await;
    let destination = acme
        .destination()
        .url("http://nowhere.invalid/")
        .skip_check()
        .create()
        .await;
    assert_eq!(destination.created["verified_at"], Value::Null);
    let created = acme.audited("destination.created").await;
    assert_eq!(
        created[0]["target"]
            .as_str()
            .map(|target| target.contains(&destination.id)),
        Some(true),
        "{created:?}"
    );
}

/// A requested check changes nothing and is not counted in statistics.
#[tokio::test]
async fn a_check_by_hand_reports_and_changes_nothing() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let before = destination.read().await;
    let well = destination.action("check", json!({})).await.ok(200);
    assert_eq!(well["check"]["ok"], true, "{well}");
    sink.answers([500]);
    let ill = destination.action("check", json!({})).await.ok(200);
    assert_eq!(stage::failed_step(&ill["check"]), "write");
    let after = destination.read().await;
    assert_eq!(
        (&before["health"], &before["status"]),
        (&after["health"], &after["status"])
    );

    let unsaved = acme
        .post(
            "/v1/destinations/check",
            acme.destination().webhook(&sink).body(),
        )
        .await
        .ok(200);
    assert_eq!(stage::failed_step(&unsaved["check"]), "write");
    assert_eq!(acme.list("/v1/destinations").await.len(), 1);
}

/// A patch that fails its check leaves everything as it was.
#[tokio::test]
async fn a_change_that_fails_its_check_changes_nothing() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let before = destination.read().await;
    let broken = sink.path("/broken");
    broken.answers([500]);
    let patch = json!({"name": "New name", "settings": {"url": broken.url()}});
    acme.patch(&destination.path(), patch)
        .await
        .problem(422, "connection_check_failed");
    assert_eq!(destination.read().await, before);
    // A name needs no check.
    acme.patch(&destination.path(), json!({"name": "New name"}))
        .await
        .ok(200);
    assert_eq!(destination.read().await["name"], "New name");
}

/// A receiver that does not answer delays the response by a limited time.
#[tokio::test]
async fn a_check_ends_within_its_time() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    sink.hangs();
    let asked = tokio::time::Instant::now();
    let answer = acme
        .destination()
        .webhook(&sink)
        .settings(json!({"timeout_seconds": 2}))
        .asks()
        .await;
    answer.problem(422, "connection_check_failed");
    assert!(
        asked.elapsed() < Duration::from_secs(6),
        "{:?}",
        asked.elapsed()
    );
}

//! Destinations are created, shown, changed, disabled and deleted.

use std::time::Duration;

use kit::sink::{Reply, Sink};
use serde_json::{Value, json};

use crate::stage;

/// A destination is shown as the API documents it.
#[tokio::test]
async fn a_destination_is_created_with_an_id_and_shown_whole() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let answer = acme
        .destination()
        .webhook(&sink)
        .with("description", "For audits")
        .with("external_id", "crm-1")
        .asks()
        .await;
    let created = answer.ok(201);
    let id = created["id"].as_str().unwrap();
    assert!(id.starts_with("dst_") && id.len() == 30, "{id}");
    assert!(
        answer
            .header("location")
            .is_some_and(|location| location.ends_with(&format!("/v1/destinations/{id}")))
    );
    let read = acme.get(&format!("/v1/destinations/{id}")).await;
    assert_eq!(
        read.header("etag"),
        Some(&*format!("\"{}\"", created["revision"]))
    );
    let read = read.ok(200);
    assert_eq!(read["organization_id"], acme.id);
    assert_eq!(
        (&read["type"], &read["status"], &read["disabled"]),
        (&json!("webhook"), &json!("enabled"), &Value::Null)
    );
    assert_eq!(
        (&read["description"], &read["external_id"]),
        (&json!("For audits"), &json!("crm-1"))
    );
    assert_eq!(
        (&read["credentials"], &read["event_types"]),
        (&json!({"kind": "none"}), &Value::Null)
    );
    assert_eq!(read["settings"]["timeout_seconds"], 15);
    let defaults = json!({"max_retries": 5, "initial_seconds": 1, "multiplier": 2,
        "max_seconds": 3600, "jitter": 0.1, "retry_client_errors": true});
    for (name, value) in defaults.as_object().unwrap() {
        assert_eq!(
            read["retry_policy"][name].as_f64(),
            value.as_f64(),
            "{name}"
        );
    }
    assert!(
        read.get("signing_secret").is_none_or(Value::is_null),
        "shown once: {read}"
    );
    assert_eq!(read["signing_secrets"][0]["source"], "generated");
}

/// Concurrent changes do not overwrite each other.
#[tokio::test]
async fn a_change_based_on_an_older_revision_is_refused() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let revision = destination.created["revision"].as_u64().unwrap();
    let patch = |name: &str, revision: u64| {
        let call = acme.call(http::Method::PATCH, &destination.path());
        call.header("if-match", &format!("\"{revision}\""))
            .json(&json!({"name": name}))
            .send()
    };
    let changed = patch("First", revision).await.ok(200);
    assert!(changed["revision"].as_u64() > Some(revision), "{changed}");
    patch("Second", revision)
        .await
        .problem(412, "revision_conflict");
    assert_eq!(destination.read().await["name"], "First");
    let revision = destination.read().await["revision"].clone();
    acme.patch(&destination.path(), json!({})).await.ok(200);
    assert_eq!(
        destination.read().await["revision"],
        revision,
        "an empty patch changes nothing"
    );
}

/// In a merge patch, null resets a member to its default, and read-only members are refused.
#[tokio::test]
async fn a_patch_merges_and_read_only_fields_are_refused() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .event_types(["a.*"])
        .with("description", "x")
        .create()
        .await;
    let patched = destination
        .change(
            json!({"event_types": null, "description": null, "retry_policy": {"max_retries": 2}}),
        )
        .await;
    assert_eq!(
        (&patched["event_types"], &patched["description"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (
            &patched["retry_policy"]["max_retries"],
            patched["retry_policy"]["initial_seconds"].as_f64()
        ),
        (&json!(2), Some(1.0))
    );
    for patch in [
        json!({"id": "dst_1"}),
        json!({"revision": 9}),
        json!({"type": "email"}),
        json!({"status": "disabled"}),
    ] {
        let answer = acme.patch(&destination.path(), patch.clone()).await;
        let problem = answer.ok(422);
        let codes: Vec<&Value> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| &error["code"])
            .collect();
        assert!(
            problem["code"] == "read_only" || codes == ["read_only"],
            "{patch}: {problem}"
        );
    }
}

/// Enabling and disabling are idempotent.
#[tokio::test]
async fn enabling_and_disabling_are_idempotent_and_audited() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    for _ in 0..2 {
        assert_eq!(
            destination.action("disable", json!({})).await.ok(200)["status"],
            "disabled"
        );
    }
    for _ in 0..2 {
        let enabled = destination.action("enable", json!({})).await.ok(200);
        assert_eq!(
            (&enabled["status"], &enabled["disabled"]),
            (&json!("enabled"), &Value::Null)
        );
    }
    for action in [
        "destination.created",
        "destination.disabled",
        "destination.enabled",
    ] {
        let events = acme.audited(action).await;
        assert!(
            events.iter().all(|event| event["target"]
                .as_str()
                .is_some_and(|target| target.contains(&destination.id))),
            "{events:?}"
        );
        assert!(!events.is_empty(), "{action}");
    }
    let without_body = acme
        .call(
            http::Method::POST,
            &format!("{}/disable", destination.path()),
        )
        .send()
        .await;
    without_body.ok(200);
}

/// Pending deliveries are skipped, and can be retried.
#[tokio::test]
async fn disabling_skips_what_is_pending_and_says_so() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(20).create().await;
    sink.answers([500]);
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    delivery.reaches("retrying").await;
    destination.action("disable", json!({})).await.ok(200);
    let skipped = delivery.settles().await;
    assert_eq!(
        (&skipped["status"], &skipped["reason"]),
        (&json!("skipped"), &json!("destination_disabled"))
    );
}

/// No delivery keeps waiting if an attempt is running while its destination is disabled.
#[tokio::test]
async fn deliveries_that_fail_while_their_destination_is_being_disabled_are_skipped() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.replies([Reply::status(429)
        .header("retry-after", "3600")
        .after(Duration::from_secs(1))]);
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    sink.wait_for(1, Duration::from_secs(10)).await;
    destination.action("disable", json!({})).await.ok(200);
    let skipped = delivery.settles().await;
    assert_eq!(
        (&skipped["status"], &skipped["reason"]),
        (&json!("skipped"), &json!("destination_disabled"))
    );
    assert_eq!(
        (&skipped["attempt_count"], &skipped["attempts"][0]["reason"]),
        (&json!(1), &json!("rate_limited"))
    );
}

#[tokio::test]
async fn destinations_are_listed_oldest_first_by_type_and_status() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(
            acme.destination()
                .webhook(&sink)
                .with("name", format!("Number {number}"))
                .create()
                .await,
        );
    }
    ids[1].action("disable", json!({})).await.ok(200);
    let all: Vec<&str> = ids.iter().map(|destination| &*destination.id).collect();
    assert_eq!(
        stage::texts(&acme.list("/v1/destinations?limit=2").await, "id"),
        all
    );
    assert_eq!(
        stage::texts(&acme.list("/v1/destinations?status=disabled").await, "id"),
        [all[1]]
    );
    assert_eq!(
        acme.list("/v1/destinations?type=webhook&status=enabled")
            .await
            .len(),
        4
    );
    let with_health = acme.list("/v1/destinations?include=health").await;
    assert!(
        with_health
            .iter()
            .all(|destination| destination["health"].is_object())
    );
}

/// A literal address that no destination may have is refused, however it is spelled, also without a
/// check.
#[tokio::test]
async fn a_blocked_address_is_refused_whatever_its_spelling() {
    let acme = stage::organization("Acme").await;
    let blocked = [
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254./",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fd00:ec2::254]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://172.16.0.1/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[fe80::1]/",
    ];
    for url in blocked {
        for destination in [
            acme.destination().url(url),
            acme.destination().url(url).skip_check(),
        ] {
            let answer = destination.asks().await;
            let problem = answer.problem(422, "validation_failed");
            assert_eq!(answer.mistakes(), ["/settings/url"], "{url}");
            assert_eq!(
                problem["errors"][0]["code"], "blocked_address",
                "{url}: {problem}"
            );
        }
    }
    for url in [
        "ftp://example.com/",
        "http://user:pass@example.com/",
        "http://example.com:0/",
        "http://a..example.com/",
        "http://",
        "nonsense",
    ] {
        let answer = acme.destination().url(url).skip_check().asks().await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), ["/settings/url"], "{url}");
    }
    assert!(acme.list("/v1/destinations").await.is_empty());
}

/// A local process allows loopback addresses only if no other network is allowed.
#[tokio::test]
async fn loopback_is_not_allowed_once_other_networks_are() {
    let stack = stage::launch()
        .arguments(["--allow-egress", "10.11.12.0/24"])
        .start()
        .await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let answer = acme.destination().webhook(&sink).skip_check().asks().await;
    answer.problem(422, "validation_failed");
    let by_name = sink.url().replace("127.0.0.1", "localhost");
    let answer = acme.destination().url(&by_name).asks().await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let saved = acme.destination().url(&by_name).skip_check().asks().await;
    assert_eq!(saved.status, 201, "{}", saved.text());
    let id = saved.json()["id"].clone();
    let request = json!({"event_type": "report.ready", "payload": 1, "destination_ids": [id]});
    let delivery = acme.submit(request).await.delivery(0).settles().await;
    assert_eq!(
        (&delivery["reason"], &delivery["attempt_count"]),
        (&json!("blocked_address"), &json!(1)),
        "{delivery}"
    );
    assert_eq!(delivery["exhausted"], false);
    assert!(!acme.audited("blocked_address").await.is_empty());
    assert_eq!(sink.count(), 0);
}

//! The credentials with which a webhook authenticates.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kit::sink::{Received, Sink};
use serde_json::{Value, json};

use crate::stage;

const SOON: Duration = Duration::from_secs(10);

/// Each kind arrives as receivers expect it, in the check as in a delivery.
#[tokio::test]
async fn api_keys_bearer_tokens_and_basic_authentication_arrive() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let basic = format!("Basic {}", BASE64.encode("user:päss:word"));
    let cases = [
        (
            json!({"kind": "api_key", "header": "X-Api-Key", "value": "k-123"}),
            "x-api-key",
            "k-123".to_owned(),
        ),
        (
            json!({"kind": "bearer", "token": "t-123"}),
            "authorization",
            "Bearer t-123".to_owned(),
        ),
        (
            json!({"kind": "basic", "username": "user", "password": "päss:word"}),
            "authorization",
            basic,
        ),
    ];
    for (credentials, header, value) in cases {
        sink.forget();
        let answer = acme
            .destination()
            .webhook(&sink)
            .credentials(credentials.clone())
            .asks()
            .await
            .ok(201);
        let check = sink.wait_for(1, SOON).await.remove(0);
        assert_eq!(check.header(header), Some(&*value));
        assert_eq!(answer["credentials"]["kind"], credentials["kind"]);
        let id = answer["id"].as_str().unwrap();
        let request = json!({"event_type": "report.ready", "payload": 1, "destination_ids": [id]});
        let delivery = acme.submit(request).await.delivery(0).settles().await;
        let request = sink.wait_for(2, SOON).await.remove(1);
        assert_eq!(request.header(header), Some(&*value));
        let recorded = delivery["attempts"][0]["request"]["headers"]
            .as_object()
            .unwrap();
        let recorded = recorded
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(header))
            .map(|(_, value)| value);
        assert_eq!(recorded, Some(&json!("[redacted]")), "{delivery}");
    }
}

/// Under continuous traffic, every message that is submitted after the response to the change
/// carries the new credentials.
#[tokio::test]
async fn a_changed_credential_is_used_by_the_very_next_delivery_under_continuous_traffic() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let old = json!({"kind": "bearer", "token": "token-0"});
    let destination = acme
        .destination()
        .webhook(&sink)
        .credentials(old)
        .create()
        .await;
    let done = AtomicBool::new(false);
    let traffic = async {
        while !done.load(Ordering::Relaxed) {
            acme.send([&destination], Value::Null).await;
        }
    };
    let changes = async {
        for turn in 1..=5 {
            let token = format!("token-{turn}");
            destination
                .change(json!({"credentials": {"kind": "bearer", "token": token}}))
                .await;
            let message = acme.send([&destination], json!(turn)).await;
            message.delivery(0).reaches("succeeded").await;
            let arrived: Vec<Received> = sink.requests();
            let mine = arrived
                .iter()
                .find(|request| request.text() == turn.to_string())
                .expect("it has arrived");
            assert_eq!(
                mine.header("authorization"),
                Some(&*format!("Bearer {token}"))
            );
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(traffic, changes);
}

/// The same for signing secrets.
#[tokio::test]
async fn a_rotated_secret_signs_the_very_next_delivery() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let mut signatures = 1;
    for _ in 0..3 {
        acme.send([&destination], json!(0))
            .await
            .delivery(0)
            .settles()
            .await;
        destination.action("rotate-secret", json!({})).await.ok(200);
        signatures += 1;
        sink.forget();
        acme.send([&destination], json!(1)).await;
        let request = sink.wait_for(1, SOON).await.remove(0);
        assert_eq!(
            request
                .header("webhook-signature")
                .unwrap()
                .split(' ')
                .count(),
            signatures
        );
    }
}

/// Credentials of the same kind are merged, those of another kind are replaced, and masked values
/// are never written back.
#[tokio::test]
async fn credentials_merge_within_a_kind_are_replaced_by_another_and_are_never_written_back_masked()
{
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let basic = json!({"kind": "basic", "username": "one", "password": "a-long-enough-password"});
    let destination = acme
        .destination()
        .webhook(&sink)
        .credentials(basic)
        .create()
        .await;
    let shown = destination.read().await["credentials"].take();
    assert_eq!(shown["password"]["set"], true);
    assert_eq!(shown["password"]["hint"], "…word");

    destination
        .change(json!({"credentials": {"kind": "basic", "username": "two"}}))
        .await;
    sink.forget();
    acme.send([&destination], json!(1)).await;
    let expected = format!("Basic {}", BASE64.encode("two:a-long-enough-password"));
    assert_eq!(
        sink.wait_for(1, SOON).await[0].header("authorization"),
        Some(&*expected)
    );

    let masked = acme
        .patch(&destination.path(), json!({"credentials": shown}))
        .await;
    masked.problem(422, "masked_value");
    let incomplete = acme
        .patch(
            &destination.path(),
            json!({"credentials": {"kind": "bearer"}}),
        )
        .await;
    incomplete.problem(422, "validation_failed");
    assert_eq!(incomplete.mistakes(), ["/credentials/token"]);
    destination
        .change(json!({"credentials": {"kind": "bearer", "token": "short"}}))
        .await;
    let shown = destination.read().await["credentials"].take();
    assert_eq!(
        (
            &shown["kind"],
            &shown["token"]["set"],
            &shown["token"]["hint"]
        ),
        (&json!("bearer"), &json!(true), &Value::Null)
    );
    assert!(shown.get("password").is_none(), "{shown}");
}

/// A secret is sent only to the server that it was given for.
#[tokio::test]
async fn another_address_demands_every_secret_again() {
    let (acme, sink, thief) = (
        stage::organization("Acme").await,
        Sink::start().await,
        Sink::start().await,
    );
    let token = json!({"kind": "bearer", "token": "t-123"});
    let destination = acme
        .destination()
        .webhook(&sink)
        .credentials(token.clone())
        .create()
        .await;
    let moved = acme
        .patch(
            &destination.path(),
            json!({"settings": {"url": thief.url()}}),
        )
        .await;
    moved.problem(422, "credentials_required");
    assert_eq!(thief.count(), 0);
    // Another path on the same server is the same recipient.
    acme.patch(
        &destination.path(),
        json!({"settings": {"url": sink.path("/other").url()}}),
    )
    .await
    .ok(200);
    let carried = json!({"settings": {"url": thief.url()}, "credentials": token});
    acme.patch(&destination.path(), carried).await.ok(200);
    assert_eq!(thief.count(), 1);
}

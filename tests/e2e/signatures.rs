//! Signatures, verified by the official Standard Webhooks libraries.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kit::sink::{Received, Sink};
use kit::stack::{Destination, Organization};
use kit::verifier::{Signed, Verifier};
use serde_json::json;
use tokio::time::sleep;

use crate::stage;

const SOON: Duration = Duration::from_secs(10);

/// Sends one message and returns what arrived.
async fn next(acme: &Organization, destination: &Destination, sink: &Sink) -> Received {
    sink.forget();
    acme.send([destination], json!({"report": 42})).await;
    sink.wait_for(1, SOON).await.remove(0)
}

/// Whether each library accepts a request under each of these secrets.
#[track_caller]
fn assert_verdicts(request: &Received, expected: &[(&str, bool)]) {
    let signed: Vec<Signed> = expected
        .iter()
        .map(|(secret, _)| Signed::received(secret, request))
        .collect();
    assert_judged(
        &signed,
        &expected
            .iter()
            .map(|(_, verifies)| *verifies)
            .collect::<Vec<_>>(),
    );
}

#[track_caller]
fn assert_judged(signed: &[Signed], expected: &[bool]) {
    for verifier in Verifier::ALL {
        let verdicts = verifier.verdicts(signed);
        let verified: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        assert_eq!(verified, expected, "{verifier:?}: {verdicts:?}");
    }
}

/// Before, during and after rotations, the second within the overlap of
/// the first.
#[tokio::test]
async fn all_live_secrets_verify_until_their_overlap_ends_then_only_the_new_one() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let first = destination.signing_secret().to_owned();
    assert!(first.starts_with("whsec_"), "{first}");
    let stranger = format!("whsec_{}", BASE64.encode([7; 32]));
    assert_verdicts(
        &next(&acme, &destination, &sink).await,
        &[(&first, true), (&stranger, false)],
    );

    let rotated = destination.action("rotate-secret", json!({})).await.ok(200);
    let second = rotated["signing_secret"].as_str().unwrap().to_owned();
    assert!(rotated["previous_valid_until"].is_string(), "{rotated}");
    let both = next(&acme, &destination, &sink).await;
    assert_eq!(
        both.header("webhook-signature").unwrap().split(' ').count(),
        2
    );
    assert_verdicts(
        &both,
        &[(&first, true), (&second, true), (&stranger, false)],
    );

    let rotated = destination
        .action("rotate-secret", json!({"overlap_seconds": 3600}))
        .await
        .ok(200);
    let third = rotated["signing_secret"].as_str().unwrap().to_owned();
    assert_verdicts(
        &next(&acme, &destination, &sink).await,
        &[(&first, true), (&second, true), (&third, true)],
    );
    let shown = destination.read().await["signing_secrets"].take();
    assert_eq!(shown.as_array().unwrap().len(), 3);
    assert!(
        shown[0]["valid_until"].is_null() && shown[1]["valid_until"].is_string(),
        "{shown}"
    );

    let rotated = destination
        .action("rotate-secret", json!({"overlap_seconds": 0}))
        .await
        .ok(200);
    let last = rotated["signing_secret"].as_str().unwrap().to_owned();
    let alone = next(&acme, &destination, &sink).await;
    assert_eq!(
        alone
            .header("webhook-signature")
            .unwrap()
            .split(' ')
            .count(),
        1
    );
    assert_verdicts(
        &alone,
        &[
            (&first, false),
            (&second, false),
            (&third, false),
            (&last, true),
        ],
    );
}

/// An overlap ends at its time.
#[tokio::test]
async fn an_overlap_ends_by_itself() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let old = destination.signing_secret().to_owned();
    let rotated = destination
        .action("rotate-secret", json!({"overlap_seconds": 2}))
        .await
        .ok(200);
    let new = rotated["signing_secret"].as_str().unwrap();
    sleep(Duration::from_millis(2_100)).await;
    assert_verdicts(
        &next(&acme, &destination, &sink).await,
        &[(&old, false), (new, true)],
    );
    assert_eq!(
        destination.read().await["signing_secrets"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// The customer's own keys, from the start and by rotation.
#[tokio::test]
async fn customers_bring_their_own_secrets() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (own, next_own) = (
        format!("whsec_{}", BASE64.encode([1; 24])),
        format!("whsec_{}", BASE64.encode([2; 64])),
    );
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("signing_secret", own.as_str())
        .create()
        .await;
    assert!(
        destination
            .created
            .get("signing_secret")
            .is_none_or(serde_json::Value::is_null),
        "{}",
        destination.created
    );
    assert_eq!(
        destination.created["signing_secrets"][0]["source"],
        "provided"
    );
    assert_verdicts(&next(&acme, &destination, &sink).await, &[(&own, true)]);
    destination
        .action("rotate-secret", json!({"secret": next_own}))
        .await
        .ok(200);
    assert_verdicts(
        &next(&acme, &destination, &sink).await,
        &[(&own, true), (&next_own, true)],
    );

    for bad in [
        BASE64.encode([1; 32]),
        format!("whsec_{}", BASE64.encode([1; 23])),
        format!("whsec_{}", BASE64.encode([1; 65])),
        "whsec_?".into(),
    ] {
        let answer = acme
            .destination()
            .webhook(&sink)
            .with("signing_secret", bad.as_str())
            .asks()
            .await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), ["/signing_secret"]);
        assert!(
            !answer.text().contains(&bad),
            "a secret is not repeated: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_signature_made_for_one_body_id_or_time_fails_for_any_other() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let secret = destination.signing_secret();
    let request = next(&acme, &destination, &sink).await;
    let genuine = Signed::received(secret, &request);
    let with_header = |name: &str, value: &str| {
        let mut signed = genuine.clone();
        signed.headers.insert(name.to_owned(), value.to_owned());
        signed
    };
    let seconds: i64 = request
        .header("webhook-timestamp")
        .unwrap()
        .parse()
        .unwrap();
    let other_body = Signed {
        body_base64: BASE64.encode(r#"{"report":43}"#),
        ..genuine.clone()
    };
    let cases = [
        genuine.clone(),
        other_body,
        with_header("webhook-id", "dlv_01jzzzzzzzzzzzzzzzzzzzzzzz_00"),
        with_header("webhook-timestamp", &(seconds + 1).to_string()),
        with_header(
            "webhook-signature",
            &format!("v1,{}", BASE64.encode([0; 32])),
        ),
    ];
    assert_judged(&cases, &[true, false, false, false, false]);
}

/// Each attempt has its own signature and the same id.
#[tokio::test]
async fn a_retry_has_the_same_id_and_a_fresh_signature() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(1).create().await;
    sink.answers([500, 200]);
    acme.send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    let requests = sink.requests();
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    assert_ne!(
        requests[0].header("webhook-timestamp"),
        requests[1].header("webhook-timestamp")
    );
    assert_ne!(
        requests[0].header("webhook-signature"),
        requests[1].header("webhook-signature")
    );
    let secret = destination.signing_secret();
    assert_judged(
        &requests
            .iter()
            .map(|request| Signed::received(secret, request))
            .collect::<Vec<_>>(),
        &[true, true],
    );
}

/// Without signatures, the id and the time are still sent.
#[tokio::test]
async fn without_signatures_the_id_and_the_time_are_still_sent() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let unsigned = json!({"signature": {"enabled": false}});
    let token = json!({"kind": "bearer", "token": "a-token-of-the-receiver"});
    let destination = acme
        .destination()
        .webhook(&sink)
        .settings(unsigned)
        .credentials(token)
        .create()
        .await;
    let request = next(&acme, &destination, &sink).await;
    assert_eq!(request.header("webhook-signature"), None);
    assert!(
        request.header("webhook-id").is_some() && request.header("webhook-timestamp").is_some(),
        "{:?}",
        request.headers
    );
}

/// At most five secrets are live at once, and the last cannot be ended.
#[tokio::test]
async fn there_are_at_most_five_live_secrets_and_at_least_one() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    for _ in 0..4 {
        destination.action("rotate-secret", json!({})).await.ok(200);
    }
    destination
        .action("rotate-secret", json!({}))
        .await
        .problem(409, "too_many_secrets");
    let live = destination.read().await["signing_secrets"].take();
    for secret in &live.as_array().unwrap()[1..] {
        acme.delete(&format!(
            "{}/signing-secrets/{}",
            destination.path(),
            secret["id"].as_str().unwrap()
        ))
        .await
        .ok(204);
    }
    let last = format!(
        "{}/signing-secrets/{}",
        destination.path(),
        live[0]["id"].as_str().unwrap()
    );
    acme.delete(&last).await.problem(409, "last_secret");
    assert_eq!(
        destination.read().await["signing_secrets"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

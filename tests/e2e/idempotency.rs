//! A request that is repeated with the same `Idempotency-Key` has one effect and one response.

use http::Method;
use kit::sink::Sink;
use kit::stack::{Answer, Caller};
use serde_json::{Value, json};

use crate::stage;

async fn post(caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    caller
        .call(Method::POST, path)
        .header("idempotency-key", key)
        .json(body)
        .send()
        .await
}

/// A repeated request gets the first response and has no further effect.
#[tokio::test]
async fn the_same_request_again_is_answered_as_before_and_does_nothing() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let request =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination.id]});
    let first = post(&acme, "/v1/messages", "key-1", &request).await;
    let message = acme.message(first.ok(202));
    assert_eq!(first.header("idempotent-replayed"), None);
    message.settles().await;
    let again = post(&acme, "/v1/messages", "key-1", &request).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(202)["id"], first.json()["id"]);
    assert_eq!(
        (acme.list("/v1/messages").await.len(), sink.count()),
        (1, 1)
    );
}

/// Many clients send the same request concurrently.
#[tokio::test]
async fn the_same_request_many_times_at_once_is_done_once() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let request =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination.id]});
    let answers = futures_util::future::join_all(
        (0..8).map(|_| post(&acme, "/v1/messages", "at-once", &request)),
    )
    .await;
    let mut ids: Vec<Value> = Vec::new();
    for answer in &answers {
        match answer.status {
            202 => ids.push(answer.json()["id"].clone()),
            _ => drop(answer.problem(409, "idempotency_in_progress")),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(acme.list("/v1/messages").await.len(), 1);
}

/// Another request with the same key is refused.
#[tokio::test]
async fn a_key_used_for_another_request_is_refused() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let request = |payload: u32| {
        json!({"event_type": "report.ready", "payload": payload,
        "destination_ids": [destination.id]})
    };
    post(&acme, "/v1/messages", "key-2", &request(1))
        .await
        .ok(202);
    post(&acme, "/v1/messages", "key-2", &request(2))
        .await
        .problem(409, "idempotency_key_reused");
    post(
        &acme,
        "/v1/messages/batch",
        "key-2",
        &json!({"messages": [request(1)]}),
    )
    .await
    .problem(409, "idempotency_key_reused");
    assert_eq!(acme.list("/v1/messages").await.len(), 1);
}

/// A refusal frees the key.
#[tokio::test]
async fn a_refused_request_frees_its_key() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let request = json!({"event_type": "report.ready", "payload": 1});
    post(&acme, "/v1/messages", "key-3", &request)
        .await
        .problem(422, "no_destinations");
    acme.destination()
        .webhook(&sink)
        .event_types(["**"])
        .create()
        .await;
    post(&acme, "/v1/messages", "key-3", &request).await.ok(202);
}

/// Creating is idempotent like submitting, and a secret is shown only once.
#[tokio::test]
async fn a_repeated_create_makes_one_destination_and_shows_no_secret_again() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let body = acme.destination().webhook(&sink).body();
    let first = post(&acme, "/v1/destinations", "create-1", &body)
        .await
        .ok(201);
    let again = post(&acme, "/v1/destinations", "create-1", &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let again = again.ok(201);
    assert_eq!(again["id"], first["id"]);
    assert!(first["signing_secret"].is_string());
    assert_eq!(again["signing_secret"], Value::Null);
    assert_eq!(
        (acme.list("/v1/destinations").await.len(), sink.count()),
        (1, 1)
    );

    let key = json!({"name": "ci", "role": "sender"});
    let first = post(&acme, "/v1/api-keys", "create-2", &key).await.ok(201);
    let again = post(&acme, "/v1/api-keys", "create-2", &key).await.ok(201);
    assert_eq!((&again["id"], &again["key"]), (&first["id"], &Value::Null));
}

#[tokio::test]
async fn two_organizations_with_the_same_key_and_reference_do_not_meet() {
    let (acme, other, sink) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
        Sink::start().await,
    );
    let (mine, theirs) = (sink.path("/mine"), sink.path("/theirs"));
    acme.destination()
        .webhook(&mine)
        .event_types(["**"])
        .create()
        .await;
    other
        .destination()
        .webhook(&theirs)
        .event_types(["**"])
        .create()
        .await;
    let request = json!({"event_type": "report.ready", "payload": 1, "reference": "shared"});
    let one = post(&acme, "/v1/messages", "shared", &request)
        .await
        .ok(202);
    let two = post(&other, "/v1/messages", "shared", &request).await;
    assert_eq!(two.header("idempotent-replayed"), None);
    let two = two.ok(202);
    assert_ne!(one["id"], two["id"]);
    for (organization, message) in [(&acme, &one), (&other, &two)] {
        let found = organization.list("/v1/messages?reference=shared").await;
        assert_eq!(
            stage::texts(&found, "id"),
            [message["id"].as_str().unwrap()]
        );
        organization.message(message.clone()).settles().await;
    }
    assert_eq!((mine.count(), theirs.count()), (1, 1));
}

/// Texts that are not valid keys.
#[tokio::test]
async fn a_key_of_no_or_too_many_characters_is_refused() {
    let acme = stage::organization("Acme").await;
    for key in ["", &*"k".repeat(256), "tab\there"] {
        let answer = post(
            &acme,
            "/v1/messages",
            key,
            &json!({"event_type": "a", "payload": 1}),
        )
        .await;
        assert_eq!(answer.status, 400, "{key:?}: {}", answer.text());
    }
}

//! Several messages are submitted in one request.

use kit::sink::Sink;
use serde_json::{Value, json};

use crate::stage;

/// Each message of a batch has a result of its own.
#[tokio::test]
async fn each_message_of_a_batch_is_accepted_or_refused_on_its_own() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let good = |payload: u32| {
        json!({"event_type": "report.ready", "payload": payload,
        "destination_ids": [destination.id]})
    };
    let messages = json!([
        good(0),
        {"event_type": "waybill.mine", "payload": 1, "destination_ids": [destination.id]},
        {"event_type": "report.ready", "payload": 1,
            "destination_ids": ["dst_01jzzzzzzzzzzzzzzzzzzzzzzz"]},
        {"event_type": "report.ready", "payload": 1},
        good(1),
    ]);
    let results = acme
        .post("/v1/messages/batch", json!({"messages": messages}))
        .await
        .ok(202);
    let results = results["results"].as_array().unwrap();
    let statuses: Vec<u64> = results
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 422, 404, 422, 202]);
    assert_eq!(results[1]["error"]["code"], "validation_failed");
    assert_eq!(results[2]["error"]["code"], "not_found");
    assert_eq!(results[3]["error"]["code"], "no_destinations");
    for accepted in [0, 4] {
        let message = acme.message(results[accepted]["message"].clone());
        assert_eq!(message.settles().await["status"], "succeeded");
    }
    let mut payloads: Vec<u64> = sink
        .requests()
        .iter()
        .map(|request| request.json().as_u64().unwrap())
        .collect();
    payloads.sort_unstable();
    assert_eq!(payloads, [0, 1]);
}

/// A payload in a batch keeps its bytes, and an idempotency key in it belongs to its message.
#[tokio::test]
async fn a_batch_keeps_bytes_and_keys_apart() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let message = |key: &str, payload: &str| {
        format!(
            r#"{{"idempotency_key":"{key}","event_type":"odd.bytes","payload": {payload} ,"destination_ids":["{}"]}}"#,
            destination.id
        )
    };
    let body = format!(
        r#"{{"messages":[{},{},{}]}}"#,
        message("a", "[1.0 , 2]"),
        message("b", r#"{"b":1,"a":1}"#),
        message("a", "[1.0 , 2]")
    );
    let post = || {
        acme.call(http::Method::POST, "/v1/messages/batch")
            .json_text(body.clone())
            .send()
    };
    let first = post().await.ok(202);
    let again = post().await.ok(202);
    let ids = |answer: &Value| -> Vec<Value> {
        answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["message"]["id"].clone())
            .collect()
    };
    let (first, again) = (ids(&first), ids(&again));
    assert!(first[0].is_string() && first[1].is_string(), "{first:?}");
    assert_eq!(first[..2], again[..2]);
    for id in &first[..2] {
        acme.message(json!({"id": id})).settles().await;
    }
    let mut bodies: Vec<String> = sink
        .requests()
        .iter()
        .map(|request| request.text().to_owned())
        .collect();
    bodies.sort();
    assert_eq!(bodies, ["[1.0 , 2]", r#"{"b":1,"a":1}"#]);
}

/// A batch without messages, and a batch with too many.
#[tokio::test]
async fn a_batch_has_one_to_a_hundred_messages() {
    let acme = stage::organization("Acme").await;
    for count in [0, 101] {
        let messages = vec![json!({"event_type": "a", "payload": 1}); count];
        let answer = acme
            .post("/v1/messages/batch", json!({"messages": messages}))
            .await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), ["/messages"]);
    }
}

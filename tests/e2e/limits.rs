//! The limits of everything that is accepted.

use http::Method;
use kit::sink::Sink;
use serde_json::{Map, Value, json};

use crate::stage;

fn members(count: usize, value: &str) -> Value {
    Value::Object(
        (0..count)
            .map(|number| (format!("k{number}"), json!(value)))
            .collect::<Map<_, _>>(),
    )
}

/// The largest message that is accepted, and the smallest that is refused.
#[tokio::test]
async fn lengths_and_counts_of_a_message_end_where_the_contract_says() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let key = |length: usize| json!({"k".repeat(length): "v"});
    let cases = [
        (
            "event_type",
            json!("e".repeat(128)),
            json!("e".repeat(129)),
            "/event_type".to_owned(),
        ),
        (
            "reference",
            json!("ä".repeat(255)),
            json!("ä".repeat(256)),
            "/reference".to_owned(),
        ),
        (
            "metadata",
            members(20, "v"),
            members(21, "v"),
            "/metadata".to_owned(),
        ),
        (
            "metadata",
            members(1, &"v".repeat(512)),
            members(1, &"v".repeat(513)),
            "/metadata/k0".to_owned(),
        ),
        (
            "metadata",
            key(64),
            key(65),
            format!("/metadata/{}", "k".repeat(65)),
        ),
        (
            "destination_ids",
            json!([destination.id]),
            json!(vec![destination.id.clone(); 101]),
            "/destination_ids".to_owned(),
        ),
    ];
    for (member, fits, exceeds, pointer) in cases {
        let request = |value: Value| {
            let mut body = json!({"event_type": "report.ready", "payload": 1,
                "destination_ids": [destination.id]});
            body[member] = value;
            acme.post("/v1/messages", body)
        };
        request(fits).await.ok(202);
        let answer = request(exceeds).await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), [pointer]);
    }
}

#[tokio::test]
async fn lengths_and_counts_of_a_destination_end_where_the_contract_says() {
    let acme = stage::organization("Acme").await;
    let patterns = |count: usize| {
        json!(
            (0..count)
                .map(|number| format!("type.{number}"))
                .collect::<Vec<_>>()
        )
    };
    let headers = |count: usize, length: usize| {
        let headers: Map<String, Value> = (0..count)
            .map(|number| (format!("X-{number}"), json!("v".repeat(length))))
            .collect();
        json!({"url": "http://127.0.0.1:9/", "headers": headers})
    };
    let cases = [
        (
            "name",
            json!("n".repeat(200)),
            json!("n".repeat(201)),
            "/name",
        ),
        (
            "description",
            json!("d".repeat(1_000)),
            json!("d".repeat(1_001)),
            "/description",
        ),
        (
            "external_id",
            json!("x".repeat(255)),
            json!("x".repeat(256)),
            "/external_id",
        ),
        ("event_types", patterns(100), patterns(101), "/event_types"),
        (
            "settings",
            headers(20, 1),
            headers(21, 1),
            "/settings/headers",
        ),
        (
            "settings",
            headers(1, 4_096),
            headers(1, 4_097),
            "/settings/headers/X-0",
        ),
        (
            "retry_policy",
            json!({"max_retries": 20}),
            json!({"max_retries": 21}),
            "/retry_policy/max_retries",
        ),
        (
            "retry_policy",
            json!({"schedule_seconds": vec![86_400; 30]}),
            json!({"schedule_seconds": vec![1; 31]}),
            "/retry_policy/schedule_seconds",
        ),
        (
            "retry_policy",
            json!({"max_seconds": 43_200}),
            json!({"max_seconds": 43_201}),
            "/retry_policy/max_seconds",
        ),
    ];
    for (member, fits, exceeds, pointer) in cases {
        let request = |value: Value| {
            let mut body = acme.destination().url("http://127.0.0.1:9/").body();
            body[member] = value;
            acme.post("/v1/destinations?skip_check=true", body)
        };
        request(fits).await.ok(201);
        let answer = request(exceeds).await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), [pointer]);
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_or_too_deep_are_refused() {
    let acme = stage::organization("Acme").await;
    let large = format!(r#"{{"messages":[{}]}}"#, " ".repeat(5 << 20));
    acme.call(Method::POST, "/v1/messages/batch")
        .json_text(large)
        .send()
        .await
        .problem(413, "payload_too_large");
    let deep = format!(
        r#"{{"event_type":"a","payload":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let answer = acme
        .call(Method::POST, "/v1/messages")
        .json_text(deep)
        .send()
        .await;
    assert!(
        answer.status == 400 || answer.status == 422,
        "{}",
        answer.text()
    );
    let content = |length: usize| {
        let content =
            json!({"base64": "A".repeat(length.div_ceil(3) * 4), "content_type": "text/plain"});
        acme.post(
            "/v1/messages",
            json!({"event_type": "a", "content": content}),
        )
    };
    content((1 << 20) + 3)
        .await
        .problem(413, "payload_too_large");
    assert!(acme.list("/v1/messages").await.is_empty());
}

/// An organization has at most a hundred keys.
#[tokio::test]
async fn an_organization_has_a_hundred_keys_at_most() {
    let acme = stage::organization("Acme").await;
    for number in 1..100 {
        acme.post(
            "/v1/api-keys",
            json!({"name": format!("key {number}"), "role": "viewer"}),
        )
        .await
        .ok(201);
    }
    let answer = acme
        .post(
            "/v1/api-keys",
            json!({"name": "one too many", "role": "viewer"}),
        )
        .await;
    assert!(
        answer.status == 409 || answer.status == 422,
        "{}",
        answer.text()
    );
    assert_eq!(acme.list("/v1/api-keys").await.len(), 100);
}

//! Invalid requests are refused with every mistake and its location.

use http::Method;
use kit::sink::Sink;
use serde_json::{Value, json};

use crate::stage;

#[tokio::test]
async fn all_invalid_fields_of_a_destination_are_reported_together_and_nothing_is_stored() {
    let acme = stage::organization("Acme").await;
    let body = json!({
        "type": "webhook", "name": "", "nickname": "x", "external_id": 7,
        "settings": {"url": "https://example.com/", "method": "GET", "timeout_seconds": 0,
            "headers": {"Host": "x", "a/b": "y", "X-A": "a\r\nb"}, "colour": 1},
        "credentials": {"kind": "basic", "username": "u", "extra": 1},
        "event_types": ["a.*", "b..c", 7],
        "retry_policy": {"max_retries": 21, "jitter": "much"},
    });
    let answer = acme.post("/v1/destinations", body).await;
    answer.problem(422, "validation_failed");
    let expected = [
        "/credentials/extra",
        "/credentials/password",
        "/event_types/1",
        "/event_types/2",
        "/external_id",
        "/name",
        "/nickname",
        "/retry_policy/jitter",
        "/retry_policy/max_retries",
        "/settings/colour",
        "/settings/headers/Host",
        "/settings/headers/X-A",
        "/settings/headers/a~1b",
        "/settings/method",
        "/settings/timeout_seconds",
    ];
    assert_eq!(answer.mistakes(), expected, "{}", answer.text());
    assert!(acme.list("/v1/destinations").await.is_empty());
}

#[tokio::test]
async fn all_invalid_fields_of_a_message_are_reported_together_and_nothing_is_stored() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let body = json!({
        "event_type": "not ok", "payload": 1,
        "content": {"base64": "!", "content_type": "text/plain"},
        "destination_ids": [destination.id, "dst_1"], "metadata": {"k": 1}, "reference": "",
        "expires_at": "2020-01-01T00:00:00Z", "colour": "red",
    });
    let answer = acme.post("/v1/messages", body).await;
    answer.problem(422, "validation_failed");
    let mistakes = answer.mistakes();
    for expected in ["/event_type", "/metadata/k", "/expires_at", "/colour"] {
        assert!(
            mistakes.iter().any(|mistake| mistake == expected),
            "{expected} in {mistakes:?}"
        );
    }
    assert!(acme.list("/v1/messages").await.is_empty());
    assert_eq!(sink.count(), 0);
}

/// Requests with one mistake each, and the location of the mistake.
#[tokio::test]
async fn each_mistake_in_a_message_is_named_where_it_is() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let cases = [
        (json!({"event_type": null}), "/event_type"),
        (json!({"event_type": "a..b"}), "/event_type"),
        (json!({"event_type": ".a"}), "/event_type"),
        (json!({"event_type": "a b"}), "/event_type"),
        (json!({"event_type": "ä"}), "/event_type"),
        (json!({"event_type": "waybill.test"}), "/event_type"),
        (json!({"destination_ids": []}), "/destination_ids"),
        (json!({"destination_ids": "all"}), "/destination_ids"),
        (json!({"destination_ids": [7]}), "/destination_ids/0"),
        (json!({"metadata": []}), "/metadata"),
        (json!({"metadata": {"a": null}}), "/metadata/a"),
        (json!({"expires_at": "2026-01-01"}), "/expires_at"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"expires_at": "2099-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"reference": 7}), "/reference"),
        (json!({"priority": 1}), "/priority"),
    ];
    for (change, pointer) in cases {
        let mut body = json!({"event_type": "report.ready", "payload": 1,
            "destination_ids": [destination.id]});
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let answer = acme.post("/v1/messages", body).await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), [pointer], "{change}: {}", answer.text());
    }
    for neither in [
        json!({}),
        json!({"payload": 1, "content": {"base64": "", "content_type": "text/plain"}}),
    ] {
        let mut body = json!({"event_type": "report.ready", "destination_ids": [destination.id]});
        body.as_object_mut()
            .unwrap()
            .extend(neither.as_object().unwrap().clone());
        let answer = acme.post("/v1/messages", body).await;
        answer.problem(422, "validation_failed");
    }
    assert!(acme.list("/v1/messages").await.is_empty());
    assert_eq!(sink.count(), 0);
}

/// Bodies that are not a JSON object.
#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_malformed() {
    let acme = stage::organization("Acme").await;
    let bodies: [&[u8]; 8] = [
        b"",
        b"   ",
        b"{",
        b"[]",
        b"null",
        b"{\"event_type\":\"a\",}",
        b"{\"event_type\":\"\xff\"}",
        b"{\"event_type\":\"a\",\"event_type\":\"a\",\"payload\":1}",
    ];
    for path in [
        "/v1/messages",
        "/v1/destinations",
        "/v1/api-keys",
        "/v1/messages/batch",
    ] {
        for body in bodies {
            let answer = acme
                .call(Method::POST, path)
                .json_text(body.to_vec())
                .send()
                .await;
            answer.problem(400, "malformed_request");
        }
    }
    let nested = r#"{"event_type":"a","payload":1,"metadata":{"a":"1","a":"2"}}"#;
    acme.call(Method::POST, "/v1/messages")
        .json_text(nested)
        .send()
        .await
        .problem(400, "malformed_request");
}

/// Bodies without a content type, or with another one.
#[tokio::test]
async fn another_media_type_is_refused() {
    let acme = stage::organization("Acme").await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
    ] {
        let call = acme
            .call(Method::POST, "/v1/messages")
            .header("content-type", media_type)
            .body("{}");
        call.send().await.problem(415, "unsupported_media_type");
    }
    let call = acme
        .call(Method::POST, "/v1/messages")
        .header("content-type", "application/json; charset=utf-8")
        .body("{}");
    call.send().await.problem(422, "validation_failed");
}

/// Queries are as strict as bodies.
#[tokio::test]
async fn each_mistake_in_a_query_is_named() {
    let acme = stage::organization("Acme").await;
    let cases = [
        ("/v1/messages?limit=0", "limit"),
        ("/v1/messages?limit=101", "limit"),
        ("/v1/messages?limit=ten", "limit"),
        ("/v1/messages?since=yesterday", "since"),
        ("/v1/messages?since=2026-01-01", "since"),
        ("/v1/messages?until=2026-13-01T00:00:00Z", "until"),
        ("/v1/messages?colour=red", "colour"),
        ("/v1/deliveries?status=lost", "status"),
        ("/v1/deliveries?destination_id=7", "destination_id"),
        ("/v1/destinations?type=pigeon", "type"),
        ("/v1/destinations?status=asleep", "status"),
        ("/v1/destinations?include=secrets", "include"),
        ("/v1/audit-events?until=1", "until"),
    ];
    for (path, parameter) in cases {
        let answer = acme.get(path).await;
        let problem = answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), [parameter], "{path}");
        assert_eq!(problem["errors"][0]["parameter"], parameter);
    }
    let both = acme.get("/v1/messages?limit=0&since=x").await;
    both.problem(422, "validation_failed");
    assert_eq!(both.mistakes(), ["limit", "since"]);
}

/// Invalid requests about organizations and keys.
#[tokio::test]
async fn mistakes_in_settings_and_keys_are_named() {
    let acme = stage::organization("Acme").await;
    let settings = json!({
        "alert_emails": ["nobody"], "failure_policy": {"alert_after_failures": 0},
        "retention_days": 0, "latency_warning_ms": "x",
        "success_rate_warning": 2, "status_events": ["x"], "colour": 1,
    });
    let answer = acme.settings(settings).await;
    answer.problem(422, "validation_failed");
    let expected = [
        "/settings/alert_emails/0",
        "/settings/colour",
        "/settings/failure_policy/alert_after_failures",
        "/settings/latency_warning_ms",
        "/settings/retention_days",
        "/settings/status_events/0",
        "/settings/success_rate_warning",
    ];
    assert_eq!(answer.mistakes(), expected, "{}", answer.text());
    let accepted = acme.settings(json!({"retention_days": 7})).await.ok(200);
    assert_eq!(
        accepted["settings"]["payload_retention_days"], 7,
        "payloads go with their history"
    );
    let longer = acme.settings(json!({"payload_retention_days": 8})).await;
    longer.problem(422, "validation_failed");
    assert_eq!(longer.mistakes(), ["/settings/payload_retention_days"]);
    let unknown = acme
        .settings(json!({"default_destination_ids": ["dst_01jzzzzzzzzzzzzzzzzzzzzzzz"]}))
        .await;
    unknown.problem(404, "not_found");

    let answer = acme
        .post(
            "/v1/api-keys",
            json!({"name": "", "role": "king", "expires_at": "2020-01-01T00:00:00Z"}),
        )
        .await;
    answer.problem(422, "validation_failed");
    assert_eq!(answer.mistakes(), ["/expires_at", "/name", "/role"]);
    let operator = stage::stack().await.operator();
    let answer = operator
        .post(
            "/v1/organizations",
            json!({"settings": {"retention_days": 0}}),
        )
        .await;
    answer.problem(422, "validation_failed");
    assert!(
        answer.mistakes().contains(&"/name".to_owned()),
        "{}",
        answer.text()
    );
    let read = acme.get("/v1/organization").await.ok(200);
    assert_eq!(
        read["settings"]["default_destination_ids"],
        Value::Array(Vec::new())
    );
}

/// Replaces each member of each request by unexpected values. The request is accepted or refused;
/// it never causes an internal error.
#[tokio::test]
async fn no_value_in_any_field_causes_an_internal_error() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("event_types", json!(["never.sent"]))
        .create()
        .await;
    let settings = json!({"url": sink.url(), "method": "POST", "headers": {"X-A": "a"},
        "signature": {"enabled": true}, "timeout_seconds": 5,
        "user_agent": "me", "check": "connect"});
    let whole = json!({"type": "webhook", "name": "n", "description": "d", "external_id": "x",
        "settings": settings,
        "credentials": {"kind": "basic", "username": "u", "password": "p"},
        "event_types": ["never.sent"], "signing_secret": "whsec_",
        "retry_policy": {"max_retries": 1, "initial_seconds": 1, "multiplier": 1, "max_seconds": 1,
            "jitter": 0, "retry_client_errors": true},
        "failure_policy": {"alert_after_failures": 1, "disable_after_failures": 2,
            "disable_min_failing_seconds": 3,
            "failure_rate": {"percent": 5, "window_seconds": 300, "min_attempts": 10},
            "auto_recover": true}});
    let content = json!({"base64": "", "content_type": "text/plain", "filename": "f"});
    let message = json!({"event_type": "a", "content": content, "destination_ids": [destination.id],
        "reference": "r", "metadata": {"k": "v"},
        "expires_at": "2020-01-01T00:00:00Z"});
    let organization = json!({"name": "Acme",
        "settings": {"default_destination_ids": [destination.id], "alert_emails": ["a@example.com"],
        "status_events": ["message.completed"], "failure_policy": {"alert_after_failures": 5},
        "success_rate_warning": 0.5, "retention_days": 30}});
    let requests = [
        (
            Method::POST,
            "/v1/destinations?skip_check=true".to_owned(),
            whole.clone(),
        ),
        (
            Method::PATCH,
            format!("{}?skip_check=true", destination.path()),
            whole,
        ),
        (Method::POST, "/v1/messages".to_owned(), message.clone()),
        (
            Method::POST,
            "/v1/messages/batch".to_owned(),
            json!({"messages": [message]}),
        ),
        (
            Method::POST,
            "/v1/api-keys".to_owned(),
            json!({"name": "n", "role": "viewer", "expires_at": "2099-01-01T00:00:00Z"}),
        ),
        (Method::PATCH, "/v1/organization".to_owned(), organization),
        (
            Method::POST,
            format!("{}/rotate-secret", destination.path()),
            json!({"secret": "whsec_", "overlap_seconds": 0}),
        ),
        (
            Method::POST,
            format!("{}/disable", destination.path()),
            json!({"reason": "r"}),
        ),
        (
            Method::POST,
            format!("{}/enable", destination.path()),
            json!({"replay_since": "disabled_at"}),
        ),
        (
            Method::POST,
            format!("{}/test", destination.path()),
            json!({"event_type": "waybill.test", "payload": 1}),
        ),
    ];
    for (method, path, body) in &requests {
        for odd in variations(body) {
            let answer = acme.call(method.clone(), path).json(&odd).send().await;
            assert!(
                answer.status < 500,
                "{method} {path} {odd}: {}",
                answer.text()
            );
        }
    }
}

/// The same value with each of its parts in turn replaced by something odd.
fn variations(value: &Value) -> Vec<Value> {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"": null}),
    ];
    let mut all = odd.to_vec();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                all.extend(variations(member).into_iter().map(|variation| {
                    let mut members = members.clone();
                    members.insert(name.clone(), variation);
                    Value::Object(members)
                }));
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                all.extend(variations(item).into_iter().map(|variation| {
                    let mut items = items.clone();
                    items[position] = variation;
                    Value::Array(items)
                }));
            }
        }
        _ => {}
    }
    all
}

//! Attempts at receivers that misbehave end in bounded time and memory.

use std::time::Duration;

use kit::{
    sink::{Reply, Sink},
    tls::Authority,
};
use serde_json::{Value, json};

use crate::stage;

/// An attempt shows its time and duration, the request, the response, and the reason of the
/// failure.
#[tokio::test]
async fn every_attempt_shows_its_request_its_response_its_reason_and_its_trace() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers_with(500, &[("x-why", "maintenance")], "we are closed");
    let delivery = acme
        .send([&destination], json!({"a": 1}))
        .await
        .delivery(0)
        .settles()
        .await;
    let attempt = &delivery["attempts"][0];
    assert_eq!(
        (&attempt["number"], &attempt["trigger"], &attempt["outcome"]),
        (&json!(1), &json!("first"), &json!("failed"))
    );
    assert_eq!(attempt["reason"], "server_error");
    assert!(
        attempt["started_at"].is_string()
            && attempt["duration_ms"].is_u64()
            && attempt["detail"].is_string(),
        "{attempt}"
    );
    assert_eq!(attempt["trace_id"].as_str().map(str::len), Some(32));
    let (request, response) = (&attempt["request"], &attempt["response"]);
    assert_eq!(
        (&request["method"], &request["url"]),
        (&json!("POST"), &json!(sink.url()))
    );
    assert_eq!(request["size_bytes"], 7);
    let received = sink.requests().remove(0);
    for name in [
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "content-type",
    ] {
        assert_eq!(
            header(request, name),
            received.header(name),
            "{name} in {request}"
        );
    }
    assert_eq!(
        (&response["status"], &response["body"]),
        (&json!(500), &json!("we are closed"))
    );
    assert_eq!(header(response, "x-why"), Some("maintenance"));
    assert_eq!(response["truncated"], false);
}

/// Returns a header of a recorded request or response; upper and lower case do not matter.
fn header<'a>(side: &'a Value, name: &str) -> Option<&'a str> {
    let headers = side["headers"].as_object()?;
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .and_then(|(_, value)| value.as_str())
}

/// The same for an attempt that made no connection.
#[tokio::test]
async fn an_attempt_that_failed_before_any_answer_is_recorded_too() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let authority = Authority::new();
    let stranger = Sink::start_tls(authority.server(&["127.0.0.1"], &["http/1.1"])).await;
    let closed = Sink::start().await;
    closed.refuses().await;
    sink.path("/drops").drops();
    let cases = [
        (closed.url(), "connect"),
        (stranger.url(), "tls"),
        ("http://nowhere.invalid/".to_owned(), "dns"),
        (sink.path("/drops").url(), "protocol"),
    ];
    for (url, reason) in cases {
        let destination = acme
            .destination()
            .url(&url)
            .retries(0)
            .skip_check()
            .create()
            .await;
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!(reason)),
            "{url}"
        );
        let attempt = &delivery["attempts"][0];
        assert_eq!(
            (&attempt["reason"], &attempt["response"]),
            (&json!(reason), &Value::Null),
            "{attempt}"
        );
        assert!(
            attempt["started_at"].is_string() && attempt["duration_ms"].is_u64(),
            "{attempt}"
        );
        assert!(
            attempt["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty()),
            "{attempt}"
        );
        assert_eq!(
            (
                &attempt["request"]["url"],
                attempt["trace_id"].as_str().map(str::len)
            ),
            (&json!(url), Some(32)),
            "{attempt}"
        );
    }
}

/// A response that never arrives.
#[tokio::test]
async fn a_receiver_that_does_not_answer_costs_its_timeout_and_no_more() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .settings(json!({"timeout_seconds": 1}))
        .retries(0)
        .create()
        .await;
    sink.hangs();
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("timeout"))
    );
    let duration = delivery["attempts"][0]["duration_ms"].as_u64().unwrap();
    assert!((950..4_000).contains(&duration), "{duration} ms");
}

#[tokio::test]
async fn a_response_that_drips_or_never_ends_costs_a_bounded_time_and_is_stored() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (dripping, endless, large) = (
        sink.path("/drips"),
        sink.path("/endless"),
        sink.path("/large"),
    );
    let timeout = json!({"timeout_seconds": 2});
    let mut destinations = Vec::new();
    for receiver in [&dripping, &endless, &large] {
        destinations.push(
            acme.destination()
                .webhook(receiver)
                .settings(timeout.clone())
                .create()
                .await,
        );
    }
    dripping.drips(1_000_000, Duration::from_millis(100));
    endless.never_ends();
    large.replies([Reply::status(200).body("y".repeat(1 << 20))]);
    let message = acme.send(&destinations, json!(1)).await;
    assert_eq!(message.settles().await["status"], "succeeded");
    for position in 0..3 {
        let delivery = message.delivery(position).read().await;
        let attempt = &delivery["attempts"][0];
        assert!(
            attempt["duration_ms"].as_u64().unwrap() < 6_000,
            "{attempt}"
        );
        let response = &attempt["response"];
        assert_eq!(
            (&response["status"], &response["truncated"]),
            (&json!(200), &json!(true)),
            "{attempt}"
        );
        assert!(
            response["body"].as_str().unwrap().len() <= 4_096,
            "{attempt}"
        );
    }
    assert_eq!(sink.count(), 3);
}

/// Headers and bodies that are not text.
#[tokio::test]
async fn a_response_that_is_no_text_is_stored_as_well_as_it_can_be() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.replies([Reply::status(400).body(vec![0xff, 0x00, 0xfe, b'a'])]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert!(
        delivery["attempts"][0]["response"]["body"]
            .as_str()
            .is_some_and(|body| body.contains('a')),
        "{delivery}"
    );
}

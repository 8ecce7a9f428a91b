//! Authorization servers with different client authentication, rate limits and failures (RFC 6749).

use std::time::Duration;

use base64::Engine as _;
use kit::sink::{Reply, Route, Sink};
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};

use crate::stage;

fn granted() -> Reply {
    let body = json!({"access_token": "t0ken", "token_type": "bearer", "expires_in": 3600});
    Reply::status(200)
        .header("content-type", "application/json")
        .body(body.to_string())
}

fn refused(status: u16, code: &str) -> Reply {
    Reply::status(status)
        .header("content-type", "application/json")
        .body(json!({"error": code}).to_string())
}

/// A destination at `hook` whose token comes from `tokens`, for a client of the test's own.
async fn destination(
    acme: &Organization,
    hook: &Route,
    tokens: &Route,
    client_id: &str,
    max_retries: u32,
) -> Destination {
    let kind = "oauth2_client_credentials";
    let credentials = json!({"kind": kind, "token_url": tokens.url(), "client_id": client_id,
        "client_secret": "s3cret/+"});
    acme.destination()
        .webhook(hook)
        .credentials(credentials)
        .skip_check()
        .retries(max_retries)
        .create()
        .await
}

#[tokio::test]
async fn a_server_that_takes_http_basic_alone_gives_a_token_and_is_asked_in_its_way_from_then_on() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (hook, tokens) = (sink.path("/hook"), sink.path("/token"));
    let refusals = [
        refused(401, "invalid_client"),
        refused(400, "invalid_request"),
        Reply::status(401),
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        tokens.forget();
        tokens.replies([refusal, granted(), granted()]);
        hook.answers([200, 401, 200]);
        let destination = destination(&acme, &hook, &tokens, &format!("app:{number}"), 0).await;
        for message in 0..2 {
            acme.send([&destination], json!(message))
                .await
                .delivery(0)
                .reaches("succeeded")
                .await;
        }
        let asked = tokens.requests();
        assert_eq!(
            asked.len(),
            3,
            "once in the body, once by Basic, and by Basic for the second token"
        );
        assert!(
            asked[0].text().contains("client_secret=")
                && asked[0].header("authorization").is_none()
        );
        let basic = base64::engine::general_purpose::STANDARD
            .encode(format!("app%3A{number}:s3cret%2F%2B"));
        for request in &asked[1..] {
            assert_eq!(
                request.header("authorization"),
                Some(&*format!("Basic {basic}"))
            );
            assert!(
                !request.text().contains("client_secret") && request.text().contains("grant_type"),
                "{}",
                request.text()
            );
        }
    }
}

#[tokio::test]
async fn a_pause_that_the_token_endpoint_asks_for_is_kept_by_all_deliveries() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (hook, tokens) = (sink.path("/hook"), sink.path("/token"));
    tokens.replies([Reply::status(429).header("retry-after", "4"), granted()]);
    let destination = destination(&acme, &hook, &tokens, "app", 3).await;
    let first = acme.send([&destination], json!(1)).await.delivery(0);
    let delivery = first.attempts(1).await;
    assert_eq!(
        (&delivery["attempts"][0]["reason"], &delivery["status"]),
        (&json!("rate_limited"), &json!("retrying")),
        "{delivery}"
    );
    let second = acme.send([&destination], json!(2)).await.delivery(0);
    for delivery in [first, second] {
        let delivery = delivery.reaches("succeeded").await;
        let at = |n: usize| {
            delivery["attempts"][n]["started_at"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        assert!(
            delivery["attempts"]
                .as_array()
                .unwrap()
                .iter()
                .rev()
                .skip(1)
                .all(|attempt| attempt["reason"] == "rate_limited"),
            "{delivery}"
        );
        assert!(
            at(1).duration_since(at(0)).as_secs_f64() >= 2.5,
            "{delivery}"
        );
    }
    assert_eq!(
        tokens.count(),
        2,
        "no request is sent during the pause, and one token is enough for both"
    );
    assert_eq!(destination.health().await["consecutive_failures"], 0);
}

#[tokio::test]
async fn deliveries_that_need_a_token_at_the_same_time_ask_for_one() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (hook, tokens) = (sink.path("/hook"), sink.path("/token"));
    for (reply, status) in [
        (granted(), "succeeded"),
        (refused(401, "invalid_grant"), "failed"),
    ] {
        tokens.forget();
        tokens.replies([reply.after(Duration::from_millis(1500))]);
        let destination = destination(&acme, &hook, &tokens, status, 0).await;
        let messages: Vec<Value> = (0..10)
            .map(|number| {
                json!({"event_type": "a.b", "payload": number,
                "destination_ids": [destination.id]})
            })
            .collect();
        let answer = acme
            .post("/v1/messages/batch", json!({"messages": messages}))
            .await
            .ok(202);
        for result in answer["results"].as_array().unwrap() {
            let delivery = acme
                .message(result["message"].clone())
                .delivery(0)
                .settles()
                .await;
            assert_eq!(delivery["status"], status, "{delivery}");
        }
        // A batch may be split over two receives, whose tasks come a moment apart.
        assert!(
            tokens.count() <= 2,
            "{} requests for 10 deliveries",
            tokens.count()
        );
    }
}

#[tokio::test]
async fn failures_of_the_token_endpoint_are_what_they_are() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (hook, tokens) = (sink.path("/hook"), sink.path("/token"));
    let cases = [
        (Reply::status(500), "server_error"),
        (Reply::status(503), "server_error"),
        (
            Reply::status(503).header("retry-after", "1"),
            "rate_limited",
        ),
        (Reply::status(429), "rate_limited"),
        (refused(400, "temporarily_unavailable"), "server_error"),
        (refused(400, "invalid_client"), "authentication"),
        (refused(400, "invalid_grant"), "authentication"),
        (Reply::status(404), "rejected"),
        (Reply::status(200).body("{}"), "protocol"),
        (Reply::drop(), "protocol"),
    ];
    for (number, (reply, reason)) in cases.into_iter().enumerate() {
        tokens.replies([reply]);
        let destination = destination(&acme, &hook, &tokens, &format!("app-{number}"), 0).await;
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(delivery["reason"], reason, "case {number}: {delivery}");
        assert!(!delivery.to_string().contains("s3cret"), "{delivery}");
    }
    assert_eq!(hook.count(), 0);
}

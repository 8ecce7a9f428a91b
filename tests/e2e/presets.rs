//! Chat and pager services: how each escapes text, which responses it considers a success, and how
//! it is checked.

use std::time::Duration;

use kit::sink::{Reply, Sink};
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};

use crate::stage;

const SOON: Duration = Duration::from_secs(10);
const KEY: &str = "0123456789abcdef0123456789abcdef";

async fn destination(acme: &Organization, sink: &Sink, preset: &str) -> Destination {
    let new = acme
        .destination()
        .webhook(sink)
        .settings(json!({"preset": preset}))
        .retries(1);
    let new = if preset == "pagerduty" {
        new.credentials(json!({"kind": "bearer", "token": KEY}))
    } else {
        new
    };
    new.create().await
}

#[tokio::test]
async fn no_text_of_a_payload_mentions_links_or_formats_in_a_chat() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let payload = json!({"text": "<!channel> <https://evil.example|your bank> [your \
         bank](https://evil.example) @everyone a & b"});
    let mut sent = Vec::new();
    for preset in ["slack", "teams", "discord"] {
        let destination = destination(&acme, &sink, preset).await;
        acme.send([&destination], payload.clone())
            .await
            .delivery(0)
            .reaches("succeeded")
            .await;
        sent.push(sink.wait_for(1, SOON).await.pop().unwrap().json());
    }
    let slack = sent[0]["text"].as_str().unwrap();
    assert!(
        !slack.contains(['<', '>'])
            && slack.contains("&lt;!channel&gt;")
            && slack.contains("a &amp; b"),
        "{slack}"
    );
    let teams = sent[1]["attachments"][0]["content"]["body"][1]["text"]
        .as_str()
        .unwrap();
    assert!(
        teams.contains(r"\[your bank\](https://evil.example)") && !teams.contains("[your bank]("),
        "{teams}"
    );
    let discord = sent[2]["content"].as_str().unwrap();
    assert!(
        discord.contains(r"\[your bank\](")
            && discord.contains(r"\@everyone")
            && discord.contains(r"\<!channel\>"),
        "{discord}"
    );
    assert_eq!(sent[2]["allowed_mentions"], json!({"parse": []}));
}

/// Responses with status 200 of a service, and the outcome of the attempt.
#[tokio::test]
async fn a_failure_that_a_service_reports_with_200_is_a_failed_attempt_that_is_retried() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let teams = |code: u16| {
        format!(
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP \
             error {code} with ContextId 1"
        )
    };
    let cases = [
        ("teams", teams(429), "rate_limited", "1"),
        ("teams", teams(502), "server_error", ""),
        ("slack", "invalid_payload".to_owned(), "rejected", "ok"),
        (
            "slack",
            r#"{"ok":false,"error":"ratelimited"}"#.to_owned(),
            "rate_limited",
            r#"{"ok":true}"#,
        ),
        (
            "pagerduty",
            r#"{"status":"invalid event"}"#.to_owned(),
            "rejected",
            r#"{"status":"success"}"#,
        ),
    ];
    for (preset, refusal, reason, success) in cases {
        sink.answers([200]);
        let destination = destination(&acme, &sink, preset).await;
        sink.replies([
            Reply::status(200).body(refusal.clone()),
            Reply::status(200).body(success),
        ]);
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .reaches("succeeded")
            .await;
        let first = &delivery["attempts"][0];
        assert_eq!(
            (&first["outcome"], &first["reason"]),
            (&json!("failed"), &json!(reason)),
            "{preset}: {delivery}"
        );
        assert!(
            first["detail"]
                .as_str()
                .unwrap()
                .contains("reported a failure in the body"),
            "{first}"
        );
        assert_eq!(
            (&first["response"]["status"], &first["response"]["body"]),
            (&json!(200), &json!(refusal))
        );
        assert_eq!(delivery["attempt_count"], 2);
        sink.forget();
    }
}

#[tokio::test]
async fn a_check_is_judged_as_a_delivery_is() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    sink.answers_with(
        200,
        &[],
        "Microsoft Teams endpoint returned HTTP error 404 with ContextId 1",
    );
    let new = || {
        acme.destination()
            .webhook(&sink)
            .settings(json!({"preset": "teams"}))
    };
    let problem = new().asks().await.problem(422, "connection_check_failed");
    assert_eq!(stage::failed_step(&problem["check"]), "write", "{problem}");
    sink.answers_with(200, &[], "no_service");
    let slack = acme
        .destination()
        .webhook(&sink)
        .settings(json!({"preset": "slack"}))
        .asks()
        .await;
    assert_eq!(
        stage::failed_step(&slack.problem(422, "connection_check_failed")["check"]),
        "authenticate"
    );
    sink.answers([202]);
    new().asks().await.ok(201);
}

#[tokio::test]
async fn checking_a_pagerduty_destination_opens_no_incident() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    sink.replies([Reply::status(202).body(r#"{"status":"success"}"#)]);
    let settings = json!({"preset": "pagerduty"});
    let new = acme
        .destination()
        .webhook(&sink)
        .settings(settings)
        .credentials(json!({"kind": "bearer", "token": KEY}));
    let created = new.asks().await.ok(201);
    acme.post(
        &format!("/v1/destinations/{}/check", created["id"].as_str().unwrap()),
        json!({}),
    )
    .await
    .ok(200);
    let checks: Vec<Value> = sink
        .requests()
        .iter()
        .map(|request| request.json())
        .collect();
    assert_eq!(checks.len(), 2);
    for check in &checks {
        assert_eq!(
            (&check["event_action"], &check["routing_key"]),
            (&json!("resolve"), &json!(KEY)),
            "{check}"
        );
    }
    assert_ne!(checks[0]["dedup_key"], checks[1]["dedup_key"]);
    sink.replies([Reply::status(400).body(r#"{"status":"invalid event"}"#)]);
    new.asks().await.problem(422, "connection_check_failed");
}

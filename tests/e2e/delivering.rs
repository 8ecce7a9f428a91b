//! A message is delivered to every destination that it is addressed to.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kit::sink::Sink;
use serde_json::{Value, json};

use crate::stage;

const SOON: Duration = Duration::from_secs(10);

/// The response names each delivery, and each delivery shows its outcome.
#[tokio::test]
async fn a_message_is_accepted_with_an_id_for_each_delivery_and_its_progress_can_be_followed() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    sink.answers_with(201, &[("x-request-id", "their-1")], "thanks");
    let destination = acme.destination().webhook(&sink).create().await;
    let request = json!({
        "event_type": "report.ready", "payload": {"report": 42},
        "destination_ids": [destination.id],
        "reference": "order-7", "metadata": {"region": "eu"},
    });
    let message = acme.submit(request).await;
    let accepted = &message.accepted;
    let ulid = message.id.strip_prefix("msg_").expect("a message's prefix");
    assert_eq!(ulid.len(), 26);
    assert_eq!(accepted["organization_id"], acme.id);
    assert_eq!(
        (&accepted["event_type"], &accepted["reference"]),
        (&json!("report.ready"), &json!("order-7"))
    );
    assert_eq!(accepted["metadata"], json!({"region": "eu"}));
    assert_eq!(
        accepted["payload_info"]["size_bytes"],
        r#"{"report":42}"#.len()
    );
    assert_eq!(accepted["payload_info"]["content_type"], "application/json");
    assert_eq!(message.delivery(0).id, format!("dlv_{ulid}_00"));

    let delivery = message.delivery(0).settles().await;
    assert_eq!(delivery["status"], "succeeded");
    assert_eq!(delivery["message_id"], message.id);
    assert_eq!(
        (&delivery["destination_id"], &delivery["destination_type"]),
        (&json!(destination.id), &json!("webhook"))
    );
    assert_eq!(
        (&delivery["reference"], &delivery["metadata"]),
        (&json!("order-7"), &json!({"region": "eu"}))
    );
    assert_eq!(
        (&delivery["attempt_count"], &delivery["next_attempt_at"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(delivery["tracking"]["kind"], "http_response");
    assert_eq!(delivery["tracking"]["id"], "their-1");
    assert!(
        delivery["finished_at"].is_string() && delivery["url"].is_string(),
        "{delivery}"
    );
    assert_eq!(message.settles().await["status"], "succeeded");
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_webhook_carries_its_id_its_time_and_what_it_is_about() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let settings = json!({"headers": {"X-Team": "Audit"}, "method": "PUT"});
    let destination = acme
        .destination()
        .webhook(&sink.path("/hook?tenant=1"))
        .settings(settings)
        .create()
        .await;
    sink.forget();
    let message = acme.send([&destination], json!("hello")).await;
    let request = sink.wait_for(1, SOON).await.remove(0);
    let delivery = message.delivery(0).id;
    let header = |name: &str| {
        request
            .header(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", request.headers))
    };
    assert_eq!(
        (
            request.method.as_str(),
            request.path.as_str(),
            request.query.as_deref()
        ),
        ("PUT", "/hook", Some("tenant=1"))
    );
    assert_eq!(
        (header("idempotency-key"), header("webhook-id")),
        (delivery.as_str(), delivery.as_str())
    );
    assert_eq!(
        (header("waybill-message-id"), header("waybill-event-type")),
        (message.id.as_str(), "report.ready")
    );
    assert_eq!(
        (
            header("waybill-attempt"),
            header("content-type"),
            header("x-team")
        ),
        ("1", "application/json", "Audit")
    );
    let iso = header("waybill-timestamp");
    assert!(
        iso.len() == "2026-01-01T00:00:00.000Z".len() && iso.ends_with('Z'),
        "{iso}"
    );
    let seconds: i64 = header("webhook-timestamp").parse().expect("seconds");
    assert_eq!(
        iso.parse::<jiff::Timestamp>()
            .expect("ISO 8601")
            .as_second(),
        seconds
    );
    assert!(header("webhook-signature").starts_with("v1,"));
    let trace = header("traceparent");
    assert!(trace.starts_with("00-") && trace.len() == 55, "{trace}");
    let recorded = message.delivery(0).settles().await;
    assert_eq!(recorded["attempts"][0]["trace_id"], trace[3..35]);
}

#[tokio::test]
async fn any_json_value_is_a_payload() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    for payload in [
        "null",
        "true",
        "0",
        "-1.5e300",
        "\"\"",
        "\"text\"",
        "[]",
        "{}",
        r#"[null,[{"a":[]}]]"#,
    ] {
        sink.forget();
        let request = format!(
            r#"{{"event_type":"any.value","payload":{payload},"destination_ids":["{}"]}}"#,
            destination.id
        );
        acme.submit_text(&request).await;
        assert_eq!(sink.wait_for(1, SOON).await[0].text(), payload);
    }
}

#[tokio::test]
async fn payload_bytes_and_key_order_arrive_as_sent() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let payload = "{ \"z\" : 1,\r\n\t\"a\":  [1.0, 1e2, 12345678901234567890123, 0.10, \
         -0],\n \"z\": 2, \"\\u0061\\/\": \"\\ud83d\\ude00 é \u{2028}\", \"\": {} }";
    let request = format!(
        "{{\"event_type\":\"odd.bytes\", \"payload\" :  {payload}  \
         ,\n\"destination_ids\":[\"{}\"]}}",
        destination.id
    );
    let message = acme.submit_text(&request).await;
    let received = sink.wait_for(1, SOON).await.remove(0);
    assert_eq!(received.text(), payload);
    assert_eq!(
        message.accepted["payload_info"]["size_bytes"],
        payload.len()
    );
    let recorded = message.delivery(0).settles().await;
    assert_eq!(
        recorded["attempts"][0]["request"]["size_bytes"],
        payload.len()
    );
    assert_eq!(
        recorded["attempts"][0]["request"]["body_sha256"],
        message.accepted["payload_info"]["sha256"]
    );
}

/// Content that is not JSON.
#[tokio::test]
async fn content_arrives_as_it_is_with_its_type() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for content in [bytes, Vec::new()] {
        sink.forget();
        let content_json = json!({"base64": BASE64.encode(&content),
            "content_type": "application/pdf", "filename": "report.pdf"});
        let message = acme
            .submit(
                json!({"event_type": "report.ready", "content": content_json,
                "destination_ids": [destination.id]}),
            )
            .await;
        assert_eq!(message.accepted["payload_info"]["filename"], "report.pdf");
        let received = sink.wait_for(1, SOON).await.remove(0);
        assert_eq!(received.header("content-type"), Some("application/pdf"));
        assert_eq!(received.body, content);
    }
}

#[tokio::test]
async fn a_payload_of_one_mebibyte_arrives_and_a_byte_more_is_refused() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let request = |length: usize| {
        let text = "x".repeat(length - 2);
        format!(
            r#"{{"event_type":"large.one","payload":"{text}","destination_ids":["{}"]}}"#,
            destination.id
        )
    };
    let whole = acme.submit_text(&request(1 << 20)).await;
    let received = sink.wait_for(1, SOON).await.remove(0);
    assert_eq!(received.body.len(), 1 << 20);
    assert_eq!(whole.settles().await["status"], "succeeded");
    let more = acme
        .call(http::Method::POST, "/v1/messages")
        .json_text(request((1 << 20) + 1))
        .send()
        .await;
    more.problem(413, "payload_too_large");
    assert_eq!(acme.list("/v1/messages").await.len(), 1);
}

#[tokio::test]
async fn one_message_goes_to_many_destinations_once_each_in_their_order() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let receivers = [sink.path("/a"), sink.path("/b"), sink.path("/c")];
    let mut destinations = Vec::new();
    for receiver in &receivers {
        destinations.push(acme.destination().webhook(receiver).create().await);
    }
    let [a, b, c] = &destinations[..] else {
        unreachable!("three")
    };
    let message = acme.send([c, a, c, b, a], json!(1)).await;
    let settled = message.settles().await;
    let deliveries = settled["deliveries"].as_array().unwrap();
    assert_eq!(
        stage::texts(deliveries, "destination_id"),
        [&*c.id, &*a.id, &*b.id]
    );
    assert_eq!(settled["status"], "succeeded");
    assert_eq!(
        receivers.each_ref().map(|receiver| receiver.count()),
        [1, 1, 1]
    );
}

#[tokio::test]
async fn without_destinations_it_goes_to_the_defaults_and_the_subscribers_each_once() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let subscriber = |path: &str, patterns: &[&str]| {
        let patterns: Vec<&str> = patterns.to_vec();
        acme.destination()
            .webhook(&sink.path(path))
            .event_types(patterns)
    };
    let one_segment = subscriber("/one", &["invoice.*"]).create().await;
    let any_depth = subscriber("/any", &["**", "invoice.paid"]).create().await;
    let other = subscriber("/other", &["invoice", "*.paid.late", "paid.*"])
        .create()
        .await;
    let default = acme
        .destination()
        .webhook(&sink.path("/default"))
        .create()
        .await;
    let unsubscribed = acme
        .destination()
        .webhook(&sink.path("/nobody"))
        .create()
        .await;
    let defaults = [&*default.id, &*any_depth.id];
    acme.settings(json!({"default_destination_ids": defaults}))
        .await
        .ok(200);

    let message = acme
        .submit(json!({"event_type": "invoice.paid", "payload": 1}))
        .await;
    let settled = message.settles().await;
    let chosen = stage::texts(settled["deliveries"].as_array().unwrap(), "destination_id");
    assert_eq!(chosen, [&*default.id, &*any_depth.id, &*one_segment.id]);
    assert!(!chosen.contains(&other.id) && !chosen.contains(&unsubscribed.id));

    // A named destination is not asked for its subscription.
    let named = acme
        .submit(json!({"event_type": "invoice.paid", "payload": 1, "destination_ids": [other.id]}))
        .await;
    assert_eq!(named.settles().await["status"], "succeeded");
}

#[tokio::test]
async fn a_message_that_matches_no_destination_is_refused() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    acme.destination()
        .webhook(&sink)
        .event_types(["invoice.*"])
        .create()
        .await;
    let answer = acme
        .post(
            "/v1/messages",
            json!({"event_type": "report.ready", "payload": 1}),
        )
        .await;
    answer.problem(422, "no_destinations");
    assert!(acme.list("/v1/messages").await.is_empty());
    assert_eq!(sink.count(), 0);
}

/// An unknown destination refuses the whole message.
#[tokio::test]
async fn an_unknown_destination_refuses_the_whole_message_and_nothing_is_sent() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let known = acme.destination().webhook(&sink).create().await;
    let unknown = "dst_01jzzzzzzzzzzzzzzzzzzzzzzz";
    let request =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [known.id, unknown]});
    let answer = acme.post("/v1/messages", request).await;
    answer.problem(404, "not_found");
    assert!(acme.list("/v1/messages").await.is_empty());
    assert_eq!(sink.count(), 0);
}

/// A message to a disabled destination makes a skipped delivery with the reason.
#[tokio::test]
async fn a_disabled_destination_gets_a_skipped_delivery_that_can_be_retried_later() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let disabled = destination
        .action("disable", json!({"reason": "moving house"}))
        .await
        .ok(200);
    assert_eq!(
        (&disabled["status"], &disabled["disabled"]["reason"]),
        (&json!("disabled"), &json!("moving house"))
    );
    assert_eq!(disabled["disabled"]["by"], "user");
    let message = acme.send([&destination], json!(1)).await;
    let delivery = message.delivery(0).settles().await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("skipped"), &json!("destination_disabled"))
    );
    assert_eq!(message.read().await["status"], "failed");
    message
        .delivery(0)
        .retry()
        .await
        .problem(409, "destination_disabled");
    assert_eq!(sink.count(), 0);

    destination.action("enable", json!({})).await.ok(200);
    message.delivery(0).retry().await.ok(202);
    assert_eq!(message.delivery(0).settles().await["status"], "succeeded");
    assert_eq!(sink.count(), 1);
}

/// `POST …/test` makes one attempt at this destination, which no counter includes.
#[tokio::test]
async fn a_test_makes_one_attempt_and_counts_nowhere() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    destination.action("disable", json!({})).await.ok(200);
    sink.answers([500]);
    let answer = destination
        .action("test", json!({"payload": {"try": true}}))
        .await;
    let message = acme.message(answer.ok(202));
    let delivery = message.delivery(0).settles().await;
    assert_eq!(
        (
            &delivery["status"],
            &delivery["test"],
            &delivery["attempt_count"]
        ),
        (&json!("failed"), &json!(true), &json!(1))
    );
    let received = sink.wait_for(1, SOON).await.remove(0);
    assert_eq!(
        (received.header("waybill-event-type"), received.text()),
        (Some("waybill.test"), r#"{"try":true}"#)
    );
    assert_eq!(destination.health().await["consecutive_failures"], 0);
    let empty = acme
        .call(http::Method::POST, &format!("{}/test", destination.path()))
        .send()
        .await;
    empty.ok(202);
}

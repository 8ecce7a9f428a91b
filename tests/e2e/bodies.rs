//! `GET /v1/deliveries/{id}/body` returns the body that was sent last. It is kept no longer than
//! the payload from which it was made.

use std::time::Duration;

use http::Method;
use kit::sink::Sink;
use kit::smtp::{MailServer, PASSWORD, USERNAME};
use kit::stack::{Answer, Delivery, Organization};
use kit::tls::Authority;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::stage;

const SOON: Duration = Duration::from_secs(10);

async fn body(acme: &Organization, delivery: &Delivery) -> Answer {
    acme.get(&format!("{}/body", delivery.path())).await
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns the bytes of the body, after comparing their hash and length with those of the attempt.
async fn recorded_body(acme: &Organization, delivery: &Delivery, content_type: &str) -> Vec<u8> {
    let answer = body(acme, delivery).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(content_type)),
        "{answer:?}"
    );
    let attempts = delivery.read().await["attempts"].take();
    let request = &attempts.as_array().unwrap().last().unwrap()["request"];
    assert_eq!(
        (&request["body_sha256"], &request["size_bytes"]),
        (&json!(sha256(&answer.body)), &json!(answer.body.len()))
    );
    answer.body.to_vec()
}

#[tokio::test]
async fn a_body_that_a_template_or_a_preset_made_is_shown_as_it_was_sent() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let cases = [
        (json!({}), "application/json"),
        (
            json!({"body_template": "{\"total\": {{ payload.total }}, \"attempt\": {{ attempt }}}"}),
            "application/json",
        ),
        (
            json!({"body_template": "total={{ payload.total }}",
                "content_type": "application/x-www-form-urlencoded"}),
            "application/x-www-form-urlencoded",
        ),
        (json!({"preset": "slack"}), "application/json"),
        (json!({"preset": "teams"}), "application/json"),
        (json!({"preset": "discord"}), "application/json"),
    ];
    for (settings, content_type) in cases {
        let destination = acme
            .destination()
            .webhook(&sink)
            .settings(settings.clone())
            .retries(1)
            .create()
            .await;
        sink.answers([500, 200]);
        let delivery = acme
            .send([&destination], json!({"total": 7}))
            .await
            .delivery(0);
        delivery.reaches("succeeded").await;
        let received = sink.wait_for(2, SOON).await.pop().unwrap();
        assert_eq!(received.header("content-type"), Some(content_type));
        assert_eq!(
            recorded_body(&acme, &delivery, content_type).await,
            received.body,
            "{settings}"
        );
        sink.forget();
    }
}

#[tokio::test]
async fn a_body_stays_as_it_was_sent_when_the_template_changes_or_fails() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .settings(json!({"body_template": "old {{ payload }}"}))
        .retries(0)
        .create()
        .await;
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    delivery.reaches("succeeded").await;
    for template in ["new {{ payload }}", "{{ payload.gone.more }}"] {
        destination
            .change(json!({"settings": {"body_template": template}}))
            .await;
        assert_eq!(body(&acme, &delivery).await.text(), "old 1");
    }
    // The last attempt sends nothing: what was sent last is still there.
    acme.post(
        &format!("{}/retry", delivery.path()),
        json!({"force": true}),
    )
    .await
    .ok(202);
    assert_eq!(
        delivery.attempts(2).await["attempts"][1]["reason"],
        "misconfigured"
    );
    assert_eq!(body(&acme, &delivery).await.text(), "old 1");
    destination
        .change(json!({"settings": {"body_template": "new {{ payload }}"}}))
        .await;
    delivery.retry().await.ok(202);
    delivery.attempts(3).await;
    assert_eq!(
        recorded_body(&acme, &delivery, "application/json").await,
        b"new 1"
    );
}

#[tokio::test]
async fn the_key_in_a_pagers_body_is_redacted_there() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let key = "0123456789abcdef0123456789abcdef";
    let new = acme
        .destination()
        .webhook(&sink)
        .settings(json!({"preset": "pagerduty"}));
    let destination = new
        .credentials(json!({"kind": "bearer", "token": key}))
        .create()
        .await;
    let delivery = acme.send([&destination], json!({"n": 1})).await.delivery(0);
    delivery.reaches("succeeded").await;
    let received = sink.wait_for(1, SOON).await.pop().unwrap().json();
    let mut shown: Value =
        serde_json::from_slice(&recorded_body(&acme, &delivery, "application/json").await).unwrap();
    assert_eq!(
        (&received["routing_key"], &shown["routing_key"]),
        (&json!(key), &json!("[redacted]"))
    );
    shown["routing_key"] = json!(key);
    assert_eq!(shown, received);
}

/// A body that is too large for an item of the table, and one that is too large for a response.
#[tokio::test]
async fn a_long_body_is_kept_and_erased_with_its_payload() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let template = "{{ payload.noise }}{{ payload.noise }}";
    let settings = json!({"body_template": template, "content_type": "text/plain"});
    let destination = acme
        .destination()
        .webhook(&sink)
        .settings(settings)
        .create()
        .await;
    for length in [10, 30_000, 500_000] {
        let noise: String = (0..length as u32)
            .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26))
            .collect();
        let message = acme.send([&destination], json!({"noise": noise})).await;
        let delivery = message.delivery(0);
        delivery.reaches("succeeded").await;
        assert_eq!(
            recorded_body(&acme, &delivery, "text/plain").await,
            format!("{noise}{noise}").into_bytes()
        );
        let message = delivery.read().await["message_id"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            acme.call(Method::DELETE, &format!("/v1/messages/{message}/payload"))
                .send()
                .await
                .status,
            204
        );
        body(&acme, &delivery).await.problem(410, "payload_expired");
    }
}

#[tokio::test]
async fn a_mails_body_is_its_mime_message() {
    let server = MailServer::start("none", &Authority::new());
    let acme = stage::organization("Acme").await;
    let settings = json!({"transport": {"smtp": {"host": "localhost", "port": server.port,
        "security": "none"}},
        "from": "reports@acme.example", "to": ["ada@customer.example"],
        "subject_template": "{{ event_type }}", "timeout_seconds": 20});
    let password = json!({"kind": "smtp_password", "username": USERNAME, "password": PASSWORD});
    let destination = acme
        .destination()
        .with("type", "email")
        .settings(settings)
        .credentials(password)
        .create()
        .await;
    for noise in ["short".to_owned(), "long ".repeat(200_000)] {
        let is_long = noise.len() > 1000;
        let delivery = acme
            .send([&destination], json!({"noise": noise}))
            .await
            .delivery(0);
        let read = delivery.reaches("succeeded").await;
        let id = format!("Message-ID: <{}@acme.example>", delivery.id);
        if !is_long {
            let mime =
                String::from_utf8(recorded_body(&acme, &delivery, "message/rfc822").await).unwrap();
            assert!(
                mime.contains(&id) && mime.contains("Subject: report.ready"),
                "{mime}"
            );
            continue;
        }
        let answer = body(&acme, &delivery).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let mime = download(answer.header("location").unwrap()).await;
        assert_eq!(
            sha256(&mime),
            read["attempts"][0]["request"]["body_sha256"]
                .as_str()
                .unwrap()
        );
        assert!(String::from_utf8_lossy(&mime).contains(&id));
        let message = read["message_id"].as_str().unwrap();
        assert_eq!(
            acme.call(Method::DELETE, &format!("/v1/messages/{message}/payload"))
                .send()
                .await
                .status,
            204
        );
        body(&acme, &delivery).await.problem(410, "payload_expired");
    }
}

async fn download(url: &str) -> Vec<u8> {
    let (origin, path) = url.split_at(url.match_indices('/').nth(2).expect("a path").0);
    let answer = kit::stack::Caller::at(origin).get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.to_vec()
}

//! Tests the conversation with a server before it has the message.

use domain::settle::Outcome;
use kit::scripted_mail::{Script, ScriptedMail};
use serde_json::json;

use crate::bench::{Bench, delivery, small};

fn is_delivered(attempted: &worker::Attempted) -> bool {
    matches!(attempted.outcome, Outcome::Delivered(_))
}

#[tokio::test]
async fn a_server_that_accepts_two_messages_per_connection_gets_further_connections() {
    for answer in [
        Some("421 4.7.0 too many messages"),
        Some("451 4.7.1 too many messages"),
        None,
    ] {
        let script = Script {
            messages_per_connection: Some((2, answer)),
            ..Script::default()
        };
        let server = ScriptedMail::start(script).await;
        let bench = Bench::at(server.port, json!({})).await;
        for number in 0..5 {
            let attempted = bench.deliver(&small(), "{}").await;
            assert!(
                is_delivered(&attempted),
                "{answer:?}, message {number}: {attempted:?}"
            );
        }
        assert_eq!(
            (server.messages().len(), server.connections()),
            (5, 3),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn servers_are_greeted_with_an_address_literal_or_the_configured_name() {
    for (name, expected) in [
        (None, "EHLO [127.0.0.1]"),
        (Some("waybill.acme.example"), "EHLO waybill.acme.example"),
    ] {
        let server = ScriptedMail::start(Script::default()).await;
        let bench = Bench::greeting_as(server.port, json!({}), name).await;
        let report = bench.check().await;
        assert!(report.ok, "{report:?}");
        assert!(is_delivered(&bench.deliver(&small(), "{}").await));
        assert_eq!(
            server
                .commands()
                .iter()
                .filter(|command| *command == expected)
                .count(),
            2,
            "{:?}",
            server.commands()
        );
    }
}

#[tokio::test]
async fn the_prompts_of_a_login_are_ignored() {
    for prompts in [
        ["VXNlcm5hbWU=", "UGFzc3dvcmQ="],
        ["TG9naW46", "UGFzczo="],
        ["", ""],
        ["not base64!", "?"],
    ] {
        let script = Script {
            extensions: vec!["AUTH LOGIN".to_owned()],
            prompts,
            ..Script::default()
        };
        let server = ScriptedMail::start(script).await;
        let attempted = Bench::at(server.port, json!({}))
            .await
            .deliver(&small(), "{}")
            .await;
        assert!(is_delivered(&attempted), "{prompts:?}: {attempted:?}");
    }
}

#[tokio::test]
async fn a_mechanism_that_is_offered_but_not_supported_is_replaced_by_another() {
    let server = ScriptedMail::start(Script {
        answers: vec![("AUTH PLAIN", Some("504 5.5.4 no such mechanism"))],
        ..Script::default()
    });
    let server = server.await;
    let bench = Bench::at(server.port, json!({})).await;
    assert!(bench.check().await.ok);
    assert!(is_delivered(&bench.deliver(&small(), "{}").await));
}

#[tokio::test]
async fn size_and_eight_bit_text_are_announced_where_the_server_knows_them() {
    let extensions = ["AUTH PLAIN", "SIZE 100000", "8BITMIME"]
        .map(str::to_owned)
        .to_vec();
    let server = ScriptedMail::start(Script {
        extensions,
        ..Script::default()
    })
    .await;
    let bench = Bench::at(server.port, json!({})).await;
    let text = "Subject: x\r\n\r\né\r\n";
    assert!(is_delivered(
        &bench
            .deliver(&delivery("message/rfc822", None, text.len() as u64), text)
            .await
    ));
    let from = &server.messages()[0].from;
    assert!(
        from.contains(" SIZE=") && from.contains(" BODY=8BITMIME"),
        "{from}"
    );
    let large = "x".repeat(100_000);
    let attempted = bench
        .deliver(&delivery("text/plain", None, 100_000), large)
        .await;
    assert_eq!(
        attempted.outcome,
        Outcome::Reject(domain::Reason::PayloadTooLarge)
    );
    assert!(
        attempted.detail.contains("at most 100000"),
        "{}",
        attempted.detail
    );
    assert_eq!(server.messages().len(), 1);
}

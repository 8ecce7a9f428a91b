//! Tests what a refusal by a mail server means, and for which recipient.

use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use kit::scripted_mail::{Script, ScriptedMail};
use serde_json::json;

use crate::bench::{Bench, failed_step, small};

#[tokio::test]
async fn the_enhanced_code_says_what_a_refusal_means_in_a_check_as_in_a_delivery() {
    for (command, reply, expected) in [
        (
            "RCPT",
            "552 5.2.2 mailbox full",
            Outcome::Reject(Reason::Rejected),
        ),
        (
            "RCPT",
            "452 4.2.2 mailbox full",
            Outcome::Retry(Reason::ServerError),
        ),
        (
            "RCPT",
            "550 5.1.1 no such user",
            Outcome::Reject(Reason::Rejected),
        ),
        (
            "RCPT",
            "550 5.7.1 relaying denied",
            Outcome::Reject(Reason::Authorization),
        ),
        (
            "MAIL",
            "553 5.7.1 sender not allowed",
            Outcome::Reject(Reason::Authorization),
        ),
        (
            "MAIL",
            "530 5.7.0 authentication required",
            Outcome::ClientError(Reason::Authentication),
        ),
        (
            "MAIL",
            "552 5.3.4 message too big",
            Outcome::Reject(Reason::PayloadTooLarge),
        ),
    ] {
        let server = ScriptedMail::start(Script {
            answers: vec![(command, Some(reply))],
            ..Script::default()
        })
        .await;
        let bench = Bench::at(server.port, json!({})).await;
        let attempted = bench.deliver(&small(), "{}").await;
        assert_eq!(attempted.outcome, expected, "{command} {reply}");
        assert!(attempted.detail.contains(reply), "{}", attempted.detail);
        let report = bench.check().await;
        let (step, detail) = failed_step(&report).unwrap();
        assert_eq!(
            (step, detail.contains(reply)),
            (StepName::Authorize, true),
            "{reply}: {report:?}"
        );
    }
    for (reply, expected) in [
        ("552 5.2.2 over quota", Reason::Rejected),
        ("552 5.3.4 too big", Reason::PayloadTooLarge),
        ("554 5.2.3 too long", Reason::PayloadTooLarge),
        ("550 5.7.1 looks like spam", Reason::Rejected),
    ] {
        let server = ScriptedMail::start(Script {
            confirmation: Some(reply),
            ..Script::default()
        })
        .await;
        let attempted = Bench::at(server.port, json!({}))
            .await
            .deliver(&small(), "{}")
            .await;
        assert_eq!(attempted.outcome, Outcome::Reject(expected), "{reply}");
    }
}

#[tokio::test]
async fn every_refused_recipient_is_named_and_the_others_receive_nothing() {
    let answers = vec![
        ("RCPT TO:<bob@", Some("550 5.1.1 no such user")),
        ("RCPT TO:<cid@", Some("451 4.3.0 later")),
    ];
    let server = ScriptedMail::start(Script {
        answers,
        ..Script::default()
    })
    .await;
    let to =
        json!({"to": ["ada@customer.example", "bob@customer.example", "cid@customer.example"]});
    let attempted = Bench::at(server.port, to)
        .await
        .deliver(&small(), "{}")
        .await;
    assert_eq!(attempted.outcome, Outcome::Reject(Reason::Rejected));
    for part in [
        "bob@customer.example: 550 5.1.1 no such user",
        "cid@customer.example: 451 4.3.0 later",
        "to no recipient",
    ] {
        assert!(attempted.detail.contains(part), "{}", attempted.detail);
    }
    assert!(!attempted.detail.contains("ada@"), "{}", attempted.detail);
    assert!(server.messages().is_empty());
}

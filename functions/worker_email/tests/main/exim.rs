//! Tests against Exim, a second real mail server besides the one that the end-to-end tests use.

use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use kit::exim::Exim;
use serde_json::json;

use crate::bench::{Bench, PASSWORD, USERNAME, delivery, failed_step, reason, small};

#[tokio::test]
async fn exim_receives_every_message_although_it_accepts_two_per_connection() {
    let exim = Exim::start(USERNAME, PASSWORD).await;
    let bench = Bench::at(exim.port, json!({"text_template": ".a dot\n..\nand\n.\n"})).await;
    let report = bench.check().await;
    assert!(report.ok, "{report:?}");
    for _ in 0..5 {
        let attempted = bench.deliver(&small(), "{}").await;
        let Outcome::Delivered(receipt) = &attempted.outcome else {
            panic!("{attempted:?}")
        };
        let tracking = receipt.to_json();
        assert!(
            tracking["id"].as_str().is_some_and(|id| id.len() > 10),
            "{tracking}"
        );
    }
    let messages = exim.messages();
    assert_eq!(messages.len(), 5, "the check sends none");
    for (head, body) in messages {
        assert!(
            head.contains("--helo_name [127.0.0.1]") && head.contains("ada@customer.example"),
            "{head}"
        );
        assert!(body.contains("\n.a dot\n..\nand\n.\n"), "{body}");
    }
}

#[tokio::test]
async fn exim_refuses_in_a_check_what_it_refuses_in_a_delivery() {
    let exim = Exim::start(USERNAME, PASSWORD).await;
    let bench = Bench::at(
        exim.port,
        json!({"to": ["ada@customer.example", "nobody@customer.example"]}),
    )
    .await;
    let attempted = bench.deliver(&small(), "{}").await;
    assert_eq!(reason(&attempted), Some(Reason::Rejected), "{attempted:?}");
    assert!(
        attempted
            .detail
            .contains("nobody@customer.example: 550 5.1.1"),
        "{}",
        attempted.detail
    );
    let report = bench.check().await;
    assert_eq!(
        failed_step(&report).map(|(step, _)| step),
        Some(StepName::Authorize),
        "{report:?}"
    );
    let wrong = Exim::start(USERNAME, "another password").await;
    let bench = Bench::at(wrong.port, json!({})).await;
    assert_eq!(
        reason(&bench.deliver(&small(), "{}").await),
        Some(Reason::Authentication)
    );
    assert_eq!(
        failed_step(&bench.check().await).map(|(step, _)| step),
        Some(StepName::Authenticate)
    );
    assert!(exim.messages().is_empty());
}

#[tokio::test]
async fn a_message_larger_than_exim_takes_is_not_sent() {
    let exim = Exim::start(USERNAME, PASSWORD).await;
    let bench = Bench::at(exim.port, json!({})).await;
    let attempted = bench
        .deliver(&delivery("text/plain", None, 2 << 20), vec![b'x'; 2 << 20])
        .await;
    assert_eq!(
        attempted.outcome,
        Outcome::Reject(Reason::PayloadTooLarge),
        "{attempted:?}"
    );
    assert!(exim.messages().is_empty());
}

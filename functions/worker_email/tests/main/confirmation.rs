//! Tests what happens after the final dot of DATA.

use std::time::Duration;

use domain::Reason;
use domain::settle::Outcome;
use kit::scripted_mail::{Script, ScriptedMail};
use serde_json::json;

use crate::bench::{Bench, reason, small};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_message_confirmed_after_the_timeout_is_delivered_once() {
    let server = ScriptedMail::start(Script {
        confirms_after: Some(4 * SECOND),
        ..Script::default()
    })
    .await;
    let bench = Bench::at(server.port, json!({"timeout_seconds": 1})).await;
    let attempted = bench.deliver(&small(), "{}").await;
    assert!(
        matches!(attempted.outcome, Outcome::Delivered(_)),
        "{attempted:?}"
    );
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn a_message_never_confirmed_may_have_arrived_and_is_sent_again_much_later() {
    let never = ScriptedMail::start(Script {
        confirms_after: None,
        ..Script::default()
    })
    .await;
    let closing = ScriptedMail::start(Script {
        confirmation: None,
        ..Script::default()
    })
    .await;
    for (server, expected) in [(&never, Reason::Timeout), (&closing, Reason::Protocol)] {
        let bench = Bench::at(server.port, json!({"timeout_seconds": 1}))
            .await
            .patient_for(2 * SECOND);
        let attempted = bench.deliver(&small(), "{}").await;
        let Outcome::Throttled(reason, wait) = attempted.outcome else {
            panic!("{attempted:?}")
        };
        assert_eq!(reason, expected);
        assert!(wait >= 600 * SECOND, "{wait:?}");
        assert!(
            attempted.detail.contains("the outcome is not known"),
            "{}",
            attempted.detail
        );
        assert_eq!(server.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_message_has_not_taken_it() {
    let server = ScriptedMail::start(Script {
        confirmation: Some("451 4.3.0 try again later"),
        ..Script::default()
    })
    .await;
    let bench = Bench::at(server.port, json!({})).await;
    let attempted = bench.deliver(&small(), "{}").await;
    assert_eq!(
        attempted.outcome,
        Outcome::Retry(Reason::ServerError),
        "{attempted:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_silent_before_it_has_the_message_is_an_ordinary_timeout() {
    // The server sends an intermediate line in answer to DATA and never the last one.
    let server = ScriptedMail::start(Script {
        answers: vec![("DATA", Some("354-wait"))],
        ..Script::default()
    })
    .await;
    let bench = Bench::at(server.port, json!({"timeout_seconds": 1})).await;
    let attempted = bench.deliver(&small(), "{}").await;
    assert_eq!(
        (&attempted.outcome, reason(&attempted)),
        (&Outcome::Retry(Reason::Timeout), Some(Reason::Timeout)),
        "{attempted:?}"
    );
}

//! An orderly shutdown.

use std::time::Duration;

use kit::sink::{Reply, Sink};
use serde_json::json;

use crate::stage;

/// Running attempts end. Deliveries that have not begun are left to the next start and lose no
/// retry.
#[tokio::test]
async fn a_shutdown_finishes_running_attempts_starts_none_and_loses_nothing() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let (slow, quick) = (sink.path("/slow"), sink.path("/quick"));
    let began = acme.destination().webhook(&slow).create().await;
    let waits = acme
        .destination()
        .webhook(&quick)
        .retry(json!({"initial_seconds": 5, "jitter": 0}))
        .create()
        .await;
    slow.replies([Reply::status(200).after(Duration::from_secs(2))]);
    quick.answers([500, 200]);
    let on_its_way = acme.send([&began], json!("began")).await;
    let waiting = acme.send([&waits], json!("waits")).await;
    slow.wait_for(1, Duration::from_secs(10)).await;
    waiting.delivery(0).reaches("retrying").await;

    let (code, took) = stack.stop().await;
    assert_eq!(code, Some(0), "{}", stack.log());
    assert!(took < Duration::from_secs(10), "{took:?}");
    stack.restart().await;
    let delivery = on_its_way.delivery(0).settles().await;
    assert_eq!(
        (
            &delivery["status"],
            &delivery["attempt_count"],
            slow.count()
        ),
        (&json!("succeeded"), &json!(1), 1)
    );
    let delivery = waiting.delivery(0).settles().await;
    assert_eq!(
        (
            &delivery["status"],
            &delivery["attempt_count"],
            quick.count()
        ),
        (&json!("succeeded"), &json!(2), 2)
    );
}

/// The same with more work than workers.
#[tokio::test]
async fn a_backlog_is_left_to_the_next_start_and_costs_no_retry() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.delays(Duration::from_millis(200));
    let message = |number: usize| {
        json!({"event_type": "back.log", "payload": number,
        "destination_ids": [destination.id]})
    };
    let messages: Vec<_> = (0..100).map(message).collect();
    let answer = acme
        .post("/v1/messages/batch", json!({"messages": messages}))
        .await
        .ok(202);
    assert_eq!(stack.stop().await.0, Some(0), "{}", stack.log());
    stack.restart().await;
    for result in answer["results"].as_array().unwrap() {
        let message = acme.message(result["message"].clone());
        let delivery = message.delivery(0).settles().await;
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&json!("succeeded"), &json!(1)),
            "{delivery}"
        );
    }
    assert_eq!(sink.count(), 100);
}

/// An idle process ends immediately.
#[tokio::test]
async fn an_idle_process_stops_at_once() {
    let mut stack = stage::launch().start().await;
    let (code, took) = stack.stop().await;
    assert_eq!(code, Some(0), "{}", stack.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

//! Deliveries are reopened, brought forward and cancelled by people and programs.

use std::time::Duration;

use kit::sink::Sink;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage;

/// A manual retry replaces the automatic one.
#[tokio::test]
async fn a_manual_retry_replaces_a_pending_automatic_one_and_both_at_once_send_once() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(json!({"initial_seconds": 5, "jitter": 0}))
        .create()
        .await;
    sink.answers([500, 200]);
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    delivery.reaches("retrying").await;
    let (one, two, three) = tokio::join!(delivery.retry(), delivery.retry(), delivery.retry());
    for answer in [&one, &two, &three] {
        assert!(
            answer.status == 202 || answer.json()["code"] == "already_succeeded",
            "{}",
            answer.text()
        );
    }
    let settled = delivery.settles().await;
    assert_eq!(
        (&settled["status"], &settled["attempt_count"]),
        (&json!("succeeded"), &json!(2))
    );
    assert_eq!(settled["attempts"][1]["trigger"], "manual");
    // The automatic retry would be due by now.
    sleep(Duration::from_millis(6_500)).await;
    assert_eq!(sink.count(), 2);
}

/// A failed delivery has a fresh budget when it is reopened; numbers go on, the id stays.
#[tokio::test]
async fn a_failed_delivery_is_reopened_with_a_fresh_budget_and_the_same_id() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(1).create().await;
    sink.answers([500]);
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    assert_eq!(delivery.settles().await["attempt_count"], 2);
    let reopened = delivery.retry().await.ok(202);
    assert_eq!(reopened["id"], delivery.id);
    delivery.attempts(4).await;
    let settled = delivery.settles().await;
    assert_eq!(
        (&settled["status"], &settled["exhausted"]),
        (&json!("failed"), &json!(true))
    );
    let attempts = settled["attempts"].as_array().unwrap();
    let column = |member: &str| -> Vec<Value> {
        attempts
            .iter()
            .map(|attempt| attempt[member].clone())
            .collect()
    };
    assert_eq!(column("number"), [1, 2, 3, 4]);
    assert_eq!(column("trigger"), ["first", "retry", "manual", "retry"]);
    assert!(
        sink.requests()
            .iter()
            .all(|request| request.header("webhook-id") == Some(&*delivery.id))
    );
}

/// A succeeded delivery is sent again only with `force`.
#[tokio::test]
async fn a_success_is_sent_again_only_by_force() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    delivery.reaches("succeeded").await;
    delivery.retry().await.problem(409, "already_succeeded");
    assert_eq!(sink.count(), 1);
    acme.post(
        &format!("{}/retry", delivery.path()),
        json!({"force": true}),
    )
    .await
    .ok(202);
    delivery.attempts(2).await;
    assert_eq!(delivery.settles().await["status"], "succeeded");
    assert_eq!(sink.count(), 2);
}

/// A cancelled delivery makes no further attempt.
#[tokio::test]
async fn a_cancelled_delivery_makes_no_further_attempt() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(5).create().await;
    sink.answers([500]);
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    delivery.reaches("retrying").await;
    let cancelled = delivery.cancel().await.ok(200);
    assert_eq!(
        (&cancelled["status"], &cancelled["reason"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    let sent = sink.count();
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(sink.count(), sent);
    delivery.cancel().await.problem(409, "already_finished");
    assert_eq!(delivery.read().await["status"], "cancelled");
}

/// If a running attempt of a cancelled delivery succeeds, the delivery has succeeded.
#[tokio::test]
async fn an_attempt_on_its_way_that_succeeds_makes_a_cancelled_delivery_succeed() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.delays(Duration::from_secs(4));
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    sink.wait_for(1, Duration::from_secs(10)).await;
    delivery.cancel().await.ok(200);
    let settled = delivery.reaches("succeeded").await;
    assert_eq!((&settled["attempt_count"], sink.count()), (&json!(1), 1));
}

/// Deleting a destination ends its pending deliveries and keeps its history.
#[tokio::test]
async fn a_deleted_destination_leaves_its_history_and_no_pending_work() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(20).create().await;
    let done = acme.send([&destination], json!(1)).await.delivery(0);
    done.reaches("succeeded").await;
    sink.answers([500]);
    let pending = acme.send([&destination], json!(2)).await.delivery(0);
    pending.reaches("retrying").await;
    acme.delete(&destination.path()).await.ok(204);
    acme.get(&destination.path())
        .await
        .problem(404, "not_found");
    let skipped = pending.settles().await;
    assert_eq!(
        (&skipped["status"], &skipped["reason"]),
        (&json!("skipped"), &json!("destination_deleted"))
    );
    assert_eq!(done.read().await["status"], "succeeded");
    pending.retry().await.problem(409, "destination_deleted");
    assert_eq!(
        acme.list(&format!("/v1/deliveries?destination_id={}", destination.id))
            .await
            .len(),
        2
    );
}

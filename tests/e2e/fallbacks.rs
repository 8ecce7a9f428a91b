//! Fallbacks whose own destination is paused, limited, disabled or deleted, and deliveries that
//! fail without an attempt.

use std::time::Duration;

use kit::sink::{Reply, Sink};
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage;
use crate::waiting::{SOON, in_seconds, organization, send_numbers, within_a_second};

/// A webhook that refuses everything, and falls back to this destination.
async fn dead(acme: &Organization, sink: &Sink, fallback: &Destination) -> Destination {
    let dead = sink.path("/dead");
    let fallbacks = json!({"destination_ids": [fallback.id]});
    let destination = acme
        .destination()
        .webhook(&dead)
        .retries(0)
        .with("on_exhausted", fallbacks)
        .create()
        .await;
    dead.answers([500]);
    destination
}

async fn deliveries(acme: &Organization, destination: &Destination) -> Vec<Value> {
    acme.list(&format!(
        "/v1/deliveries?destination_id={}&limit=100",
        destination.id
    ))
    .await
}

#[tokio::test]
async fn a_fallback_waits_while_its_destination_is_paused_and_keeps_its_limit() {
    let (acme, sink) = (
        organization("Fallback that waits").await,
        Sink::start().await,
    );
    let second = sink.path("/second");
    let limits = json!({"max_per_second": 2});
    let fallback = acme
        .destination()
        .webhook(&second)
        .with("delivery_limits", limits)
        .create()
        .await;
    fallback.action("pause", json!({})).await.ok(200);
    let destination = dead(&acme, &sink, &fallback).await;
    for message in send_numbers(&acme, &destination, 6).await {
        message.delivery(0).reaches("failed").await;
    }
    let waiting = stage::until("all are there", async || {
        Some(deliveries(&acme, &fallback).await).filter(|all| all.len() == 6)
    })
    .await;
    assert!(
        waiting
            .iter()
            .all(|one| one["waiting_for"] == "pause" && one["trigger"] == "fallback"),
        "{waiting:?}"
    );
    sleep(Duration::from_secs(2)).await;
    assert_eq!(second.count(), 0);
    fallback.action("resume", json!({})).await.ok(200);
    let requests = second.wait_for(6, SOON).await;
    assert!((requests[5].at - requests[0].at).as_secs_f64() > 5.0 * 0.5 * 0.7);
    assert!(within_a_second(&requests) <= 4);
    assert!(
        requests
            .iter()
            .all(|request| request.header("waybill-failed-reason") == Some("server_error"))
    );
}

#[tokio::test]
async fn a_fallback_that_is_disabled_is_skipped_and_one_that_is_deleted_is_passed_over() {
    let (acme, sink) = (
        organization("Fallback that is gone").await,
        Sink::start().await,
    );
    let second = sink.path("/second");
    let fallback = acme.destination().webhook(&second).create().await;
    let destination = dead(&acme, &sink, &fallback).await;
    fallback.action("disable", json!({})).await.ok(200);
    send_numbers(&acme, &destination, 1).await[0]
        .delivery(0)
        .reaches("failed")
        .await;
    let skipped = stage::until("it is made", async || {
        deliveries(&acme, &fallback).await.pop()
    })
    .await;
    assert_eq!(
        (&skipped["status"], &skipped["trigger"]),
        (&json!("skipped"), &json!("fallback")),
        "{skipped}"
    );
    assert_eq!(skipped["failed_reason"], "server_error", "{skipped}");

    acme.delete(&fallback.path()).await.ok(204);
    let message = send_numbers(&acme, &destination, 1).await.remove(0);
    message.delivery(0).reaches("failed").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        message.read().await["deliveries"].as_array().unwrap().len(),
        1
    );
    // A destination that names one that is gone can still be changed, and named again it is
    // refused.
    let changed = destination.change(json!({"name": "Renamed"})).await;
    assert_eq!(
        changed["on_exhausted"],
        json!({"destination_ids": [fallback.id]})
    );
    let other = acme.destination().webhook(&second).create().await;
    let patch = json!({"on_exhausted": {"destination_ids": [other.id, fallback.id]}});
    let refused = acme.patch(&destination.path(), patch).await;
    refused.problem(404, "not_found");
    assert_eq!(refused.mistakes(), ["/on_exhausted/destination_ids/1"]);
    assert_eq!(second.count(), 0);
}

#[tokio::test]
async fn two_destinations_that_fall_back_to_each_other_pass_a_message_on_once() {
    let (acme, sink) = (organization("Each other").await, Sink::start().await);
    let (here, there) = (sink.path("/here"), sink.path("/there"));
    let one = acme.destination().webhook(&here).retries(0).create().await;
    let fallbacks = json!({"destination_ids": [one.id]});
    let other = acme
        .destination()
        .webhook(&there)
        .retries(0)
        .with("on_exhausted", fallbacks)
        .create()
        .await;
    one.change(json!({"on_exhausted": {"destination_ids": [other.id]}}))
        .await;
    here.answers([500]);
    there.answers([500]);
    let single = acme.send([&one], json!(1)).await;
    single.delivery(0).reaches("failed").await;
    there.wait_for(1, SOON).await;
    let both = acme.send([&one, &other], json!(2)).await;
    both.settles().await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!((here.count(), there.count()), (2, 2));
    for (message, count) in [(&single, 2), (&both, 2)] {
        assert_eq!(
            message.read().await["deliveries"].as_array().unwrap().len(),
            count
        );
    }
}

#[tokio::test]
async fn deliveries_that_expire_while_paused_or_throttled_go_to_the_fallback() {
    let (acme, sink) = (organization("Expired").await, Sink::start().await);
    let (hook, second) = (sink.path("/hook"), sink.path("/second"));
    let fallback = acme.destination().webhook(&second).create().await;
    let fallbacks = json!({"destination_ids": [fallback.id]});
    let destination = acme
        .destination()
        .webhook(&hook)
        .with("on_exhausted", fallbacks)
        .create()
        .await;
    let expiring = |seconds| {
        let event = json!({"event_type": "report.ready", "payload": 1,
            "destination_ids": [destination.id]});
        let mut event = event;
        event["expires_at"] = json!(in_seconds(seconds));
        acme.submit(event)
    };
    // The receiver asks to wait for longer than the message is of use.
    hook.replies([Reply::status(429).header("retry-after", "600")]);
    let throttled = expiring(60).await;
    let failed = throttled.delivery(0).reaches("failed").await;
    assert_eq!(
        (&failed["reason"], &failed["attempt_count"]),
        (&json!("expired"), &json!(1)),
        "{failed}"
    );
    second.wait_for(1, SOON).await;
    assert_eq!(
        destination.read().await["health"]["consecutive_failures"],
        0,
        "asking for patience is no failure"
    );

    destination.action("pause", json!({})).await.ok(200);
    let paused = expiring(3).await;
    let failed = stage::within(20, "it expires", async || {
        Some(paused.delivery(0).read().await).filter(|delivery| delivery["status"] == "failed")
    });
    let failed = failed.await;
    assert_eq!(
        (&failed["reason"], &failed["attempt_count"]),
        (&json!("expired"), &json!(0)),
        "{failed}"
    );
    let requests = second.wait_for(2, SOON).await;
    assert_eq!(requests[1].header("waybill-failed-reason"), Some("expired"));
    assert_eq!(hook.count(), 1);
}

//! The count of a destination's consecutive failures.

use std::time::Duration;

use futures_util::future::join_all;
use kit::sink::Sink;
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage;

/// Each failed attempt counts once, and the count outlives the process.
#[tokio::test]
async fn failures_are_counted_once_each_and_the_count_survives_a_restart() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(1).create().await;
    assert_eq!(destination.health().await["status"], "unknown");
    sink.answers([500]);
    for number in 0..2 {
        acme.send([&destination], json!(number))
            .await
            .delivery(0)
            .settles()
            .await;
    }
    let before = destination.health().await;
    assert_eq!(before["consecutive_failures"], 4);
    assert_eq!(before["last_error"]["reason"], "server_error");
    assert!(
        before["first_failure_at"].is_string() && before["last_failure_at"].is_string(),
        "{before}"
    );

    stack.kill();
    stack.restart().await;
    let after = destination.health().await;
    assert_eq!(
        (&after["consecutive_failures"], &after["first_failure_at"]),
        (&before["consecutive_failures"], &before["first_failure_at"])
    );
    acme.send([&destination], json!(2))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(destination.health().await["consecutive_failures"], 6);
    destination.action("disable", json!({})).await.ok(200);
    stack.kill();
    stack.restart().await;
    assert_eq!(destination.read().await["status"], "disabled");
}

/// One success ends the streak.
#[tokio::test]
async fn one_success_ends_the_streak() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers([500, 500, 200]);
    for number in 0..2 {
        acme.send([&destination], json!(number))
            .await
            .delivery(0)
            .settles()
            .await;
    }
    let failing = destination.health().await;
    assert_eq!(
        (&failing["consecutive_failures"], &failing["status"]),
        (&json!(2), &json!("degraded"))
    );
    acme.send([&destination], json!(2))
        .await
        .delivery(0)
        .settles()
        .await;
    let healthy = destination.health().await;
    assert_eq!(
        (
            &healthy["consecutive_failures"],
            &healthy["first_failure_at"]
        ),
        (&json!(0), &json!(null))
    );
    assert!(healthy["last_success_at"].is_string(), "{healthy}");
}

/// Enabling a destination resets its counters.
#[tokio::test]
async fn enabling_resets_the_counter() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(2).create().await;
    sink.answers([500]);
    acme.send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(destination.health().await["consecutive_failures"], 3);
    destination.action("disable", json!({})).await.ok(200);
    destination.action("enable", json!({})).await.ok(200);
    assert_eq!(destination.health().await["consecutive_failures"], 0);
}

/// The number of destinations.
const DESTINATIONS: usize = 12;
/// The number of concurrent failures of each destination before its success.
const FIRST: usize = 20;

async fn burst(acme: &Organization, to: &Destination, count: usize) {
    let messages: Vec<Value> = (0..count)
        .map(|n| json!({"event_type": "a", "payload": n, "destination_ids": [to.id]}))
        .collect();
    acme.post("/v1/messages/batch", json!({"messages": messages}))
        .await
        .ok(202);
}

/// Waits until the health of the destination has this status, and returns it.
async fn healthy(destination: &Destination, is: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let health = destination.health().await;
        if is(&health) {
            return health;
        }
        assert!(Instant::now() < deadline, "still {health}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Many destinations fail twenty times concurrently, succeed once, and fail a few times more. Each
/// streak counts the failures after the success, and the totals contain every attempt once.
#[tokio::test]
async fn after_a_storm_each_streak_is_what_came_after_its_own_success_and_the_sums_add_up() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let never = json!({"disable_after_failures": null, "alert_after_failures": 1_000_000});
    let storms = (0..DESTINATIONS).map(async |number| {
        let (receiver, last) = (sink.path(&format!("/{number}")), number % 4 + 1);
        let destination = acme
            .destination()
            .webhook(&receiver)
            .retries(0)
            .with("failure_policy", never.clone())
            .create()
            .await;
        receiver.answers([500]);
        burst(&acme, &destination, FIRST).await;
        healthy(&destination, |health| {
            health["consecutive_failures"] == FIRST
        })
        .await;
        receiver.answers([200]);
        burst(&acme, &destination, 1).await;
        healthy(&destination, |health| {
            health["consecutive_failures"] == 0 && health["last_success_at"].is_string()
        })
        .await;
        receiver.answers([500]);
        burst(&acme, &destination, last).await;
        let all = FIRST + last;
        healthy(&destination, |health| {
            health["last_24h"]["failed_attempts"].as_u64() >= Some(all as u64)
        })
        .await;
        (destination, last)
    });
    let stormed = join_all(storms).await;
    for (destination, last) in &stormed {
        let health = destination.health().await;
        assert_eq!(
            (&health["consecutive_failures"], &health["status"]),
            (&json!(last), &json!("degraded")),
            "{health}"
        );
        let day = &health["last_24h"];
        assert_eq!(
            (&day["succeeded"], &day["failed_attempts"]),
            (&json!(1), &json!(FIRST + last)),
            "{health}"
        );
        assert!(
            health["first_failure_at"].as_str() >= health["last_success_at"].as_str(),
            "{health}"
        );
    }
    let failed: usize = stormed.iter().map(|(_, last)| FIRST + last).sum();
    let sums = acme
        .get("/v1/stats?group_by=destination_type")
        .await
        .ok(200);
    assert_eq!(
        (
            &sums["data"][0]["succeeded"],
            &sums["data"][0]["failed_attempts"]
        ),
        (&json!(DESTINATIONS), &json!(failed)),
        "{sums}"
    );
}

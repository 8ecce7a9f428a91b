//! A destination's streak (R3.4; behaviours 17, 19, 20, 21).

use futures_util::future::join_all;
use kit::sink::Sink;
use kit::stack::{Destination, Organization};
use serde_json::json;

use crate::stage;

/// Behaviour 20: each failed attempt counts once, and the count outlives the process.
#[tokio::test]
async fn failures_are_counted_once_each_and_the_count_survives_a_restart() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(1).create().await;
    assert_eq!(destination.health().await["status"], "unknown");
    sink.answers([500]);
    for number in 0..2 {
        acme.send([&destination], json!(number)).await.delivery(0).settles().await;
    }
    let before = destination.health().await;
    assert_eq!(before["consecutive_failures"], 4);
    assert_eq!(before["last_error"]["reason"], "server_error");
    assert!(before["first_failure_at"].is_string() && before["last_failure_at"].is_string(), "{before}");

    stack.kill();
    stack.restart().await;
    let after = destination.health().await;
    assert_eq!(
        (&after["consecutive_failures"], &after["first_failure_at"]),
        (&before["consecutive_failures"], &before["first_failure_at"])
    );
    acme.send([&destination], json!(2)).await.delivery(0).settles().await;
    assert_eq!(destination.health().await["consecutive_failures"], 6);
    destination.action("disable", json!({})).await.ok(200);
    stack.kill();
    stack.restart().await;
    assert_eq!(destination.read().await["status"], "disabled");
}

/// Behaviour 17, the counter's half: one success ends the streak.
#[tokio::test]
async fn one_success_ends_the_streak() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers([500, 500, 200]);
    for number in 0..2 {
        acme.send([&destination], json!(number)).await.delivery(0).settles().await;
    }
    let failing = destination.health().await;
    assert_eq!((&failing["consecutive_failures"], &failing["status"]), (&json!(2), &json!("degraded")));
    acme.send([&destination], json!(2)).await.delivery(0).settles().await;
    let healthy = destination.health().await;
    assert_eq!((&healthy["consecutive_failures"], &healthy["first_failure_at"]), (&json!(0), &json!(null)));
    assert!(healthy["last_success_at"].is_string(), "{healthy}");
}

/// Behaviour 19: enabling starts from nothing.
#[tokio::test]
async fn enabling_resets_the_counter() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(2).create().await;
    sink.answers([500]);
    acme.send([&destination], json!(1)).await.delivery(0).settles().await;
    assert_eq!(destination.health().await["consecutive_failures"], 3);
    destination.action("disable", json!({})).await.ok(200);
    destination.action("enable", json!({})).await.ok(200);
    assert_eq!(destination.health().await["consecutive_failures"], 0);
}

/// Right after a storm of failures and successes, at many destinations at once, each has the streak that its own last success left.
#[tokio::test]
async fn a_storm_leaves_each_destination_its_own_streak() {
    const DESTINATIONS: usize = 12;
    let (acme, sink) = (stage::organization("Stormy").await, Sink::start().await);
    let never = json!({"alert_after_failures": 1_000_000, "disable_after_failures": null});
    let storms = join_all((0..DESTINATIONS).map(async |n| {
        let receiver = sink.path(&format!("/{n}"));
        let destination = acme.destination().webhook(&receiver).retries(0).with("failure_policy", never.clone()).create().await;
        // Some end with a success, some have none.
        let (before, after) = (5 + n, n % 4);
        receiver.answers([500]);
        at_once(&acme, &destination, before).await;
        let successes = usize::from(n % 5 != 4);
        if successes > 0 {
            receiver.answers([200]);
            at_once(&acme, &destination, successes).await;
            receiver.answers([500]);
        }
        at_once(&acme, &destination, after).await;
        (destination, if successes > 0 { after } else { before + after }, before + after, successes)
    }));
    for (destination, streak, failed, succeeded) in storms.await {
        let health = destination.health().await;
        assert_eq!(health["consecutive_failures"], json!(streak), "{health}");
        assert_eq!(health["first_failure_at"].is_null(), streak == 0, "{health}");
        let counted = stage::until("all attempts are in the statistics", async || {
            let day = destination.health().await["last_24h"].clone();
            (day["failed_attempts"] == json!(failed) && day["succeeded"] == json!(succeeded)).then_some(())
        });
        counted.await;
    }
}

/// Sends so many messages at the same time, and waits for the end of each.
async fn at_once(acme: &Organization, destination: &Destination, count: usize) {
    join_all((0..count).map(async |n| acme.send([destination], json!(n)).await.delivery(0).settles().await)).await;
}

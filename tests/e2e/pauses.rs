//! A thousand deliveries wait for a paused destination while the destination or the deliveries are
//! changed.

use std::time::Duration;

use kit::sink::Sink;
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage;
use crate::waiting::{SOON, all_wait_for, in_seconds, numbers, organization, send_numbers};

const THOUSAND: i64 = 1_000;
const PER_SECOND: i64 = 50;

/// Sends a thousand messages with the numbers from 0.
async fn send_thousand(acme: &Organization, destination: &Destination) {
    let message = |number| {
        json!({"event_type": "report.ready", "payload": number,
        "destination_ids": [destination.id]})
    };
    for first in (0..THOUSAND).step_by(100) {
        let messages: Vec<Value> = (first..first + 100).map(message).collect();
        acme.post("/v1/messages/batch", json!({"messages": messages}))
            .await
            .ok(202);
    }
}

#[tokio::test]
async fn a_thousand_wait_for_a_paused_destination_through_a_kill_and_go_out_oldest_first_within_its_limit()
 {
    let mut stack = stage::launch().monitor_interval_seconds(1).start().await;
    let (acme, sink) = (stack.organization("A thousand").await, Sink::start().await);
    let limits = json!({"max_per_second": PER_SECOND});
    let retry = json!({"initial_seconds": 3, "max_retries": 1});
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(retry)
        .with("delivery_limits", limits)
        .create()
        .await;
    sink.answers([503]);
    let failed = send_numbers(&acme, &destination, 3).await;
    for message in &failed {
        message.delivery(0).reaches("retrying").await;
    }
    destination.action("pause", json!({})).await.ok(200);
    sink.forget();
    sink.answers([200]);
    send_thousand(&acme, &destination).await;
    // The retries fall due meanwhile.
    sleep(Duration::from_secs(4)).await;
    stack.kill();
    stack.restart().await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(sink.count(), 0, "nothing is sent");
    assert!(all_wait_for(&acme, &destination, "pause").await);
    let health = destination.health().await;
    assert_eq!(
        (&health["consecutive_failures"], &health["pending"]),
        (&json!(3), &json!(1_003)),
        "nothing is counted"
    );
    assert!(
        acme.list(&format!(
            "/v1/deliveries?destination_id={}&status=failed",
            destination.id
        ))
        .await
        .is_empty()
    );

    destination.action("resume", json!({})).await.ok(200);
    sink.wait_for(1_003, Duration::from_secs(120)).await;
    sleep(Duration::from_secs(1)).await;
    let requests = sink.requests();
    let mut ids: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.header("webhook-id"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), requests.len()), (1_003, 1_003), "each once");
    let took = (requests[1_002].at - requests[0].at).as_secs_f64();
    assert!(1_002.0 / took < PER_SECOND as f64 * 1.1, "{took} s");
    // The first three are retries. A delivery that misses its turn on a busy machine is sent later,
    // so only the halves are compared.
    let order: Vec<i64> = numbers(&requests);
    let early = order
        .iter()
        .take(503)
        .filter(|number| **number < 500)
        .count();
    println!("{early} of the older 500 were in the first half; all took {took:.1} s");
    assert!(early >= 400, "oldest first: {order:?}");
}

#[tokio::test]
async fn a_backfill_to_a_paused_destination_waits_and_arrives_once() {
    let (acme, sink) = (organization("Paused backfill").await, Sink::start().await);
    let (first, second) = (sink.path("/first"), sink.path("/second"));
    let old = acme.destination().webhook(&first).create().await;
    for message in send_numbers(&acme, &old, 5).await {
        message.delivery(0).reaches("succeeded").await;
    }
    let new = acme.destination().webhook(&second).create().await;
    new.action("pause", json!({"until": in_seconds(3_600)}))
        .await
        .ok(200);
    let body = json!({"kind": "backfill", "destination_id": new.id,
        "filter": {"event_type": "report.ready", "since": in_seconds(-600)}});
    for (done, what) in [
        (5, "the first job adds them"),
        (0, "the second one finds them"),
    ] {
        let job = acme.post("/v1/jobs", body.clone()).await.ok(202);
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let finished = async || {
            Some(acme.get(&path).await.ok(200)).filter(|job| job["finished_at"].is_string())
        };
        assert_eq!(
            stage::within(30, "the job ends", finished).await["done"],
            done,
            "{what}"
        );
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(second.count(), 0);
    assert!(all_wait_for(&acme, &new, "pause").await);
    new.action("resume", json!({})).await.ok(200);
    second.wait_for(5, SOON).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(second.count(), 5);
}

#[tokio::test]
async fn a_pause_may_be_replaced_and_ended_many_times_while_deliveries_wait() {
    let (acme, sink) = (organization("Again and again").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    destination.action("pause", json!({})).await.ok(200);
    let messages = send_numbers(&acme, &destination, 30).await;
    let actions = (0..8).map(|number| {
        let destination = &destination;
        async move {
            let body = if number % 4 == 0 {
                json!({"until": in_seconds(2)})
            } else {
                json!({})
            };
            let action = if number % 2 == 0 { "pause" } else { "resume" };
            let answer = destination.action(action, body).await;
            assert!(
                answer.status == 200 || answer.status == 409,
                "{}",
                answer.text()
            );
        }
    });
    futures_util::future::join_all(actions).await;
    destination.action("resume", json!({})).await.ok(200);
    for message in &messages {
        assert_eq!(
            message.delivery(0).reaches("succeeded").await["attempt_count"],
            1
        );
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(sink.count(), 30, "each once");
}

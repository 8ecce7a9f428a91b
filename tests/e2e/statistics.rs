//! Statistics: a destination's health over time, and the totals of an organization.

use kit::sink::Sink;
use serde_json::json;

use crate::stage;

/// Attempts are counted by the hour: successes, failures by reason, percentiles; a test is in none
/// of them.
#[tokio::test]
async fn attempts_are_counted_by_hour_and_a_test_is_in_no_statistic() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    assert_eq!(
        destination.health().await["last_24h"]["success_rate"],
        json!(null)
    );
    sink.answers([200, 500, 429, 200]);
    for number in 0..3 {
        acme.send([&destination], json!(number))
            .await
            .delivery(0)
            .settles()
            .await;
    }
    destination.action("test", json!({})).await.ok(202);
    let health = stage::until(
        "three attempts are counted and the test has ended",
        async || {
            let health = destination.health().await;
            let counted = &health["last_24h"];
            (counted["succeeded"] == 1 && counted["failed_attempts"] == 2 && health["pending"] == 0)
                .then_some(health)
        },
    )
    .await;
    assert_eq!(health["last_24h"]["success_rate"], json!(0.3333));
    assert!(health["last_24h"]["latency_ms"]["p99"].is_u64(), "{health}");

    let buckets = acme
        .get(&format!("{}/health", destination.path()))
        .await
        .ok(200);
    let buckets = buckets["data"].as_array().unwrap().clone();
    assert_eq!(buckets.len(), 24);
    let last = &buckets[23];
    assert_eq!(
        (&last["succeeded"], &last["failed_attempts"]),
        (&json!(1), &json!({"server_error": 1, "rate_limited": 1}))
    );
    assert_eq!(buckets[0]["failed_attempts"], json!({}));

    let sums = acme
        .get("/v1/stats?group_by=destination_type")
        .await
        .ok(200);
    assert_eq!(
        (
            &sums["data"][0]["group"],
            &sums["data"][0]["failed_attempts"]
        ),
        (&json!("webhook"), &json!(2))
    );
    let sums = acme.get("/v1/stats?group_by=event_type").await.ok(200);
    assert_eq!(sums["data"].as_array().unwrap().len(), 1);
    let asked = acme
        .get(&format!(
            "{}/health?since=2020-01-01T00:00:00Z",
            destination.path()
        ))
        .await;
    assert_eq!(asked.status, 422);
}

/// Pending deliveries are counted when the destination is read.
#[tokio::test]
async fn waiting_deliveries_count_as_pending() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(json!({"initial_seconds": 600}))
        .create()
        .await;
    sink.answers([500]);
    for number in 0..2 {
        acme.send([&destination], json!(number)).await;
    }
    stage::until("two deliveries wait", async || {
        (destination.health().await["pending"] == 2).then_some(())
    })
    .await;
}

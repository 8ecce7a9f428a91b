//! Measures the effect of a job on live traffic: failed deliveries are replayed while other
//! messages are sent.

use std::time::Duration;

use kit::sink::Sink;
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::percentile;

/// The most messages that the API accepts in one request.
const BATCH: usize = 100;
/// The time between two live messages.
const LIVE_EVERY: Duration = Duration::from_millis(20);
/// Live messages measured before the job begins.
const LIVE_BEFORE: usize = 500;
const FAILED_MAX: Duration = Duration::from_secs(1800);
const JOB_MAX: Duration = Duration::from_secs(3600);

/// Lets `count` deliveries fail, replays them by one job, and prints how long live messages took
/// before and during the job.
pub(crate) async fn measure(organization: &Organization, count: usize) {
    let (broken, live) = (Sink::start().await, Sink::start().await);
    let never = json!({"disable_after_failures": null, "alert_after_failures": 1_000_000});
    let failing = organization
        .destination()
        .webhook(&broken)
        .retries(0)
        .with("failure_policy", never)
        .create()
        .await;
    let other = organization.destination().webhook(&live).create().await;
    broken.answers([500]);
    let began = Instant::now();
    fail(organization, &failing, count).await;
    println!(
        "{count} deliveries have failed after {:.1?}",
        began.elapsed()
    );
    broken.forget();
    broken.answers([200]);
    let alone = live_latencies(organization, &other, &live, async |sent| sent < LIVE_BEFORE).await;
    let retry =
        json!({"kind": "retry", "filter": {"destination_id": failing.id, "status": "failed"}});
    let began = Instant::now();
    let job = organization.post("/v1/jobs", retry.clone()).await.ok(202);
    let path = format!("/v1/jobs/{}", job["id"].as_str().expect("an id"));
    let meanwhile = live_latencies(organization, &other, &live, async |sent| {
        let job = organization.get(&path).await.ok(200);
        if sent.is_multiple_of(500) {
            println!("{} of {}", job["done"], job["total"]);
        }
        assert!(began.elapsed() < JOB_MAX, "{job}");
        job["status"] == "queued" || job["status"] == "running"
    });
    let meanwhile = meanwhile.await;
    let took = began.elapsed();
    broken.wait_for(count, FAILED_MAX).await;
    let again = organization.post("/v1/jobs", retry).await.ok(202);
    sleep(Duration::from_secs(5)).await;
    let again = organization
        .get(&format!(
            "/v1/jobs/{}",
            again["id"].as_str().expect("an id")
        ))
        .await
        .ok(200);
    println!(
        "{count} replayed in {took:.1?} ({:.0}/s); live p50 {:.1?} → {:.1?}, p99 {:.1?} → {:.1?} \
         ({} messages); received {}; again: {} done",
        count as f64 / took.as_secs_f64(),
        percentile(&alone, 50),
        percentile(&meanwhile, 50),
        percentile(&alone, 99),
        percentile(&meanwhile, 99),
        meanwhile.len(),
        broken.count(),
        again["done"],
    );
}

async fn fail(organization: &Organization, to: &Destination, count: usize) {
    for first in (0..count).step_by(BATCH) {
        let message = |n: usize| {
            json!({"event_type": "load.failed", "payload": n,
            "destination_ids": [to.id]})
        };
        let messages: Vec<Value> = (first..count.min(first + BATCH)).map(message).collect();
        organization
            .post("/v1/messages/batch", json!({"messages": messages}))
            .await
            .ok(202);
    }
    let filter = json!({"destination_id": to.id, "status": "failed"});
    let deadline = Instant::now() + FAILED_MAX;
    loop {
        let counted = organization
            .post(
                "/v1/jobs",
                json!({"kind": "retry", "filter": filter, "dry_run": true}),
            )
            .await
            .ok(200);
        if counted["total"].as_u64() == Some(count as u64) {
            return;
        }
        assert!(Instant::now() < deadline, "{counted}");
        sleep(Duration::from_secs(1)).await;
    }
}

/// Sends one message after another as long as `goes_on` returns true. Returns how long each took,
/// sorted.
async fn live_latencies(
    organization: &Organization,
    to: &Destination,
    sink: &Sink,
    goes_on: impl AsyncFn(usize) -> bool,
) -> Vec<Duration> {
    sink.forget();
    let mut submitted = Vec::new();
    while goes_on(submitted.len()).await {
        let body = json!({"event_type": "load.live", "payload": submitted.len(),
            "destination_ids": [to.id]});
        submitted.push(Instant::now());
        organization.post("/v1/messages", body).await.ok(202);
        sleep(LIVE_EVERY).await;
    }
    let requests = sink
        .wait_for(submitted.len(), Duration::from_secs(120))
        .await;
    let number = |request: &kit::sink::Received| {
        usize::try_from(request.json().as_u64().expect("a number")).expect("small")
    };
    let mut latencies: Vec<Duration> = requests
        .iter()
        .map(|request| request.at - submitted[number(request)])
        .collect();
    latencies.sort_unstable();
    latencies
}

//! Jobs that act on many deliveries, and the erasure of an organization.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kit::sink::Sink;
use kit::stack::{Caller, Destination, Organization};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::stage;
use crate::uploads::put;

/// The number of deliveries, which is enough for several chunks.
const FEW: usize = 120;
const MANY: usize = 1_000;

/// Submits that many messages to a destination and waits until all have failed.
async fn failures(acme: &Organization, to: &Destination, count: usize) {
    for batch in 0..count.div_ceil(100) {
        let message = |n| {
            json!({"event_type": "report.ready", "payload": batch * 100 + n,
            "destination_ids": [to.id]})
        };
        let messages: Vec<Value> = (0..100.min(count - batch * 100)).map(message).collect();
        acme.post("/v1/messages/batch", json!({"messages": messages}))
            .await
            .ok(202);
    }
    let filter = json!({"destination_id": to.id, "status": "failed"});
    until(Duration::from_secs(60), async || {
        matching(acme, &filter).await == count
    })
    .await;
}

async fn matching(acme: &Organization, filter: &Value) -> usize {
    let counted = acme
        .post(
            "/v1/jobs",
            json!({"kind": "retry", "filter": filter, "dry_run": true}),
        )
        .await
        .ok(200);
    usize::try_from(counted["total"].as_u64().unwrap()).unwrap()
}

async fn until(limit: Duration, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {limit:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn over(caller: &Caller, job: &Value) -> Value {
    let path = format!(
        "/v1/jobs/{}?organization_id={}",
        job["id"].as_str().unwrap(),
        job["organization_id"].as_str().unwrap()
    );
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let job = caller.get(&path).await.ok(200);
        if !["queued", "running"].contains(&job["status"].as_str().unwrap()) {
            return job;
        }
        assert!(Instant::now() < deadline, "still {job}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn failing(acme: &Organization, sink: &Sink) -> Destination {
    let never = json!({"disable_after_failures": null, "alert_after_failures": 1_000_000});
    acme.destination()
        .webhook(sink)
        .retries(0)
        .with("failure_policy", never)
        .create()
        .await
}

/// A job covers all matches of the filter, not one page, and shows its progress. If it is requested
/// twice, it sends nothing twice.
#[tokio::test]
async fn bulk_retry_covers_the_filter_and_running_it_twice_sends_nothing_twice() {
    let (acme, sink, other) = (
        stage::organization("Acme").await,
        Sink::start().await,
        Sink::start().await,
    );
    let (destination, spared) = (failing(&acme, &sink).await, failing(&acme, &other).await);
    sink.answers([500]);
    other.answers([500]);
    failures(&acme, &destination, FEW).await;
    failures(&acme, &spared, 1).await;
    sink.forget();
    sink.answers([200]);
    let retry = json!({"kind": "retry",
        "filter": {"destination_id": destination.id, "status": ["failed"]}});
    let (one, two) = tokio::join!(
        acme.post("/v1/jobs", retry.clone()),
        acme.post("/v1/jobs", retry.clone())
    );
    let (one, two) = (
        over(&acme, &one.ok(202)).await,
        over(&acme, &two.ok(202)).await,
    );
    assert_eq!(
        (&one["status"], &two["status"], &one["failed"]),
        (&json!("finished"), &json!("finished"), &json!(0)),
        "{one} {two}"
    );
    let done = |job: &Value| job["done"].as_u64().unwrap();
    assert_eq!(done(&one) + done(&two), FEW as u64, "{one} {two}");
    until(Duration::from_secs(30), async || sink.count() == FEW).await;
    let third = over(&acme, &acme.post("/v1/jobs", retry).await.ok(202)).await;
    assert_eq!((&third["total"], &third["done"]), (&json!(0), &json!(0)));
    sleep(Duration::from_millis(500)).await;
    assert_eq!((sink.count(), other.count()), (FEW, 1));
    assert_eq!(acme.list("/v1/jobs?limit=2").await.len(), 3);
    acme.post(
        &format!("/v1/jobs/{}/cancel", third["id"].as_str().unwrap()),
        json!({}),
    )
    .await
    .problem(409, "already_finished");
}

/// The progress of a job can be read while it runs.
#[tokio::test]
async fn a_jobs_progress_moves_from_nothing_to_its_total() {
    const SOME: usize = 300;
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = failing(&acme, &sink).await;
    sink.answers([500]);
    failures(&acme, &destination, SOME).await;
    sink.answers([200]);
    let job = acme
        .post(
            "/v1/jobs",
            json!({"kind": "retry", "filter": {"destination_id": destination.id}}),
        )
        .await
        .ok(202);
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let (mut seen, deadline) = (vec![job], Instant::now() + Duration::from_secs(90));
    while seen.last().unwrap()["status"] != "finished" {
        assert!(Instant::now() < deadline, "still {:?}", seen.last());
        sleep(Duration::from_millis(25)).await;
        seen.push(acme.get(&path).await.ok(200));
    }
    let mut done: Vec<u64> = seen
        .iter()
        .map(|job| job["done"].as_u64().unwrap())
        .collect();
    assert!(done.is_sorted(), "it only grows: {done:?}");
    done.dedup();
    assert!(
        done.len() > 4 && done.first() == Some(&0) && done.last() == Some(&(SOME as u64)),
        "{done:?}"
    );
    let totals: Vec<&Value> = seen
        .iter()
        .filter(|job| job["status"] == "running")
        .map(|job| &job["total"])
        .collect();
    assert!(
        totals.iter().all(|total| **total == json!(SOME)),
        "{totals:?}"
    );
}

/// A job that is killed continues where it was, and can be cancelled.
#[tokio::test]
async fn a_job_that_is_killed_goes_on_and_one_that_is_cancelled_stops() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = failing(&acme, &sink).await;
    sink.answers([500]);
    failures(&acme, &destination, MANY).await;
    sink.forget();
    sink.answers([200]);
    let retry = json!({"kind": "retry", "filter": {"status": "failed"}});
    let job = acme.post("/v1/jobs", retry.clone()).await.ok(202);
    until(Duration::from_secs(30), async || sink.count() > MANY / 10).await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let cancelled = acme
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .ok(200);
    assert_eq!(cancelled["status"], "cancelled");
    // What was queued before is still sent.
    until(Duration::from_secs(30), async || {
        let before = sink.count();
        sleep(Duration::from_secs(2)).await;
        sink.count() == before
    })
    .await;
    let sent = sink.count();
    assert!(sent < MANY, "{sent}");
    let job = acme.post("/v1/jobs", retry).await.ok(202);
    assert_eq!(acme.get(&path).await.ok(200)["done"], json!(sent));
    until(Duration::from_secs(30), async || {
        sink.count() > sent + MANY / 10
    })
    .await;
    stack.kill();
    stack.restart().await;
    let job = over(&acme, &job).await;
    assert_eq!(
        (&job["status"], &job["done"]),
        (&json!("finished"), &json!(MANY - sent)),
        "{job}"
    );
    until(Duration::from_secs(90), async || {
        acme.get("/v1/deliveries?status=retrying&limit=1")
            .await
            .ok(200)["data"]
            == json!([])
    })
    .await;
    let mut received = BTreeMap::<String, u32>::new();
    for request in sink.requests() {
        *received
            .entry(request.header("webhook-id").unwrap().to_owned())
            .or_default() += 1;
    }
    let twice = received.values().filter(|times| **times > 1).count();
    assert_eq!(received.len(), MANY, "each arrived");
    // What the workers held at the kill was sent, and the record of it lost: at least once is what
    // is promised.
    assert!(
        twice <= MANY / 10,
        "only what was on its way at the kill came twice: {twice}"
    );
}

/// What was skipped while a destination was disabled is offered for replay when it is
/// enabled.
#[tokio::test]
async fn enabling_delivers_again_what_the_destination_missed() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    destination.action("disable", json!({})).await.ok(200);
    let missed = acme.send([&destination], json!("missed")).await.delivery(0);
    assert_eq!(missed.read().await["status"], "skipped");
    let again = json!({"replay_since": "disabled_at"});
    let enabled = destination.action("enable", again.clone()).await.ok(200);
    assert_eq!(
        (&enabled["status"], &enabled["job"]["kind"]),
        (&json!("enabled"), &json!("replay"))
    );
    let job = over(&acme, &enabled["job"]).await;
    assert_eq!(
        (&job["status"], &job["done"]),
        (&json!("finished"), &json!(1)),
        "{job}"
    );
    let delivered = missed.settles().await;
    assert_eq!(
        (&delivered["status"], &delivered["attempts"][0]["trigger"]),
        (&json!("succeeded"), &json!("replay"))
    );
    assert_eq!(
        destination.action("enable", again).await.ok(200)["job"],
        Value::Null,
        "it is enabled: there is nothing to replay"
    );
    destination
        .action("enable", json!({"replay_since": "yesterday"}))
        .await
        .problem(422, "validation_failed");
}

/// What failed before the destination was disabled is among what it missed.
#[tokio::test]
async fn enabling_delivers_again_what_failed_since_the_first_failure() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers([500, 500, 500]);
    let mut missed = Vec::new();
    for n in 0..3 {
        let delivery = acme.send([&destination], json!(n)).await.delivery(0);
        assert_eq!(delivery.settles().await["status"], "failed");
        missed.push(delivery);
    }
    destination.action("disable", json!({})).await.ok(200);
    let skipped = acme
        .send([&destination], json!("skipped"))
        .await
        .delivery(0);
    assert_eq!(skipped.settles().await["status"], "skipped");
    sink.answers([204; 4]);
    let since = json!({"replay_since": "first_failure_at"});
    let enabled = destination.action("enable", since.clone()).await.ok(200);
    let job = over(&acme, &enabled["job"]).await;
    assert_eq!(
        (&job["total"], &job["done"]),
        (&json!(4), &json!(4)),
        "three failures and what was skipped: {job}"
    );
    for delivery in missed.iter().chain([&skipped]) {
        delivery.reaches("succeeded").await;
    }
    assert_eq!(
        destination.action("enable", since).await.ok(200)["job"],
        Value::Null,
        "it is enabled: there is nothing to replay"
    );
}

/// Of an erased organization, one audit event remains.
#[tokio::test]
async fn only_an_audit_event_remains_of_an_erased_organization() {
    let stack = stage::stack().await;
    let (acme, sink, operator) = (
        stage::organization("Acme").await,
        Sink::start().await,
        stack.operator(),
    );
    let destination = acme.destination().webhook(&sink).create().await;
    let large = acme.send([&destination], json!("x".repeat(200_000))).await;
    large.settles().await;
    let upload = acme
        .post(
            "/v1/uploads",
            json!({"content_type": "text/plain", "size_bytes": 6}),
        )
        .await
        .ok(201);
    assert_eq!(put(&upload, Bytes::from_static(b"unused")).await, 200);
    assert_ne!(
        put(&upload, Bytes::from_static(b"unused")).await,
        200,
        "it is there"
    );
    let path = format!("/v1/organizations/{}", acme.id);
    acme.post(&format!("{path}/erase"), json!({}))
        .await
        .problem(403, "forbidden");
    operator.delete(&path).await.problem(409, "not_empty");
    let job = operator
        .post(&format!("{path}/erase"), json!({}))
        .await
        .ok(202);
    assert_eq!(job["kind"], "erase");
    let job = over(&operator, &job).await;
    assert_eq!(
        (&job["status"], &job["done"]),
        (&json!("finished"), &json!(1)),
        "{job}"
    );
    operator.get(&path).await.problem(404, "not_found");
    assert_eq!(
        put(&upload, Bytes::from_static(b"unused")).await,
        200,
        "it was deleted"
    );
    acme.get("/v1/deliveries")
        .await
        .problem(401, "unauthenticated");
    let trail = operator
        .get(&format!("/v1/audit-events?organization_id={}", acme.id))
        .await
        .ok(200);
    assert_eq!(
        stage::texts(trail["data"].as_array().unwrap(), "action"),
        ["organization.erased"]
    );
}

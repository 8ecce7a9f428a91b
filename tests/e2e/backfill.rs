//! A backfill sends a destination the messages that were accepted, match, and were never addressed
//! to it.

use std::time::Duration;

use kit::sink::Sink;
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};

use crate::stage;

async fn finished(acme: &Organization, job: &Value) -> Value {
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    stage::within(60, "the job ends", async || {
        Some(acme.get(&path).await.ok(200)).filter(|job| job["finished_at"].is_string())
    })
    .await
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client is outside of Waybill and has a clock of its own"
)]
fn an_hour_ago() -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string()
}

/// Requests a backfill of all messages since 2020, unless the filter has another time.
async fn asks(
    acme: &Organization,
    destination: &Destination,
    mut filter: Value,
    dry_run: bool,
) -> kit::stack::Answer {
    let members = filter.as_object_mut().unwrap();
    members
        .entry("since")
        .or_insert_with(|| "2020-01-01T00:00:00Z".into());
    let body = json!({"kind": "backfill", "destination_id": destination.id, "filter": filter,
        "dry_run": dry_run});
    acme.post("/v1/jobs", body).await
}

#[tokio::test]
async fn a_destination_gets_each_message_that_it_missed_once_also_with_two_jobs_and_a_kill_in_the_middle()
 {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Backfill").await, Sink::start().await);
    let (before, after) = (sink.path("/before"), sink.path("/after"));
    let first = acme.destination().webhook(&before).create().await;
    for number in 0..100 {
        let event_type = if number % 5 < 2 {
            "invoice.paid"
        } else {
            "report.ready"
        };
        let message =
            json!({"event_type": event_type, "payload": number, "destination_ids": [first.id]});
        acme.submit(message).await;
    }
    let late = acme
        .destination()
        .webhook(&after)
        .event_types(["invoice.*"])
        .create()
        .await;
    assert_eq!(
        asks(&acme, &late, json!({}), true).await.ok(200)["total"],
        40
    );
    let job = asks(&acme, &late, json!({}), false).await.ok(202);
    let second = asks(&acme, &late, json!({}), false).await.ok(202);
    tokio::time::sleep(Duration::from_millis(150)).await;
    stack.kill();
    stack.restart().await;
    let (job, second) = (finished(&acme, &job).await, finished(&acme, &second).await);
    assert_eq!(
        (&job["status"], &second["status"]),
        (&json!("finished"), &json!("finished")),
        "{job} {second}"
    );
    let requests = after.wait_for(40, Duration::from_secs(30)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // A kill during an attempt repeats it under the same id.
    let mut ids: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.header("webhook-id"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    assert_eq!(
        asks(&acme, &late, json!({}), true).await.ok(200)["total"],
        0
    );
    let again = finished(&acme, &asks(&acme, &late, json!({}), false).await.ok(202)).await;
    assert_eq!((&again["total"], &again["done"]), (&json!(0), &json!(0)));
    let others = asks(&acme, &late, json!({"event_type": "report.ready"}), true)
        .await
        .ok(200);
    assert_eq!(others["total"], 60, "{others}");
    assert!(others["not_kept_before"].is_string(), "{others}");
}

#[tokio::test]
async fn a_backfill_names_its_destination_and_says_what_is_no_longer_kept() {
    let (acme, sink) = (
        stage::organization("Backfill, input").await,
        Sink::start().await,
    );
    let destination = acme.destination().webhook(&sink).create().await;
    let counted = asks(&acme, &destination, json!({"since": an_hour_ago()}), true)
        .await
        .ok(200);
    assert_eq!(counted, json!({"total": 0}), "all of it is kept");
    let long_ago = asks(
        &acme,
        &destination,
        json!({"since": "2020-01-01T00:00:00Z"}),
        false,
    )
    .await
    .ok(202);
    assert!(long_ago["not_kept_before"].is_string(), "{long_ago}");
    let missing = acme
        .post(
            "/v1/jobs",
            json!({"kind": "backfill", "filter": {"status": ["failed"]}}),
        )
        .await;
    missing.problem(422, "validation_failed");
    assert_eq!(
        missing.mistakes(),
        ["/destination_id", "/filter/since", "/filter/status"]
    );
    let without_filter = acme
        .post(
            "/v1/jobs",
            json!({"kind": "backfill", "destination_id": destination.id}),
        )
        .await;
    without_filter.problem(422, "validation_failed");
    assert_eq!(without_filter.mistakes(), ["/filter"]);
    let foreign = stage::organization("Backfill, other")
        .await
        .destination()
        .webhook(&sink)
        .create()
        .await;
    asks(&acme, &foreign, json!({}), true)
        .await
        .problem(404, "not_found");
}

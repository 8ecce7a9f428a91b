//! Alerts by failure rate, and automatic recovery, as clients see them.

use std::time::Duration;

use kit::sink::Sink;
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage;

/// Requests one after the other, so that their outcomes alternate as the sink's do.
async fn sends(acme: &Organization, destination: &Destination, count: usize) {
    for number in 0..count {
        acme.send([destination], json!(number))
            .await
            .delivery(0)
            .settles()
            .await;
    }
}

async fn failing_alerts(acme: &Organization) -> Vec<Value> {
    let alerts = acme.list("/v1/alerts").await;
    alerts
        .into_iter()
        .filter(|alert| alert["type"] == "waybill.destination.failing")
        .collect()
}

#[tokio::test]
async fn a_receiver_that_fails_every_second_time_alerts_exactly_once_by_rate() {
    let stack = stage::launch().monitor_interval_seconds(1).start().await;
    let (acme, sink, pager) = (
        stack.organization("Unsteady").await,
        Sink::start().await,
        Sink::start().await,
    );
    let pager_destination = acme.destination().webhook(&pager).create().await;
    acme.settings(
        json!({"alert_destination_ids": [pager_destination.id], "alert_debounce_seconds": 0}),
    )
    .await
    .ok(200);
    let rate = json!({"percent": 40, "window_seconds": 300, "min_attempts": 10});
    let destination = acme
        .destination()
        .webhook(&sink)
        .retries(0)
        .with("failure_policy", json!({"failure_rate": rate}))
        .create()
        .await;
    assert_eq!(
        destination.created["failure_policy"]["failure_rate"], rate,
        "{}",
        destination.created
    );
    let plain = acme
        .destination()
        .webhook(&sink.path("/plain"))
        .retries(0)
        .create()
        .await;
    assert_eq!(plain.read().await["failure_policy"], Value::Null);

    sink.answers((0..200).map(|number| if number % 2 == 0 { 500 } else { 200 }));
    sends(&acme, &destination, 8).await;
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(pager.count(), 0, "eight attempts are too few");
    sends(&acme, &destination, 12).await;
    let body = pager.wait_for(1, Duration::from_secs(20)).await[0].json();
    assert_eq!(
        (
            &body["type"],
            &body["data"]["reason"],
            &body["data"]["next"]
        ),
        (
            &json!("waybill.destination.failing"),
            &json!("failure_rate"),
            &json!("retrying")
        )
    );
    assert_eq!(body["data"]["failure_rate"]["percent"], 40, "{body}");
    assert!(
        body["data"]["detail"]
            .as_str()
            .unwrap()
            .contains("attempts in the last 300 s failed"),
        "{body}"
    );
    sends(&acme, &destination, 20).await;
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(
        (pager.count(), failing_alerts(&acme).await.len()),
        (1, 1),
        "once, whatever the debounce"
    );
    assert_eq!(destination.read().await["status"], "enabled");

    sink.answers([200]);
    sends(&acme, &destination, 90).await;
    let recovered = pager.wait_for(2, Duration::from_secs(20)).await[1].json();
    assert_eq!(
        recovered["type"], "waybill.destination.recovered",
        "{recovered}"
    );
}

#[tokio::test]
async fn the_limits_of_a_failure_policy_are_refused_at_their_pointers_and_null_clears() {
    let (acme, sink) = (stage::organization("Limits").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let good = json!({"percent": 50, "window_seconds": 900, "min_attempts": 20});
    for (member, values) in [
        ("percent", [0, 101]),
        ("window_seconds", [299, 86_401]),
        ("min_attempts", [9, 10_001]),
    ] {
        for value in values {
            let mut bad = good.clone();
            bad[member] = json!(value);
            let pointer = format!("/failure_policy/failure_rate/{member}");
            let patch = json!({"failure_policy": {"failure_rate": bad}});
            let refused = acme.patch(&destination.path(), patch.clone()).await;
            refused.problem(422, "validation_failed");
            assert_eq!(refused.mistakes(), [&*pointer], "{value}");
            let refused = acme
                .destination()
                .webhook(&sink)
                .with("failure_policy", patch["failure_policy"].clone())
                .asks()
                .await;
            assert_eq!(refused.mistakes(), [&*pointer], "{value}");
            let refused = acme.settings(patch).await;
            refused.problem(422, "validation_failed");
            assert_eq!(
                refused.mistakes(),
                [format!("/settings{pointer}")],
                "{value}"
            );
        }
    }
    let odd = json!({"failure_policy": {"failure_rate": {"percent": 50, "unit": "x"},
        "auto_recover": "yes", "auto": true}});
    let refused = acme.patch(&destination.path(), odd).await;
    refused.problem(422, "validation_failed");
    let mut expected = ["/failure_policy/auto", "/failure_policy/auto_recover"]
        .map(str::to_owned)
        .to_vec();
    expected.extend(
        ["min_attempts", "unit", "window_seconds"]
            .map(|name| format!("/failure_policy/failure_rate/{name}")),
    );
    assert_eq!(refused.mistakes(), expected);
    assert_eq!(
        destination.read().await["failure_policy"],
        Value::Null,
        "nothing was stored"
    );

    let changed = destination
        .change(json!({"failure_policy": {"failure_rate": good, "auto_recover": true}}))
        .await;
    let policy = json!({"alert_after_failures": 5, "disable_after_failures": 20,
        "disable_min_failing_seconds": 300, "failure_rate": good, "auto_recover": true});
    assert_eq!(changed["failure_policy"], policy);
    let merged = destination
        .change(json!({"failure_policy": {"failure_rate": {"percent": 10}}}))
        .await;
    assert_eq!(
        merged["failure_policy"]["failure_rate"],
        json!({"percent": 10, "window_seconds": 900, "min_attempts": 20})
    );
    assert_eq!(
        merged["failure_policy"]["auto_recover"], true,
        "a merge patch keeps what it does not name"
    );
    let cleared = destination
        .change(json!({"failure_policy": {"failure_rate": null, "auto_recover": null}}))
        .await;
    assert_eq!(
        (
            &cleared["failure_policy"]["failure_rate"],
            &cleared["failure_policy"]["auto_recover"]
        ),
        (&Value::Null, &json!(false))
    );
    assert_eq!(
        destination.change(json!({"failure_policy": null})).await["failure_policy"],
        Value::Null
    );
    let settings = acme
        .settings(json!({"failure_policy": {"failure_rate": good, "auto_recover": true}}))
        .await
        .ok(200);
    assert_eq!(settings["settings"]["failure_policy"], policy);
    let settings = acme
        .settings(json!({"failure_policy": {"failure_rate": null}}))
        .await
        .ok(200);
    assert_eq!(
        settings["settings"]["failure_policy"]["failure_rate"],
        Value::Null
    );
}

/// The first checks of the schedule in real time; the whole of it is shown in the simulation.
#[tokio::test]
async fn a_disabled_destination_recovers_when_its_receiver_works_and_receives_everything_once() {
    let mut stack = stage::launch().monitor_interval_seconds(1).start().await;
    let (acme, sink) = (stack.organization("Unaided").await, Sink::start().await);
    let policy = json!({"alert_after_failures": 2, "disable_after_failures": 3,
        "disable_min_failing_seconds": 0, "auto_recover": true});
    let destination = acme
        .destination()
        .webhook(&sink)
        .retries(0)
        .with("failure_policy", policy.clone())
        .create()
        .await;
    let checked = sink.count();
    let by_hand = acme
        .destination()
        .webhook(&sink.path("/by-hand"))
        .with("failure_policy", policy)
        .create()
        .await;
    by_hand.action("disable", json!({})).await.ok(200);
    sink.answers([500, 500, 500, 200]);
    let mut missed = Vec::new();
    for number in 0..3 {
        missed.push(acme.send([&destination], json!(number)).await.delivery(0));
    }
    let disabled = stage::until("it is disabled", async || {
        Some(destination.read().await).filter(|read| read["status"] == "disabled")
    })
    .await;
    for number in 3..6 {
        missed.push(acme.send([&destination], json!(number)).await.delivery(0));
    }
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let next = &disabled["disabled"]["next_check_at"];
    assert_eq!(
        (at(next).as_millisecond() - at(&disabled["disabled"]["at"]).as_millisecond()) / 1000,
        60,
        "{disabled}"
    );
    let listed = acme.list("/v1/destinations?status=disabled").await;
    let of = |id: &str| {
        listed.iter().find(|listed| listed["id"] == id).unwrap()["disabled"]["next_check_at"]
            .clone()
    };
    assert_eq!((&of(&destination.id), of(&by_hand.id)), (next, Value::Null));
    let alert = acme
        .list("/v1/alerts")
        .await
        .into_iter()
        .find(|alert| {
            alert["type"] == "waybill.destination.disabled"
                && alert["data"]["destination"]["id"] == json!(destination.id)
        })
        .unwrap();
    assert_eq!(&alert["data"]["next_check_at"], next, "{alert}");

    stack.kill();
    stack.restart().await;
    let back = stage::within(90, "it comes back", async || {
        Some(destination.read().await).filter(|read| read["status"] == "enabled")
    })
    .await;
    assert!(
        back["disabled"].is_null() && back["verified_at"].is_string(),
        "{back}"
    );
    for delivery in &missed {
        delivery.reaches("succeeded").await;
    }
    let mut arrived: Vec<String> = sink.requests()[checked + 3..]
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    arrived.retain(|body| body.parse::<u32>().is_ok());
    arrived.sort();
    assert_eq!(arrived, ["0", "1", "2", "3", "4", "5"], "each once");
    let enabled = acme.audited("destination.enabled").await.remove(0);
    assert_eq!(
        (&enabled["actor"]["kind"], &enabled["target"]),
        (&json!("system"), &json!(destination.id))
    );
    assert_eq!(
        enabled["changes"],
        json!([{"path": "/status", "before": "disabled", "after": "enabled"}])
    );
    let jobs = acme.list("/v1/jobs").await;
    assert_eq!(
        (jobs.len(), &jobs[0]["kind"], &jobs[0]["done"]),
        (1, &json!("replay"), &json!(6)),
        "{jobs:?}"
    );
    let kinds = stage::texts(&acme.list("/v1/alerts").await, "type");
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| *kind == "waybill.destination.enabled")
            .count(),
        1,
        "{kinds:?}"
    );
    assert_eq!(by_hand.read().await["status"], "disabled");
}

#[tokio::test]
async fn enabling_replays_since_the_first_failure_when_asked_to() {
    let stack = stage::launch().monitor_interval_seconds(1).start().await;
    let (acme, sink) = (stack.organization("By hand").await, Sink::start().await);
    let policy = json!({"alert_after_failures": 2, "disable_after_failures": 3,
        "disable_min_failing_seconds": 0});
    let destination = acme
        .destination()
        .webhook(&sink)
        .retries(0)
        .with("failure_policy", policy)
        .create()
        .await;
    sink.answers([500, 200, 500, 500, 500, 200]);
    sends(&acme, &destination, 2).await;
    sleep(Duration::from_millis(50)).await;
    sends(&acme, &destination, 3).await;
    let disabled = stage::until("it is disabled", async || {
        Some(destination.read().await).filter(|read| read["status"] == "disabled")
    })
    .await;
    assert!(
        disabled["disabled"]["next_check_at"].is_null(),
        "{disabled}"
    );
    sends(&acme, &destination, 1).await;
    let job = destination
        .action("enable", json!({"replay_since": "first_failure_at"}))
        .await
        .ok(200)["job"]
        .clone();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let finished = stage::until("the replay ends", async || {
        Some(acme.get(&path).await.ok(200)).filter(|job| job["status"] == "finished")
    })
    .await;
    assert_eq!(
        finished["done"], 4,
        "three that failed and one that was skipped, and not the failure before the success: \
         {finished}"
    );
}

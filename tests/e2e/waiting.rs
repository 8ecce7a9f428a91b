//! Waiting: paused destinations and destinations with limits. What waits is not lost, is not an
//! attempt, and delays no other destination.

use std::time::Duration;

use kit::sink::{Received, Sink};
use kit::stack::{Destination, Message, Organization, Stack};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::stage;

static FREQUENT_MONITOR: OnceCell<Stack> = OnceCell::const_new();
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Starts a process whose monitor runs every second.
pub(crate) async fn organization(name: &str) -> Organization {
    FREQUENT_MONITOR
        .get_or_init(|| stage::launch().monitor_interval_seconds(1).start())
        .await
        .organization(name)
        .await
}

pub(crate) async fn send_numbers(
    acme: &Organization,
    destination: &Destination,
    count: u32,
) -> Vec<Message> {
    let mut messages = Vec::new();
    for number in 0..count {
        messages.push(acme.send([destination], json!(number)).await);
    }
    messages
}

/// Whether every unfinished delivery is shown as waiting for this.
pub(crate) async fn all_wait_for(
    acme: &Organization,
    destination: &Destination,
    reason: &str,
) -> bool {
    let path = format!(
        "/v1/deliveries?destination_id={}&status=queued&status=retrying&limit=100",
        destination.id
    );
    let open = acme.list(&path).await;
    !open.is_empty()
        && open
            .iter()
            .all(|delivery| delivery["waiting_for"] == reason)
}

pub(crate) fn numbers(requests: &[Received]) -> Vec<i64> {
    requests
        .iter()
        .map(|request| request.json().as_i64().expect("a number"))
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client is outside of Waybill and has a clock of its own"
)]
pub(crate) fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[tokio::test]
async fn deliveries_wait_while_a_destination_is_paused_and_are_sent_oldest_first_when_it_is_resumed()
 {
    let (acme, sink) = (organization("Paused").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(json!({"initial_seconds": 600}))
        .create()
        .await;
    sink.answers([503]);
    let failed_before = acme.send([&destination], json!(-1)).await.delivery(0);
    failed_before.reaches("retrying").await;
    let paused = destination
        .action("pause", json!({"reason": "maintenance"}))
        .await
        .ok(200);
    assert_eq!(
        (
            &paused["status"],
            &paused["paused"]["by"],
            &paused["paused"]["reason"]
        ),
        (&json!("paused"), &json!("user"), &json!("maintenance"))
    );
    assert!(
        paused["paused"]["at"].is_string() && paused["paused"]["until"].is_null(),
        "{paused}"
    );
    sink.answers([200]);
    let messages = send_numbers(&acme, &destination, 60).await;
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(sink.count(), 1, "nothing is sent");
    assert!(all_wait_for(&acme, &destination, "pause").await);
    let waiting = messages[0].delivery(0).read().await;
    assert_eq!(
        (
            &waiting["status"],
            &waiting["attempt_count"],
            &waiting["expected_at"]
        ),
        (&json!("queued"), &json!(0), &Value::Null)
    );
    assert_eq!(failed_before.read().await["waiting_for"], "pause");
    assert_eq!(
        destination.health().await["consecutive_failures"],
        1,
        "nothing is counted"
    );
    assert_eq!(destination.health().await["pending"], 61);
    assert_eq!(acme.list("/v1/destinations?status=paused").await.len(), 1);
    assert!(
        acme.list("/v1/destinations?status=enabled")
            .await
            .is_empty()
    );
    destination
        .action("test", json!({"payload": -2}))
        .await
        .ok(202);
    sink.wait_for(2, SOON).await;

    let resumed = destination.action("resume", json!({})).await.ok(200);
    assert_eq!(
        (&resumed["status"], &resumed["paused"]),
        (&json!("enabled"), &Value::Null)
    );
    let requests = sink.wait_for(62, SOON).await;
    let order = numbers(&requests[2..]);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..60).collect::<Vec<i64>>(), "each once");
    // Workers take several batches at once, so that the order is not strict without a limit.
    let (first, second): (i64, i64) = (order[..30].iter().sum(), order[30..].iter().sum());
    assert!(first < second, "oldest first: {order:?}");
    let read = failed_before.read().await;
    assert_eq!(
        (&read["status"], &read["waiting_for"]),
        (&json!("retrying"), &Value::Null)
    );
    for action in ["destination.paused", "destination.resumed"] {
        assert_eq!(acme.audited(action).await.len(), 1, "{action}");
    }
}

#[tokio::test]
async fn waiting_deliveries_survive_a_kill_and_are_sent_once_after_the_pause() {
    let mut stack = stage::launch().monitor_interval_seconds(1).start().await;
    let (acme, sink) = (stack.organization("Killed").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    destination.action("pause", json!({})).await.ok(200);
    let messages = send_numbers(&acme, &destination, 20).await;
    sleep(Duration::from_secs(1)).await;
    stack.kill();
    stack.restart().await;
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(sink.count(), 0);
    assert!(all_wait_for(&acme, &destination, "pause").await);
    destination
        .action("pause", json!({"until": in_seconds(2)}))
        .await
        .ok(200);
    for message in &messages {
        message.delivery(0).reaches("succeeded").await;
    }
    assert_eq!(sink.count(), 20);
    let read = stage::until("it is resumed", async || {
        Some(destination.read().await).filter(|read| read["status"] == "enabled")
    })
    .await;
    assert_eq!(read["paused"], Value::Null);
    // The pause is over to the second; the monitor records that at its next run.
    let recorded = async || {
        Some(acme.audited("destination.resumed").await).filter(|audited| !audited.is_empty())
    };
    let audited = stage::until("its end is recorded", recorded).await;
    assert_eq!(
        (audited.len(), &audited[0]["actor"]["kind"]),
        (1, &json!("system"))
    );
}

#[tokio::test]
async fn a_pause_ends_with_disabling_deleting_and_expiry_and_is_refused_where_it_means_nothing() {
    let (acme, sink) = (organization("Pauses end").await, Sink::start().await);
    let make = async || {
        let destination = acme.destination().webhook(&sink).create().await;
        destination.action("pause", json!({})).await.ok(200);
        destination
    };
    let (disabled, deleted, expiring) = (make().await, make().await, make().await);
    let first = acme.send([&disabled], json!(1)).await.delivery(0);
    let second = acme.send([&deleted], json!(2)).await.delivery(0);
    let body = json!({"event_type": "report.ready", "payload": 3, "destination_ids": [expiring.id],
        "expires_at": in_seconds(3)});
    let third = acme.submit(body).await.delivery(0);
    for destination in [&disabled, &deleted] {
        stage::until("it waits", async || {
            all_wait_for(&acme, destination, "pause")
                .await
                .then_some(())
        })
        .await;
    }
    disabled.action("disable", json!({})).await.ok(200);
    assert_eq!(
        first.reaches("skipped").await["reason"],
        "destination_disabled"
    );
    acme.delete(&deleted.path()).await;
    assert_eq!(
        second.reaches("skipped").await["reason"],
        "destination_deleted"
    );
    let expired = stage::within(20, "it expires", async || {
        Some(third.read().await).filter(|read| read["status"] == "failed")
    })
    .await;
    assert_eq!(
        (&expired["reason"], &expired["attempt_count"]),
        (&json!("expired"), &json!(0))
    );
    assert_eq!(sink.count(), 0);

    disabled
        .action("pause", json!({}))
        .await
        .problem(409, "destination_disabled");
    disabled
        .action("resume", json!({}))
        .await
        .problem(409, "destination_disabled");
    let past = expiring
        .action("pause", json!({"until": in_seconds(-1), "why": 1}))
        .await;
    past.problem(422, "validation_failed");
    assert_eq!(past.mistakes(), ["/until", "/why"]);
    expiring.action("resume", json!({})).await.ok(200);
    assert_eq!(
        expiring.action("resume", json!({})).await.ok(200)["status"],
        "enabled"
    );
}

/// Returns how many requests began within the second before each.
pub(crate) fn within_a_second(requests: &[Received]) -> usize {
    let near = |one: &Received| {
        requests
            .iter()
            .filter(|other| other.at <= one.at && one.at - other.at < Duration::from_secs(1))
            .count()
    };
    requests.iter().map(near).max().unwrap_or_default()
}

#[tokio::test]
async fn a_destination_gets_no_more_a_second_than_its_limit_and_its_neighbour_does_not_notice() {
    let (acme, sink) = (organization("Rate").await, Sink::start().await);
    let (slow, free) = (sink.path("/slow"), sink.path("/free"));
    let limited = acme
        .destination()
        .webhook(&slow)
        .with("delivery_limits", json!({"max_per_second": 1}))
        .create()
        .await;
    assert_eq!(
        limited.created["delivery_limits"],
        json!({"max_per_second": 1.0, "max_concurrent": null})
    );
    let neighbour = acme.destination().webhook(&free).create().await;
    let messages = send_numbers(&acme, &limited, 15).await;
    let shown = stage::until("something waits", async || {
        let open = acme
            .list(&format!(
                "/v1/deliveries?destination_id={}&status=queued&limit=100",
                limited.id
            ))
            .await;
        open.into_iter()
            .find(|delivery| delivery["waiting_for"] == "rate")
    })
    .await;
    assert!(shown["expected_at"].is_string(), "{shown}");
    let asked = tokio::time::Instant::now();
    acme.send([&neighbour], json!("quick"))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    let requests = slow.wait_for(15, SOON).await;
    for message in &messages {
        assert_eq!(
            message.delivery(0).settles().await["attempt_count"],
            1,
            "waiting is no attempt"
        );
    }
    let took = (requests[14].at - requests[0].at).as_secs_f64();
    // A busy machine is late, and what is late takes a later turn.
    assert!(took > 14.0 * 0.9, "{took} s");
    assert!(
        within_a_second(&requests) <= 3,
        "{}",
        within_a_second(&requests)
    );
    assert_eq!(limited.health().await["consecutive_failures"], 0);
}

#[tokio::test]
async fn a_destination_gets_no_more_at_once_than_its_limit() {
    let (acme, sink) = (organization("Concurrency").await, Sink::start().await);
    acme.settings(json!({"delivery_limits": {"max_concurrent": 2}}))
        .await
        .ok(200);
    let destination = acme.destination().webhook(&sink).create().await;
    let took = Duration::from_millis(400);
    sink.delays(took);
    let messages = send_numbers(&acme, &destination, 16).await;
    let requests = sink.wait_for(16, SOON).await;
    for message in &messages {
        assert_eq!(
            message.delivery(0).reaches("succeeded").await["attempt_count"],
            1
        );
    }
    let at_once = |one: &Received| {
        requests
            .iter()
            .filter(|other| other.at <= one.at && one.at - other.at < took)
            .count()
    };
    let most = requests.iter().map(at_once).max().unwrap_or_default();
    assert!(most <= 2, "{most} at once");
}

#[tokio::test]
async fn deliveries_that_wait_for_long_are_released_when_the_limit_is_removed() {
    let (acme, sink) = (organization("Released").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_per_second": 0.1}))
        .create()
        .await;
    send_numbers(&acme, &destination, 12).await;
    stage::until("some wait for long", async || {
        let open = acme
            .list(&format!(
                "/v1/deliveries?destination_id={}&status=queued&limit=100",
                destination.id
            ))
            .await;
        (open
            .iter()
            .filter(|delivery| delivery["waiting_for"] == "rate")
            .count()
            >= 10)
            .then_some(())
    })
    .await;
    destination.change(json!({"delivery_limits": null})).await;
    let requests = sink.wait_for(12, SOON).await;
    assert_eq!(requests.len(), 12);
    let refused = acme
        .patch(
            &destination.path(),
            json!({"delivery_limits": {"max_per_second": 0.05, "max_concurrent": 101}}),
        )
        .await;
    refused.problem(422, "validation_failed");
    assert_eq!(
        refused.mistakes(),
        [
            "/delivery_limits/max_concurrent",
            "/delivery_limits/max_per_second"
        ]
    );
}

#[tokio::test]
async fn a_pause_with_an_end_is_over_to_the_second_and_what_was_sent_meanwhile_goes_out_in_order() {
    // The shared process looks once a minute.
    let (acme, sink) = (stage::organization("Until").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let asked = tokio::time::Instant::now();
    let paused = destination
        .action("pause", json!({"until": in_seconds(3)}))
        .await
        .ok(200);
    assert!(paused["paused"]["until"].is_string(), "{paused}");
    let messages = send_numbers(&acme, &destination, 10).await;
    let waiting = messages[0].delivery(0).read().await;
    assert_eq!(
        (&waiting["waiting_for"], &waiting["expected_at"]),
        (&json!("pause"), &paused["paused"]["until"])
    );
    sleep(Duration::from_millis(2000).saturating_sub(asked.elapsed())).await;
    assert_eq!(sink.count(), 0);
    let requests = sink.wait_for(10, Duration::from_secs(15)).await;
    assert!(
        asked.elapsed() > Duration::from_millis(2900) && asked.elapsed() < Duration::from_secs(12),
        "{:?}",
        asked.elapsed()
    );
    let mut order = numbers(&requests);
    order.sort_unstable();
    assert_eq!(order, (0..10).collect::<Vec<i64>>());
    assert_eq!(destination.read().await["status"], "enabled");
}

#[tokio::test]
async fn batches_manual_retries_and_jobs_wait_for_a_paused_destination_and_are_sent_once() {
    let (acme, sink) = (organization("Paused work").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers([500, 500]);
    let failed = [
        acme.send([&destination], json!(1)).await.delivery(0),
        acme.send([&destination], json!(2)).await.delivery(0),
    ];
    for delivery in &failed {
        delivery.reaches("failed").await;
    }
    sink.answers([200]);
    destination.action("pause", json!({})).await.ok(200);
    let retried = failed[0].retry().await.ok(202);
    assert_eq!(
        (&retried["status"], &retried["waiting_for"]),
        (&json!("retrying"), &json!("pause"))
    );
    let message = |number: u32| {
        json!({"event_type": "report.ready", "payload": number,
        "destination_ids": [destination.id]})
    };
    let batch = acme
        .post(
            "/v1/messages/batch",
            json!({"messages": [message(3), message(4)]}),
        )
        .await
        .ok(202);
    for result in batch["results"].as_array().unwrap() {
        assert_eq!(
            result["message"]["deliveries"][0]["waiting_for"], "pause",
            "{result}"
        );
    }
    let job = json!({"kind": "retry",
        "filter": {"destination_id": destination.id, "status": ["failed"]}});
    let job = acme.post("/v1/jobs", job).await.ok(202);
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let job = stage::within(30, "the job ends", async || {
        Some(acme.get(&path).await.ok(200)).filter(|job| job["finished_at"].is_string())
    })
    .await;
    assert_eq!(
        (&job["done"], &job["skipped"], &job["failed"]),
        (&json!(1), &json!(0), &json!(0))
    );
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        sink.count(),
        2,
        "nothing is sent while the destination is paused"
    );
    assert!(all_wait_for(&acme, &destination, "pause").await);
    destination.action("resume", json!({})).await.ok(200);
    let requests = sink.wait_for(6, SOON).await;
    sleep(Duration::from_secs(2)).await;
    let mut sent = numbers(&requests[2..]);
    sent.sort_unstable();
    assert_eq!((sent, sink.count()), (vec![1, 2, 3, 4], 6));
}

#[tokio::test]
async fn a_slow_limit_spaces_starts_and_says_when_each_is_expected() {
    let (acme, sink) = (organization("Slow").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_per_second": 0.1}))
        .create()
        .await;
    send_numbers(&acme, &destination, 20).await;
    let path = format!(
        "/v1/deliveries?destination_id={}&status=queued&limit=100",
        destination.id
    );
    let open = stage::until("nineteen wait", async || {
        let open = acme.list(&path).await;
        (open.len() == 19
            && open
                .iter()
                .all(|delivery| delivery["expected_at"].is_string()))
        .then_some(open)
    })
    .await;
    let mut expected: Vec<jiff::Timestamp> = open
        .iter()
        .map(|delivery| delivery["expected_at"].as_str().unwrap().parse().unwrap())
        .collect();
    expected.sort_unstable();
    for pair in expected.windows(2) {
        assert_eq!(
            pair[1].duration_since(pair[0]).as_secs(),
            10,
            "{expected:?}"
        );
    }
    let requests = sink.wait_for(3, SOON).await;
    let took = requests[2].at - requests[0].at;
    assert!((19.0..25.0).contains(&took.as_secs_f64()), "{took:?}");
    assert!(sink.count() <= 3);
    // A test is not limited, and a cancelled delivery gives up its turn.
    destination
        .action("test", json!({"payload": -1}))
        .await
        .ok(202);
    sink.wait_for(sink.count() + 1, SOON).await;
    let last = acme
        .list(&path)
        .await
        .into_iter()
        .max_by_key(|delivery| delivery["expected_at"].to_string())
        .unwrap();
    acme.post(
        &format!("/v1/deliveries/{}/cancel", last["id"].as_str().unwrap()),
        json!({}),
    )
    .await
    .ok(200);
}

#[tokio::test]
async fn a_changed_default_limit_holds_at_once_for_what_waits() {
    let (acme, sink) = (organization("Default").await, Sink::start().await);
    acme.settings(json!({"delivery_limits": {"max_per_second": 0.1}}))
        .await
        .ok(200);
    let read = acme
        .settings(json!({"delivery_limits": {"max_concurrent": 50}}))
        .await
        .ok(200);
    assert_eq!(
        read["settings"]["delivery_limits"],
        json!({"max_per_second": 0.1, "max_concurrent": 50})
    );
    let limited = acme
        .destination()
        .webhook(&sink.path("/limited"))
        .create()
        .await;
    let exempt = acme
        .destination()
        .webhook(&sink.path("/exempt"))
        .with("delivery_limits", json!({}))
        .create()
        .await;
    for number in 0..6 {
        acme.send([&limited, &exempt], json!(number)).await;
    }
    sink.path("/exempt").wait_for(6, SOON).await;
    stage::until("five wait", async || {
        let open = acme
            .list(&format!(
                "/v1/deliveries?destination_id={}&status=queued&limit=100",
                limited.id
            ))
            .await;
        (open
            .iter()
            .filter(|delivery| delivery["waiting_for"] == "rate")
            .count()
            == 5)
            .then_some(())
    })
    .await;
    let read = acme
        .settings(json!({"delivery_limits": {"max_per_second": 50}}))
        .await
        .ok(200);
    assert_eq!(
        read["settings"]["delivery_limits"],
        json!({"max_per_second": 50.0, "max_concurrent": 50})
    );
    // Under the old limit, the last one would start after 50 seconds; what waits for ten at most
    // keeps its turn.
    sink.path("/limited")
        .wait_for(6, Duration::from_secs(20))
        .await;
    let read = acme
        .settings(json!({"delivery_limits": null}))
        .await
        .ok(200);
    assert_eq!(read["settings"]["delivery_limits"], Value::Null);
}

#[tokio::test]
async fn a_slot_taken_when_the_process_dies_is_free_when_it_starts_again() {
    let mut stack = stage::launch().monitor_interval_seconds(1).start().await;
    let (acme, sink) = (stack.organization("Slots").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_concurrent": 1}))
        .create()
        .await;
    sink.delays(Duration::from_secs(20));
    let messages = send_numbers(&acme, &destination, 2).await;
    sink.wait_for(1, SOON).await;
    let path = format!(
        "/v1/deliveries?destination_id={}&status=queued",
        destination.id
    );
    stage::until("one waits for the slot", async || {
        acme.list(&path)
            .await
            .iter()
            .any(|delivery| delivery["waiting_for"] == "concurrency")
            .then_some(())
    })
    .await;
    // Its task is sent once the wait is recorded. A process that dies in between leaves it to the
    // due index, a minute later.
    sleep(Duration::from_millis(500)).await;
    stack.kill();
    sink.delays(Duration::ZERO);
    stack.restart().await;
    let restarted = tokio::time::Instant::now();
    for message in &messages {
        message.delivery(0).reaches("succeeded").await;
    }
    assert!(
        restarted.elapsed() < Duration::from_secs(15),
        "{:?}",
        restarted.elapsed()
    );
}

#[tokio::test]
async fn a_resumed_destination_with_a_limit_is_sent_what_waited_in_order_and_within_its_limit() {
    let (acme, sink) = (organization("Resumed in turns").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_per_second": 5}))
        .create()
        .await;
    destination.action("pause", json!({})).await.ok(200);
    send_numbers(&acme, &destination, 20).await;
    stage::until("all wait", async || {
        all_wait_for(&acme, &destination, "pause")
            .await
            .then_some(())
    })
    .await;
    sleep(Duration::from_secs(1)).await;
    destination.action("resume", json!({})).await.ok(200);
    let requests = sink.wait_for(20, SOON).await;
    let order = numbers(&requests);
    // A turn that a busy machine misses is taken at the end.
    let moved = order
        .iter()
        .zip(0..)
        .filter(|(number, position): &(&i64, i64)| (*number - position).abs() > 3)
        .count();
    assert!(moved <= 3, "oldest first: {order:?}");
    let took = (requests[19].at - requests[0].at).as_secs_f64();
    assert!((3.4..10.0).contains(&took), "{took} s");
    assert!(
        within_a_second(&requests) <= 8,
        "{}",
        within_a_second(&requests)
    );
}

#[tokio::test]
async fn a_hundred_deliveries_under_a_limit_a_second_reach_their_receiver_without_a_burst() {
    let (acme, sink) = (organization("No burst").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_per_second": 10}))
        .create()
        .await;
    let message =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination.id]});
    acme.post(
        "/v1/messages/batch",
        json!({"messages": vec![message; 100]}),
    )
    .await
    .ok(202);
    let requests = sink.wait_for(100, Duration::from_secs(90)).await;
    let took = (requests[99].at - requests[0].at).as_secs_f64();
    assert!(took > 9.0, "{took} s");
    // A busy machine may also delay the receiver, which counts the requests.
    assert!(
        within_a_second(&requests) <= 16,
        "{}",
        within_a_second(&requests)
    );
}

#[tokio::test]
async fn slots_are_used_while_deliveries_wait_for_one() {
    let (acme, sink) = (organization("Slots used").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_concurrent": 5}))
        .create()
        .await;
    let took = Duration::from_millis(400);
    sink.delays(took);
    let message =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination.id]});
    acme.post(
        "/v1/messages/batch",
        json!({"messages": vec![message; 100]}),
    )
    .await
    .ok(202);
    let requests = sink.wait_for(100, Duration::from_secs(90)).await;
    let at_once = |one: &Received| {
        requests
            .iter()
            .filter(|other| other.at <= one.at && one.at - other.at < took)
            .count()
    };
    assert!(requests.iter().map(at_once).max().unwrap_or_default() <= 5);
    // Ideally eight seconds.
    let took = (requests[99].at - requests[0].at).as_secs_f64();
    assert!(took < 25.0, "{took} s");
}

//! The limits of a destination with several processes, with SFTP sessions, and when they are
//! changed while deliveries wait.

use std::cell::Cell;
use std::process::Command;
use std::time::Duration;

use kit::sink::{Received, Reply, Sink};
use kit::sshd::{self, Sshd};
use kit::stack::{Destination, Organization, Stack};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::stage;
use crate::waiting::{SOON, all_wait_for, numbers, organization, send_numbers, within_a_second};

/// Sends a hundred messages with the numbers from 0 at once.
async fn send_hundred(acme: &Organization, destination: &Destination) {
    let message = |number| {
        json!({"event_type": "report.ready", "payload": number,
        "destination_ids": [destination.id]})
    };
    let messages: Vec<Value> = (0..100).map(message).collect();
    acme.post("/v1/messages/batch", json!({"messages": messages}))
        .await
        .ok(202);
}

/// Waits until so many deliveries of a destination wait for their turn.
async fn wait_in_turn(acme: &Organization, destination: &Destination, count: usize) {
    let path = format!(
        "/v1/deliveries?destination_id={}&status=queued&limit=100",
        destination.id
    );
    stage::within(20, "they wait", async || {
        let open = acme.list(&path).await;
        (open
            .iter()
            .filter(|delivery| delivery["waiting_for"] == "rate")
            .count()
            >= count)
            .then_some(())
    })
    .await;
}

/// The most requests that ran at once, if each took this long.
fn most_at_once(requests: &[Received], took: Duration) -> usize {
    let before = |one: &Received| {
        requests
            .iter()
            .filter(|other| other.at <= one.at && one.at - other.at < took)
            .count()
    };
    requests.iter().map(before).max().unwrap_or_default()
}

#[tokio::test]
async fn an_sftp_server_has_no_more_sessions_at_once_than_its_limit() {
    let (acme, server) = (organization("SFTP sessions").await, Sshd::start().await);
    let shown = acme
        .post(
            "/v1/host-keys",
            json!({"host": "127.0.0.1", "port": server.port}),
        )
        .await
        .ok(200);
    let keys = shown["host_keys"].as_array().unwrap();
    let pinned = &keys
        .iter()
        .find(|key| key["algorithm"] == "ssh-ed25519")
        .unwrap()["fingerprint"];
    let settings = json!({"host": "127.0.0.1", "port": server.port, "username": sshd::USERNAME,
        "host_keys": [pinned],
        "directory_template": "in", "filename_template": "{{ message_id }}.json"});
    let credentials = json!({"kind": "password", "password": sshd::PASSWORD});
    let destination = acme
        .destination()
        .with("type", "sftp")
        .settings(settings)
        .credentials(credentials);
    let limits = json!({"max_concurrent": 2});
    let destination = destination
        .skip_check()
        .with("delivery_limits", limits)
        .create()
        .await;
    for message in send_numbers(&acme, &destination, 24).await {
        let delivery = message.delivery(0);
        let arrived = stage::within(90, "it arrives", async || {
            Some(delivery.read().await).filter(|delivery| delivery["status"] == "succeeded")
        });
        let arrived = arrived.await;
        assert_eq!(
            arrived["attempt_count"], 1,
            "waiting is no attempt: {arrived}"
        );
    }
    assert_eq!(server.names("in").len(), 24, "{}", server.log());
    assert_eq!(server.sessions(), (24, 2), "{}", server.log());
}

/// How many processes of the webhook worker the stack has started.
fn webhook_workers(stack: &Stack) -> usize {
    let parent = stack.process_id().to_string();
    let listed = Command::new("ps")
        .args(["--ppid", &parent, "-o", "comm="])
        .output()
        .expect("ps is installed");
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter(|name| name.starts_with("worker_webhook"))
        .count()
}

#[tokio::test]
async fn limits_hold_for_all_worker_processes_together() {
    let stack = stage::launch().arguments(["--processes"]).start().await;
    let (acme, sink) = (stack.organization("Processes").await, Sink::start().await);
    let (fast, narrow) = (sink.path("/fast"), sink.path("/narrow"));
    let took = Duration::from_millis(500);
    let per_second = acme
        .destination()
        .webhook(&fast)
        .with("delivery_limits", json!({"max_per_second": 10}))
        .create()
        .await;
    let at_once = acme
        .destination()
        .webhook(&narrow)
        .with("delivery_limits", json!({"max_concurrent": 3}))
        .create()
        .await;
    narrow.delays(took);
    send_hundred(&acme, &per_second).await;
    send_hundred(&acme, &at_once).await;
    let workers = Cell::new(0);
    let requests = stage::within(90, "everything arrives", async || {
        workers.set(workers.get().max(webhook_workers(&stack)));
        let arrived = (fast.requests(), narrow.requests());
        (arrived.0.len() >= 100 && arrived.1.len() >= 100).then_some(arrived)
    });
    let (fast, narrow) = requests.await;
    let workers = workers.get();
    assert!(workers >= 3, "{workers} worker processes");
    assert_eq!((fast.len(), narrow.len()), (100, 100), "each once");
    let rate = 99.0 / (fast[99].at - fast[0].at).as_secs_f64();
    println!(
        "{workers} worker processes: {rate:.1} a second, {} in the worst second",
        within_a_second(&fast)
    );
    assert!(rate < 11.0, "{rate} a second");
    // A busy machine sends requests later than they may start, and holds up the receiver too.
    assert!(
        within_a_second(&fast) <= 16,
        "{} in a second",
        within_a_second(&fast)
    );
    assert_eq!(
        most_at_once(&narrow, took),
        3,
        "all slots are used, and no more"
    );
}

#[tokio::test]
async fn a_raised_limit_holds_at_once() {
    let (acme, sink) = (organization("Raised").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_per_second": 0.1}))
        .create()
        .await;
    send_hundred(&acme, &destination).await;
    sink.wait_for(1, SOON).await;
    wait_in_turn(&acme, &destination, 90).await;
    destination
        .change(json!({"delivery_limits": {"max_per_second": 25}}))
        .await;
    let changed = Instant::now();
    let requests = sink.wait_for(100, SOON).await;
    // The second one of the old limit starts after ten seconds, and the new one takes four for all.
    assert!(
        changed.elapsed() < Duration::from_secs(9),
        "{:?}",
        changed.elapsed()
    );
    let rate = 98.0 / (requests[99].at - requests[1].at).as_secs_f64();
    assert!(rate < 30.0, "{rate} a second");
}

#[tokio::test]
async fn a_lowered_limit_applies_to_waiting_deliveries_and_a_removed_one_releases_all() {
    let (acme, sink) = (organization("Lowered").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_per_second": 10}))
        .create()
        .await;
    send_hundred(&acme, &destination).await;
    sink.wait_for(10, SOON).await;
    destination
        .change(json!({"delivery_limits": {"max_per_second": 0.5}}))
        .await;
    // Attempts that were admitted before the change start within a second, or somewhat later on a
    // busy machine.
    sleep(Duration::from_secs(4)).await;
    let before = sink.count();
    sleep(Duration::from_secs(6)).await;
    let sent = sink.count() - before;
    assert!((1..=5).contains(&sent), "{sent} in six seconds");
    destination.change(json!({"delivery_limits": null})).await;
    let mut sent = numbers(&sink.wait_for(100, SOON).await);
    sent.sort_unstable();
    assert_eq!(sent, (0..100).collect::<Vec<i64>>(), "each once");
}

#[tokio::test]
async fn fewer_at_once_holds_as_soon_as_those_that_run_have_ended() {
    let (acme, sink) = (organization("Narrowed").await, Sink::start().await);
    let took = Duration::from_secs(2);
    sink.delays(took);
    let destination = acme.destination().webhook(&sink).skip_check();
    let destination = destination
        .with("delivery_limits", json!({"max_concurrent": 5}))
        .create()
        .await;
    send_numbers(&acme, &destination, 9).await;
    sink.wait_for(5, SOON).await;
    destination
        .change(json!({"delivery_limits": {"max_concurrent": 1}}))
        .await;
    let requests = sink.wait_for(9, SOON).await;
    for (number, request) in requests.iter().enumerate().skip(5) {
        let others = requests[..number]
            .iter()
            .filter(|other| request.at - other.at < took)
            .count();
        assert_eq!(others, 0, "the request {number} overlaps");
    }
}

#[tokio::test]
async fn a_delivery_that_looks_for_a_slot_when_its_destination_is_paused_waits() {
    let (acme, sink) = (organization("Looks for a slot").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_concurrent": 1}))
        .create()
        .await;
    sink.delays(Duration::from_millis(2_500));
    let messages = send_numbers(&acme, &destination, 2).await;
    sink.wait_for(1, SOON).await;
    // The second one is expected to start a second after the first, and looks for a slot from then
    // on.
    sleep(Duration::from_millis(1_700)).await;
    destination.action("pause", json!({})).await.ok(200);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(sink.count(), 1, "nothing is sent");
    destination.action("resume", json!({})).await.ok(200);
    for message in &messages {
        assert_eq!(
            message.delivery(0).reaches("succeeded").await["attempt_count"],
            1
        );
    }
    assert_eq!(sink.count(), 2);
}

#[tokio::test]
async fn a_limit_that_is_no_whole_number_spaces_starts_evenly() {
    let (acme, sink) = (organization("Fraction").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .with("delivery_limits", json!({"max_per_second": 2.5}))
        .create()
        .await;
    send_numbers(&acme, &destination, 12).await;
    let requests = sink.wait_for(12, SOON).await;
    let took = (requests[11].at - requests[0].at).as_secs_f64();
    assert!((11.0 * 0.4 * 0.9..15.0).contains(&took), "{took} s");
    assert!(
        within_a_second(&requests) <= 5,
        "{}",
        within_a_second(&requests)
    );
}

#[tokio::test]
async fn retries_keep_the_limit_and_wait_for_a_pause() {
    let (acme, sink) = (organization("All three").await, Sink::start().await);
    let limits = json!({"max_per_second": 5, "max_concurrent": 2});
    let destination = acme
        .destination()
        .webhook(&sink)
        .retries(10)
        .with("delivery_limits", limits)
        .create()
        .await;
    sink.replies(
        (0..20)
            .map(|_| Reply::status(503))
            .chain([Reply::status(200)]),
    );
    let messages = send_numbers(&acme, &destination, 20).await;
    sink.wait_for(10, SOON).await;
    destination.action("pause", json!({})).await.ok(200);
    // Attempts that run when a destination is paused end.
    sleep(Duration::from_secs(1)).await;
    let before = sink.count();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(sink.count(), before, "nothing is sent");
    assert!(all_wait_for(&acme, &destination, "pause").await);
    destination.action("resume", json!({})).await.ok(200);
    sink.wait_for(40, SOON).await;
    for message in &messages {
        message.delivery(0).reaches("succeeded").await;
    }
    let requests = sink.requests();
    assert_eq!(
        requests.len(),
        40,
        "as many attempts as failed, and one more for each"
    );
    assert!(
        within_a_second(&requests) <= 8,
        "{}",
        within_a_second(&requests)
    );
}

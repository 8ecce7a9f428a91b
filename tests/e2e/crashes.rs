//! The process is killed with SIGKILL at arbitrary moments and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use kit::sink::{Reply, Sink};
use kit::stack::{Message, Organization};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::stage;

const KILLS: u32 = 10;
/// The number of submitters. It is large enough that submissions, reads, settles and sends share
/// calls at any moment.
const SUBMITTERS: usize = 32;
/// One of this many submitters sends batches of this many messages.
const BATCHES_EVERY: usize = 4;
const BATCH: u64 = 10;
/// The time under load before each kill.
const LOAD: Duration = Duration::from_millis(400);
/// An upper limit, which is far above the expected number.
const MESSAGES_MAX: u64 = 50_000;

/// What was answered to a submitter: the number of the payload and the message.
type AcceptedMessage = (u64, Message);

/// Submits numbered messages, `together` in each request, until the process ends.
async fn submits_until_killed(
    acme: &Organization,
    destination: &str,
    numbers: &AtomicU64,
    together: u64,
) -> Vec<AcceptedMessage> {
    let mut promises = Vec::new();
    loop {
        let first = numbers.fetch_add(together, Ordering::Relaxed);
        assert!(first < MESSAGES_MAX, "the kill does not come");
        let message = |number: u64| {
            json!({"event_type": "crash.test", "payload": number,
            "destination_ids": [destination]})
        };
        let call = match together {
            1 => acme
                .call(Method::POST, "/v1/messages")
                .json(&message(first)),
            _ => {
                let messages: Vec<_> = (first..first + together).map(message).collect();
                acme.call(Method::POST, "/v1/messages/batch")
                    .json(&json!({"messages": messages}))
            }
        };
        let Some(answer) = call.try_send().await else {
            return promises;
        };
        let answer = answer.ok(202);
        match answer["results"].as_array() {
            None => promises.push((first, acme.message(answer))),
            Some(results) => {
                let accepted = (first..)
                    .zip(results)
                    .filter(|(_, result)| result["status"] == 202);
                promises.extend(
                    accepted
                        .map(|(number, result)| (number, acme.message(result["message"].clone()))),
                );
            }
        }
    }
}

/// Each message that was answered with 202 is delivered or fails visibly, and a delivery that
/// arrives twice has the same id.
#[tokio::test]
async fn ten_kills_under_load_lose_no_accepted_message() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(5).create().await;
    // Some answers are slow, some fail, so that a kill finds work in every state.
    let replies = [200, 200, 500, 200, 200].into_iter().cycle().take(2_000);
    sink.replies(replies.enumerate().map(|(turn, status)| match turn % 7 {
        0 => Reply::status(status).after(Duration::from_millis(300)),
        _ => Reply::status(status),
    }));
    let (numbers, mut promises) = (AtomicU64::new(0), Vec::new());
    for _ in 0..KILLS {
        let submitting = futures_util::future::join_all((0..SUBMITTERS).map(|submitter| {
            let together = if submitter % BATCHES_EVERY == 0 {
                BATCH
            } else {
                1
            };
            submits_until_killed(&acme, &destination.id, &numbers, together)
        }));
        let killing = async {
            sleep(LOAD).await;
            stack.kill();
        };
        let (accepted, ()) = tokio::join!(submitting, killing);
        promises.extend(accepted.into_iter().flatten());
        stack.restart().await;
    }
    let ready = Instant::now();
    for (_, message) in &promises {
        let settled = message.settles_within(Duration::from_secs(30)).await;
        assert!(
            settled["status"] == "succeeded" || settled["status"] == "failed",
            "{settled}"
        );
    }
    let settled_after = ready.elapsed();
    let (received, duplicates) = ids_by_number(&sink);
    for (number, message) in &promises {
        let expected = BTreeSet::from([message.delivery(0).id]);
        if message.read().await["status"] == "succeeded" {
            assert_eq!(received.get(number), Some(&expected), "number {number}");
        }
    }
    println!(
        "{KILLS} kills: {} accepted, {duplicates} attempts made twice, all settled \
         {settled_after:?} after the last start",
        promises.len()
    );
}

/// The delivery ids under which each number arrived, and how many requests came again with an
/// attempt number that had come before: those whose record a kill took away.
fn ids_by_number(sink: &Sink) -> (BTreeMap<u64, BTreeSet<String>>, usize) {
    let (mut received, mut attempts, mut duplicates) =
        (BTreeMap::<u64, BTreeSet<String>>::new(), BTreeSet::new(), 0);
    for request in sink.requests() {
        let header = |name: &str| {
            request
                .header(name)
                .expect("the header is always sent")
                .to_owned()
        };
        let (id, attempt) = (header("webhook-id"), header("waybill-attempt"));
        duplicates += usize::from(!attempts.insert((id.clone(), attempt)));
        received
            .entry(request.json().as_u64().expect("a number"))
            .or_default()
            .insert(id);
    }
    (received, duplicates)
}

#[tokio::test]
async fn a_delivery_whose_sender_died_midway_is_sent_again_with_the_same_id() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.replies([
        Reply::status(200).after(Duration::from_secs(60)),
        Reply::status(200),
    ]);
    let message = acme.send([&destination], json!("once")).await;
    sink.wait_for(1, Duration::from_secs(10)).await;
    stack.kill();
    stack.restart().await;
    let ready = Instant::now();
    let requests = sink.wait_for(2, Duration::from_secs(10)).await;
    assert!(
        ready.elapsed() < Duration::from_secs(10),
        "{:?}",
        ready.elapsed()
    );
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    assert_eq!(message.delivery(0).settles().await["status"], "succeeded");
}

/// A waiting retry keeps its time over a restart.
#[tokio::test]
async fn a_retry_that_is_not_yet_due_keeps_its_time_over_a_kill() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(json!({"initial_seconds": 6, "jitter": 0}))
        .create()
        .await;
    sink.answers([500, 200]);
    let message = acme.send([&destination], json!("later")).await;
    let due = message.delivery(0).reaches("retrying").await["next_attempt_at"].clone();
    stack.kill();
    stack.restart().await;
    assert_eq!(message.delivery(0).read().await["next_attempt_at"], due);
    let requests = sink.wait_for(2, Duration::from_secs(20)).await;
    let gap = requests[1].at - requests[0].at;
    assert!((6.0..10.0).contains(&gap.as_secs_f64()), "{gap:?}");
}

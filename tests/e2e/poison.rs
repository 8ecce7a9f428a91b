//! A delivery that ends the process, as an unknown fault could, is isolated over several restarts.

use std::time::Duration;

use http::Method;
use kit::sink::{Reply, Sink};
use kit::stack::{Destination, Launch, Organization, Stack};
use serde_json::json;
use tokio::time::sleep;

/// The fault is injected into one process, in which it also ends all other work.
fn in_one_process() -> Launch {
    Launch::of(env!("CARGO_BIN_EXE_waybill"))
}

const POISON: &str = "poison.test";
/// The number of starts after which a delivery that ends the process is given up.
const STARTS_MAX: u32 = 10;
const NEIGHBOURS: usize = 15;

/// Waits until the process ends by itself, for at most `limit`.
async fn ends(stack: &mut Stack, limit: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + limit;
    while tokio::time::Instant::now() < deadline {
        if stack.has_ended() {
            stack.kill();
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Starts the process until it keeps running, and returns the number of starts.
async fn starts_until_it_lives(stack: &mut Stack, mut after_each: impl AsyncFnMut(u32)) -> u32 {
    for starts in 2..=STARTS_MAX {
        stack.restart().await;
        after_each(starts).await;
        if !ends(stack, Duration::from_secs(20)).await {
            return starts;
        }
    }
    panic!("{STARTS_MAX} starts were not enough\n{}", stack.log());
}

/// Submits the message that ends the process, which may do so before it answers.
async fn submits_poison(stack: &mut Stack, acme: &Organization, destination: &Destination) {
    let poison = json!({"event_type": POISON, "payload": 0, "destination_ids": [destination.id]});
    drop(
        acme.call(Method::POST, "/v1/messages")
            .json(&poison)
            .try_send()
            .await,
    );
    assert!(
        ends(stack, Duration::from_secs(20)).await,
        "the fault is not injected\n{}",
        stack.log()
    );
}

/// The failure is visible, with its reason.
async fn poison_is_dead_lettered(acme: &Organization) {
    let deliveries = acme
        .list(&format!("/v1/deliveries?event_type={POISON}"))
        .await;
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    let delivery = &deliveries[0];
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("dead_lettered")),
        "{delivery}"
    );
    assert_eq!(delivery["exhausted"], false, "{delivery}");
}

/// After at most ten starts of the process, the delivery that ends it is given up. Its
/// neighbours, those that were on their way with it included, arrive from the first restart on.
#[tokio::test]
async fn a_delivery_that_kills_the_process_is_dead_lettered_and_its_neighbours_arrive_from_the_first_restart_on()
 {
    let mut stack = in_one_process()
        .arguments(["--inject-crash", POISON])
        .start()
        .await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    // On their way when the process dies: they do not get their answer from this start.
    sink.delays(Duration::from_secs(3));
    let mut neighbours = Vec::new();
    for number in 0..NEIGHBOURS {
        neighbours.push(acme.send([&destination], json!(number)).await);
    }
    sink.wait_for(NEIGHBOURS, Duration::from_secs(10)).await;
    sink.delays(Duration::ZERO);
    submits_poison(&mut stack, &acme, &destination).await;

    let starts = starts_until_it_lives(&mut stack, async |starts| {
        if starts == 2 {
            sink.wait_for(2 * NEIGHBOURS, Duration::from_secs(10)).await;
        }
    })
    .await;
    poison_is_dead_lettered(&acme).await;
    for neighbour in &neighbours {
        assert_eq!(neighbour.delivery(0).settles().await["status"], "succeeded");
    }
    println!("{starts} starts");
    assert_eq!(stack.stop().await.0, Some(0));
}

/// A slow delivery that was in progress at several crashes is not given up.
#[tokio::test]
async fn a_slow_delivery_that_was_on_its_way_at_the_crashes_is_delivered() {
    let mut stack = in_one_process()
        .arguments(["--inject-crash", POISON])
        .start()
        .await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let slow = sink.path("/slow");
    let destination = acme
        .destination()
        .webhook(&slow)
        .settings(json!({"timeout_seconds": 30}))
        .create()
        .await;
    slow.replies([Reply::status(200).after(Duration::from_secs(4))]);
    let bystander = acme.send([&destination], json!("slow")).await;
    slow.wait_for(1, Duration::from_secs(10)).await;
    submits_poison(&mut stack, &acme, &destination).await;
    starts_until_it_lives(&mut stack, async |_| {}).await;
    poison_is_dead_lettered(&acme).await;
    let delivery = bystander.delivery(0).settles().await;
    assert_eq!(delivery["status"], "succeeded", "{delivery}");
    assert!(slow.count() > 2, "it was on its way at more than one crash");
}

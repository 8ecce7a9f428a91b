//! What a destination with limits receives while a thousand deliveries wait for it, and what
//! another destination of its organization notices. Rounds with and without the thousand alternate.

use std::time::Duration;

use kit::sink::{Received, Sink};
use kit::stack::{Destination, Organization};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::percentile;

const ROUNDS: usize = 2;
/// As many as the API takes at once.
const BATCH: usize = 100;
/// Deliveries that wait for the destination with a limit a second.
const WAITING: usize = 1_000;
/// The limit of that destination, per second.
const PER_SECOND: usize = 10;
/// One message to the neighbour in this time.
const LIVE_EVERY: Duration = Duration::from_millis(50);
/// Attempts that the other one takes at once, how many deliveries it gets, and how long each takes.
const SLOTS: usize = 5;
const SLOT_DELIVERIES: usize = 300;
const EACH: Duration = Duration::from_millis(200);
/// How long to wait for the last delivery.
const DELIVERED_MAX: Duration = Duration::from_secs(300);

/// Measures for so many seconds at a time, and prints what came of it.
pub(crate) async fn measure(organization: &Organization, time: Duration) {
    let (limited, live) = (Sink::start().await, Sink::start().await);
    let neighbour = organization.destination().webhook(&live).create().await;
    let (mut alone, mut meanwhile) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        alone.extend(live_latencies(organization, &neighbour, &live, time).await);
        limited.forget();
        let limits = json!({"max_per_second": PER_SECOND});
        let destination = organization
            .destination()
            .webhook(&limited)
            .with("delivery_limits", limits)
            .create()
            .await;
        submit(organization, &destination, WAITING).await;
        meanwhile.extend(live_latencies(organization, &neighbour, &live, time).await);
        let requests = limited.wait_for(1, DELIVERED_MAX).await;
        destination.action("disable", json!({})).await.ok(200);
        let (received, worst) = (within(&requests, time), worst_second(&requests));
        println!(
            "round {round}: {PER_SECOND} a second for {time:.0?}: {received} received of {}, \
             {worst} in the worst second",
            PER_SECOND * usize::try_from(time.as_secs()).unwrap_or_default()
        );
    }
    alone.sort_unstable();
    meanwhile.sort_unstable();
    println!(
        "neighbour, {} and {} messages: p50 {:.1?} alone, {:.1?} while {WAITING} wait; p99 {:.1?} \
         alone, {:.1?} while {WAITING} wait",
        alone.len(),
        meanwhile.len(),
        percentile(&alone, 50),
        percentile(&meanwhile, 50),
        percentile(&alone, 99),
        percentile(&meanwhile, 99),
    );
    slots(organization).await;
}

/// Prints how long it takes until all deliveries have had one of a few slots.
async fn slots(organization: &Organization) {
    let sink = Sink::start().await;
    let limits = json!({"max_concurrent": SLOTS});
    let destination = organization
        .destination()
        .webhook(&sink)
        .with("delivery_limits", limits)
        .create()
        .await;
    sink.forget();
    sink.delays(EACH);
    let began = Instant::now();
    submit(organization, &destination, SLOT_DELIVERIES).await;
    let requests = sink.wait_for(SLOT_DELIVERIES, DELIVERED_MAX).await;
    let took = began.elapsed() + EACH;
    let at_once = |one: &Received| {
        requests
            .iter()
            .filter(|other| other.at <= one.at && one.at - other.at < EACH)
            .count()
    };
    let most = requests.iter().map(at_once).max().unwrap_or_default();
    let ideal = EACH * u32::try_from(SLOT_DELIVERIES / SLOTS).unwrap_or(u32::MAX);
    println!(
        "{SLOT_DELIVERIES} of {EACH:.0?} each, {SLOTS} at once: {took:.1?}, ideally {ideal:.1?}; \
         {most} at once at most"
    );
}

async fn submit(organization: &Organization, to: &Destination, count: usize) {
    let message = json!({"event_type": "load.limited", "payload": 1, "destination_ids": [to.id]});
    for _ in 0..count / BATCH {
        let messages: Vec<&Value> = vec![&message; BATCH];
        organization
            .post("/v1/messages/batch", json!({"messages": messages}))
            .await
            .ok(202);
    }
}

/// Sends the neighbour one message after another; how long each was on its way.
async fn live_latencies(
    organization: &Organization,
    to: &Destination,
    sink: &Sink,
    time: Duration,
) -> Vec<Duration> {
    sink.forget();
    let (began, mut submitted) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let body = json!({"event_type": "load.live", "payload": submitted.len(),
            "destination_ids": [to.id]});
        submitted.push(Instant::now());
        organization.post("/v1/messages", body).await.ok(202);
        sleep_until(began + LIVE_EVERY * u32::try_from(submitted.len()).unwrap_or(u32::MAX)).await;
    }
    let requests = sink.wait_for(submitted.len(), DELIVERED_MAX).await;
    let number = |request: &Received| {
        usize::try_from(request.json().as_u64().expect("a number")).expect("small")
    };
    requests
        .iter()
        .map(|request| request.at - submitted[number(request)])
        .collect()
}

/// How many requests began within this long of the first one.
fn within(requests: &[Received], time: Duration) -> usize {
    requests
        .iter()
        .filter(|request| request.at - requests[0].at < time)
        .count()
}

fn worst_second(requests: &[Received]) -> usize {
    let from = |first: &Received| {
        requests
            .iter()
            .filter(|one| one.at >= first.at && one.at - first.at < Duration::from_secs(1))
            .count()
    };
    requests.iter().map(from).max().unwrap_or_default()
}

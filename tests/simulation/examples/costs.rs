//! Measures what a delivery costs on AWS: `cargo run -p simulation --example costs`.
//!
//! Messages take the whole path through the functions' code on embedded engines, as on Lambda: one
//! request at a time in each instance of the API, and batches of up to ten tasks in each invocation
//! of a worker. The AWS calls of the functions are counted and multiplied by public prices
//! (docs/performance.md has their date). A call takes 5 ms; the receiver responds at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use access::Access;
use bytes::Bytes;
use domain::role::Role;
use futures_util::StreamExt as _;
use futures_util::stream;
use local_aws::{Call, Fault, Service};
use secrecy::ExposeSecret as _;
use serde_json::json;
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;

/// How long an AWS call takes. Requests that arrive meanwhile share the next one.
const CALL: Duration = Duration::from_millis(5);
/// The number of messages for each way of submitting.
const MESSAGES: usize = 1000;
/// Messages of a batch that are submitted concurrently, as the API does.
const AT_ONCE: usize = 25;
/// Destinations of the message with the largest fan-out.
const DESTINATIONS: usize = 10;
/// The world's destinations that have limits. Limits cost writes of their own, so these receive
/// nothing.
const LIMITED: Range<usize> = 1..3;

/// Dollars per million, us-east-1: requests to an HTTP API, invocations of Lambda, requests to SQS,
/// and DynamoDB's units on demand.
const HTTP_REQUEST: f64 = 1.0;
const INVOCATION: f64 = 0.20;
const QUEUE_REQUEST: f64 = 0.40;
const WRITE_UNIT: f64 = 0.625;
const READ_UNIT: f64 = 0.125;
/// Dollars per million gigabyte-seconds of Lambda on arm64.
const GIGABYTE_SECOND: f64 = 13.3334;
/// Assumed gigabyte-seconds of an invocation: 512 MB for 15 ms to submit, and for 60 ms and 2 ms
/// per task to deliver.
const SUBMIT_GB_S: f64 = 0.5 * 0.015;
const WORK_GB_S: f64 = 0.5 * 0.060;
const TASK_GB_S: f64 = 0.5 * 0.002;
/// Lambda receives and deletes each batch of tasks, and SQS charges for both.
const POLLER_REQUESTS: f64 = 2.0;

/// How messages are submitted.
struct SubmitMethod {
    name: &'static str,
    /// Messages in one request.
    batch: usize,
    /// Destinations of one message.
    fan_out: usize,
}

const SUBMIT_METHODS: [SubmitMethod; 3] = [
    SubmitMethod {
        name: "single",
        batch: 1,
        fan_out: 1,
    },
    SubmitMethod {
        name: "batches of 100",
        batch: 100,
        fan_out: 1,
    },
    SubmitMethod {
        name: "fan-out 10",
        batch: 1,
        fan_out: DESTINATIONS,
    },
];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("the runtime starts");
    println!(
        "{:<16} {:<8} {:>6} {:>7} {:>6} {:>10}  calls of the functions for a delivery",
        "way", "traffic", "calls", "writes", "reads", "$/million"
    );
    let mut rows = Vec::new();
    for way in &SUBMIT_METHODS {
        for (traffic, tasks) in [("steady", usize::MAX), ("sparse", 1)] {
            rows.push(runtime.block_on(way.measure(traffic, tasks)));
        }
    }
    println!("{}", json!(rows));
}

impl SubmitMethod {
    /// Submits and delivers. With steady traffic everything is submitted first, so that batches are
    /// full; otherwise each request is delivered before the next.
    async fn measure(&self, traffic: &str, tasks_wait_for: usize) -> serde_json::Value {
        let receiver = Receiver::scripted(|_, _| delivered());
        let mut world = World::with_destinations(1, receiver, DESTINATIONS + LIMITED.len()).await;
        world.destinations.drain(LIMITED);
        let (key, secret) = access::issue(
            world.ids.mint(world.organization.id, 1),
            Role::Sender,
            Some(world.organization.id),
            "costs".to_owned(),
            None,
            None,
            &world.random,
            world.clock.now(),
        );
        world.store.create_key(&key).await.expect("the key is kept");
        let header = format!("Bearer {}", secret.expose_secret());
        let access = Access::new(world.store.clone(), world.clock.clone());
        access
            .authenticate(Some(&header))
            .await
            .expect("the key opens");
        world.engines.install_faults(|_| Fault::Delay(CALL));
        let recorder = world.engines.record();
        let (mut requests, mut batches, mut submitted) = (0_usize, 0_usize, 0_usize);
        while submitted < MESSAGES {
            let (_, routes) = access
                .authenticate_with_routes(Some(&header))
                .await
                .expect("the key opens");
            assert!(routes.is_some(), "one read fetches key and routes");
            let payload = Bytes::from(vec![b'x'; 200]);
            let submissions =
                (0..self.batch).map(|_| world.submission(self.fan_out, payload.clone()));
            let accepted = stream::iter(submissions).map(|submission| {
                let dispatcher = world.dispatcher.clone();
                async move {
                    dispatcher
                        .submit(&submission)
                        .await
                        .expect("the message is accepted")
                }
            });
            accepted.buffered(AT_ONCE).collect::<Vec<_>>().await;
            requests += 1;
            submitted += self.batch;
            if tasks_wait_for == 1 {
                batches += deliver(&world).await;
            }
        }
        batches += deliver(&world).await;
        let calls: Vec<Call> = recorder
            .take()
            .into_iter()
            .filter(|call| call.caller == "functions")
            .collect();
        self.report(traffic, &calls, requests, batches, submitted * self.fan_out)
    }

    fn report(
        &self,
        traffic: &str,
        calls: &[Call],
        requests: usize,
        batches: usize,
        deliveries: usize,
    ) -> serde_json::Value {
        let each = |count: f64| count / deliveries as f64;
        let mut operations: BTreeMap<&str, f64> = BTreeMap::new();
        for call in calls {
            *operations.entry(&call.operation).or_default() += each(1.0);
        }
        let writes = each(calls.iter().map(Call::write_units).sum());
        let reads = each(calls.iter().map(Call::read_units).sum());
        let queue = each(
            calls
                .iter()
                .filter(|call| call.service == Service::Sqs)
                .count() as f64
                + batches as f64 * POLLER_REQUESTS,
        );
        let (requests, batches) = (each(requests as f64), each(batches as f64));
        let price = requests * (HTTP_REQUEST + INVOCATION + SUBMIT_GB_S * GIGABYTE_SECOND)
            + batches * (INVOCATION + WORK_GB_S * GIGABYTE_SECOND)
            + TASK_GB_S * GIGABYTE_SECOND
            + queue * QUEUE_REQUEST
            + writes * WRITE_UNIT
            + reads * READ_UNIT;
        let all = each(calls.len() as f64);
        let shown: Vec<String> = operations
            .iter()
            .map(|(operation, count)| format!("{operation} {count:.2}"))
            .collect();
        println!(
            "{:<16} {traffic:<8} {all:>6.2} {writes:>7.2} {reads:>6.2} {price:>10.2}  {}",
            self.name,
            shown.join(", ")
        );
        json!({
            "way": self.name, "traffic": traffic, "calls": all, "write_units": writes,
            "read_units": reads,
            "queue_requests": queue, "dollars_a_million": price, "operations": operations,
        })
    }
}

/// Processes the queue and returns the number of batches.
async fn deliver(world: &World) -> usize {
    let mut batches = 0;
    while world.poll_worker().await > 0 {
        batches += 1;
    }
    batches
}

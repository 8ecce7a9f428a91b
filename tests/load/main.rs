//! Measures a running Waybill: how fast it accepts and delivers, and how long a message takes.
//!
//! ```sh
//! cargo run --release                                              # in one terminal
//! cargo run --release --example load -- --data .waybill --messages 5000
//! ```
//!
//! With `--pages 1000000` it fills the table and measures the console's lists.
//! With `--fleet 300` it starts a Waybill of its own, whose receivers misbehave for 300 seconds.
//! With `--bench PATH` it starts that binary, and prints throughput, CPU time and latency case by
//! case (see `bench.rs`). With `--stored 2000000` as well, it compares a table that holds so many
//! deliveries with an empty one.
//! With `--limits 60` it measures for 60 seconds what destinations with limits receive, and the
//! effect on other destinations.
//! With `--speeds` it needs no running Waybill: it measures every connector against a real server
//! and its usual tool.
//! With `--replay 100000` it measures a job: the effect of replaying 100,000 deliveries on live
//! messages.
//!
//! It creates an organization with one destination, whose receiver is in this process. It sends all
//! messages one by one, then again in batches of a hundred. Everything is limited in count and
//! time.

mod bench;
mod fleet;
mod limits;
mod pages;
mod replay;
mod speeds;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use clap::Parser;
use futures_util::{StreamExt as _, stream};
use kit::sink::Sink;
use kit::stack::{Caller, Destination, Organization};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The most messages that the API accepts in one request.
const BATCH: usize = 100;
/// How long to wait for the last delivery.
const DELIVERED_MAX: Duration = Duration::from_secs(120);

/// Measures a running Waybill.
#[derive(Parser)]
struct Args {
    /// Its data directory
    #[arg(long, default_value = ".waybill")]
    data: PathBuf,
    /// How many messages, one by one and again in batches
    #[arg(long, default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    messages: u32,
    /// How many requests at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,
    /// Instead: let so many deliveries fail, and replay them by one job while live messages go on
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    replay: Option<u32>,
    /// Instead: fill the table with so many deliveries, and measure the console's lists of them
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pages: Option<u32>,
    /// Instead: for so many seconds, send all messages to receivers that misbehave (no running
    /// Waybill is needed)
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    fleet: Option<u64>,
    /// Instead: measure for so many seconds each what a destination with limits receives while a
    /// thousand deliveries wait for it
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=600))]
    limits: Option<u64>,
    /// Instead: start this binary, measure every case on it, and compare it with a second one if
    /// two are given
    #[arg(long)]
    bench: Vec<PathBuf>,
    /// How often each case of --bench runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// With --bench: compare the first case on a table with so many deliveries and on an empty one
    #[arg(long, requires = "bench", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    stored: Option<u32>,
    /// Instead: measure every connector against a real server and its usual tool (no running
    /// Waybill is needed)
    #[arg(long)]
    speeds: bool,
}

/// When each message was submitted, by its number.
type Submitted = Mutex<HashMap<u64, Instant>>;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if args.speeds {
        return speeds::measure();
    }
    if let Some(seconds) = args.fleet {
        return fleet::measure(seconds, args.messages as usize).await;
    }
    if let (Some(count), [binary, ..]) = (args.stored, &*args.bench) {
        bench::measure_filled(binary, count as usize, args.rounds as usize).await;
        return ExitCode::SUCCESS;
    }
    if !args.bench.is_empty() {
        bench::measure(&args.bench, args.rounds as usize).await;
        return ExitCode::SUCCESS;
    }
    let local_json = args.data.join("local.json");
    let Ok(text) = std::fs::read_to_string(&local_json) else {
        eprintln!(
            "{} cannot be read: is a Waybill running with --data {}?",
            local_json.display(),
            args.data.display()
        );
        return ExitCode::FAILURE;
    };
    let local: Value = serde_json::from_str(&text).expect("local.json is JSON");
    let text = |name: &str| {
        local[name]
            .as_str()
            .expect("local.json is complete")
            .to_owned()
    };
    let operator = Caller::at(&text("api_url")).with_key(&text("operator_key"));
    let organization = Organization::create(&operator, "Load").await;
    if let Some(count) = args.replay {
        replay::measure(&organization, count as usize).await;
        return ExitCode::SUCCESS;
    }
    if let Some(seconds) = args.limits {
        limits::measure(&organization, Duration::from_secs(seconds)).await;
        return ExitCode::SUCCESS;
    }
    if let Some(count) = args.pages {
        pages::measure(&organization, &text("console_url"), count as usize).await;
        return ExitCode::SUCCESS;
    }
    let sink = Sink::start().await;
    let destination = organization.destination().webhook(&sink).create().await;
    let load = Load {
        organization,
        sink,
        destination,
        messages: args.messages.into(),
        concurrency: args.concurrency as usize,
    };
    load.measure("one by one", 1).await;
    load.measure("in batches", BATCH).await;
    ExitCode::SUCCESS
}

struct Load {
    organization: Organization,
    sink: Sink,
    destination: Destination,
    messages: u64,
    concurrency: usize,
}

impl Load {
    /// Sends all messages, `together` in each request, and prints the results.
    async fn measure(&self, how: &str, together: usize) {
        self.sink.forget();
        let (submitted, began) = (Submitted::default(), Instant::now());
        let numbers: Vec<u64> = (0..self.messages).collect();
        let requests = stream::iter(numbers.chunks(together));
        requests
            .for_each_concurrent(self.concurrency, |numbers| self.submit(numbers, &submitted))
            .await;
        let accepting = began.elapsed();
        let requests = self.sink.wait_for(numbers.len(), DELIVERED_MAX).await;
        let delivering = began.elapsed();
        let submitted = submitted.into_inner().expect("no task panicked");
        let on_its_way = |number: u64, arrived: Instant| arrived - submitted[&number];
        let mut latencies: Vec<Duration> = requests
            .iter()
            .map(|request| on_its_way(request.json().as_u64().expect("a number"), request.at))
            .collect();
        latencies.sort_unstable();
        let rate = |duration: Duration| numbers.len() as f64 / duration.as_secs_f64();
        println!(
            "{how}: {} messages, {:.0} accepted/s, {:.0} delivered/s, submitted to received p50 \
             {:.1?}, p99 {:.1?}, {} twice",
            numbers.len(),
            rate(accepting),
            rate(delivering),
            percentile(&latencies, 50),
            percentile(&latencies, 99),
            latencies.len() - numbers.len(),
        );
    }

    async fn submit(&self, numbers: &[u64], submitted: &Submitted) {
        let now = Instant::now();
        submitted
            .lock()
            .expect("no task panicked")
            .extend(numbers.iter().map(|number| (*number, now)));
        let message = |number: &u64| {
            json!({"event_type": "load.test", "payload": number,
            "destination_ids": [self.destination.id]})
        };
        match numbers {
            [number] => drop(
                self.organization
                    .post("/v1/messages", message(number))
                    .await
                    .ok(202),
            ),
            many => {
                let messages: Vec<Value> = many.iter().map(message).collect();
                let answer = self
                    .organization
                    .post("/v1/messages/batch", json!({"messages": messages}))
                    .await
                    .ok(202);
                let results = answer["results"].as_array().expect("a result each");
                assert!(
                    results.iter().all(|result| result["status"] == 202),
                    "{answer}"
                );
            }
        }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

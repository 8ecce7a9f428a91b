//! Measures throughput, CPU time and latency of whole processes, case by case, and prints a table
//! and JSON.
//!
//! ```sh
//! cargo build --profile fast -p local --bin waybill
//! cargo run --profile fast --example load -- --bench target/fast/waybill [--bench PATH/OF/ANOTHER/waybill] [--rounds 3]
//! ```
//!
//! Each process has its own data directory on disk, and the receivers are in this process. With two
//! binaries the rounds alternate between them, and the last column compares the first with the
//! second. CPU time is the user and system time of the Waybill process; that of the generator is in
//! the next column.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use kit::sink::Sink;
use kit::stack::{Destination, Launch, Organization, Stack};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{pages, percentile};

/// How long to wait for the last delivery of a case.
const DELIVERED_MAX: Duration = Duration::from_secs(300);
/// Clock ticks per second, in which `/proc` counts CPU time.
const TICKS: f64 = 100.0;

/// What a case sends, and how.
struct Case {
    name: &'static str,
    /// Concurrent requests, or requests per second when `is_open`.
    connections: usize,
    /// Whether requests are sent at a fixed rate, independently of the responses.
    is_open: bool,
    messages: usize,
    /// Messages in one request.
    batch: usize,
    /// Destinations of one message.
    fan_out: usize,
    organizations: usize,
    payload_bytes: usize,
    /// Whether the first attempt of each delivery fails.
    fails_first: bool,
}

const SINGLE: Case = Case {
    name: "32 connections",
    connections: 32,
    is_open: false,
    messages: 4000,
    batch: 1,
    fan_out: 1,
    organizations: 1,
    payload_bytes: 1024,
    fails_first: false,
};

const CASES: [Case; 8] = [
    SINGLE,
    Case {
        name: "4 connections",
        connections: 4,
        messages: 1500,
        ..SINGLE
    },
    Case {
        name: "batches of 100",
        connections: 8,
        messages: 6000,
        batch: 100,
        ..SINGLE
    },
    Case {
        name: "fan-out 10",
        connections: 8,
        messages: 500,
        fan_out: 10,
        ..SINGLE
    },
    Case {
        name: "100 a second",
        connections: 100,
        is_open: true,
        messages: 1000,
        ..SINGLE
    },
    Case {
        name: "20 organizations",
        organizations: 20,
        ..SINGLE
    },
    Case {
        name: "64 KiB",
        messages: 500,
        payload_bytes: 64 << 10,
        ..SINGLE
    },
    Case {
        name: "first attempts fail",
        messages: 1000,
        fails_first: true,
        ..SINGLE
    },
];

/// The results of one run of a case.
struct Measured {
    deliveries_per_second: f64,
    cpu_ms: f64,
    generator_cpu_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    peak_mib: f64,
}

/// Runs every case on each binary, `rounds` times in turn, and prints the medians.
pub(crate) async fn measure(binaries: &[PathBuf], rounds: usize) {
    let mut results: Vec<Vec<Vec<Measured>>> = binaries
        .iter()
        .map(|_| CASES.iter().map(|_| Vec::new()).collect())
        .collect();
    for round in 0..rounds {
        for (binary, results) in binaries.iter().zip(&mut results) {
            let stack = Launch::of(binary).start().await;
            for (case, results) in CASES.iter().zip(results) {
                eprintln!(
                    "round {} of {rounds}: {} on {}",
                    round + 1,
                    case.name,
                    binary.display()
                );
                results.push(case.run(&stack).await);
            }
        }
    }
    report(binaries, &results);
}

/// Fills the table of one process with `count` deliveries, then runs the first case in turn on that
/// process and on one with an empty table, and prints the medians.
pub(crate) async fn measure_filled(binary: &Path, count: usize, rounds: usize) {
    let filled = Launch::of(binary).start().await;
    pages::fill(&filled.organization("Stored").await, count).await;
    let empty = Launch::of(binary).start().await;
    let (mut on_filled, mut on_empty) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        on_filled.push(SINGLE.run(&filled).await);
        on_empty.push(SINGLE.run(&empty).await);
    }
    let ([filled, filled_cpu, ..], [empty, empty_cpu, ..]) =
        (medians(&on_filled), medians(&on_empty));
    println!(
        "{:<10} {:>12} {:>11}",
        "table", "deliveries/s", "CPU ms each"
    );
    println!("{:<10} {filled:>12.0} {filled_cpu:>11.2}", "filled");
    println!("{:<10} {empty:>12.0} {empty_cpu:>11.2}", "empty");
    println!("filled / empty: {:.2}", filled / empty);
}

fn report(binaries: &[PathBuf], results: &[Vec<Vec<Measured>>]) {
    println!(
        "{:<20} {:>12} {:>11} {:>14} {:>9} {:>9} {:>9}",
        "case", "deliveries/s", "CPU ms each", "generator's ms", "p50 ms", "p99 ms", "peak MiB"
    );
    let mut rows = Vec::new();
    for (binary, results) in binaries.iter().zip(results) {
        println!("{}", binary.display());
        for (case, runs) in CASES.iter().zip(results) {
            let [rate, cpu, generator, p50, p99, peak] = medians(runs);
            println!(
                "{:<20} {rate:>12.0} {cpu:>11.2} {generator:>14.2} {p50:>9.1} {p99:>9.1} \
                 {peak:>9.0}",
                case.name
            );
            rows.push(json!({
                "binary": binary, "case": case.name, "deliveries_per_second": rate, "cpu_ms": cpu,
                "generator_cpu_ms": generator, "p50_ms": p50, "p99_ms": p99, "peak_mib": peak,
            }));
        }
    }
    if let [first, second] = results {
        println!("the first against the second");
        for (case, (first, second)) in CASES.iter().zip(first.iter().zip(second)) {
            let ([rate, cpu, ..], [other_rate, other_cpu, ..]) = (medians(first), medians(second));
            println!(
                "{:<20} {:>10.2} × {:>9.2} ×",
                case.name,
                rate / other_rate,
                other_cpu / cpu
            );
        }
    }
    println!("{}", Value::from(rows));
}

/// Returns the median of the rounds for each figure.
fn medians(runs: &[Measured]) -> [f64; 6] {
    let figures = |run: &Measured| {
        [
            run.deliveries_per_second,
            run.cpu_ms,
            run.generator_cpu_ms,
            run.p50_ms,
            run.p99_ms,
            run.peak_mib,
        ]
    };
    let all: Vec<[f64; 6]> = runs.iter().map(figures).collect();
    std::array::from_fn(|figure| {
        let mut values: Vec<f64> = all.iter().map(|run| run[figure]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    })
}

/// An organization of a case, and the destinations of its messages.
struct Tenant {
    organization: Organization,
    destinations: Vec<Destination>,
}

/// A case that is running.
struct Run<'c> {
    case: &'c Case,
    tenants: Vec<Tenant>,
    padding: String,
    /// When each message was submitted, by its number.
    submitted: Mutex<HashMap<u64, Instant>>,
}

impl Case {
    async fn run(&self, stack: &Stack) -> Measured {
        let sink = Sink::start().await;
        let mut tenants = Vec::new();
        for position in 0..self.organizations {
            let organization = stack
                .organization(&format!("{} {position}", self.name))
                .await;
            let mut destinations = Vec::new();
            for _ in 0..self.fan_out {
                let retry = json!({"initial_seconds": 1, "jitter": 0, "max_retries": 5});
                destinations.push(
                    organization
                        .destination()
                        .webhook(&sink)
                        .retry(retry)
                        .skip_check()
                        .create()
                        .await,
                );
            }
            tenants.push(Tenant {
                organization,
                destinations,
            });
        }
        sink.forget();
        let mut expected = self.messages * self.fan_out;
        if self.fails_first {
            sink.answers(std::iter::repeat_n(500, expected).chain([200]));
            expected *= 2;
        }
        let run = Run {
            case: self,
            tenants,
            padding: "x".repeat(self.payload_bytes),
            submitted: Mutex::default(),
        };
        let before = (cpu_ticks(stack.process_id()), cpu_ticks(std::process::id()));
        let began = Instant::now();
        run.submit_all().await;
        let received = sink.wait_for(expected, DELIVERED_MAX).await;
        let took = began.elapsed();
        let after = (cpu_ticks(stack.process_id()), cpu_ticks(std::process::id()));
        let submitted = run.submitted.into_inner().expect("no submitter panics");
        let mut latencies: Vec<Duration> = received
            .iter()
            .map(|request| {
                request.at - submitted[&request.json()["number"].as_u64().expect("a number")]
            })
            .collect();
        latencies.sort_unstable();
        let each = |before: f64, after: f64| (after - before) / TICKS * 1000.0 / expected as f64;
        Measured {
            deliveries_per_second: expected as f64 / took.as_secs_f64(),
            cpu_ms: each(before.0, after.0),
            generator_cpu_ms: each(before.1, after.1),
            p50_ms: percentile(&latencies, 50).as_secs_f64() * 1000.0,
            p99_ms: percentile(&latencies, 99).as_secs_f64() * 1000.0,
            peak_mib: peak_mib(stack.process_id()),
        }
    }
}

impl Run<'_> {
    async fn submit_all(&self) {
        let numbers: Vec<u64> = (0..self.case.messages as u64).collect();
        let requests = stream::iter(numbers.chunks(self.case.batch).enumerate());
        if !self.case.is_open {
            return requests
                .for_each_concurrent(self.case.connections, |(at, numbers)| {
                    self.submit(at, numbers)
                })
                .await;
        }
        // Each request has its scheduled time, however long the earlier ones take.
        let gap = Duration::from_secs(1) / u32::try_from(self.case.connections).unwrap_or(1);
        let began = Instant::now();
        let at_its_time = async |at: usize, numbers| {
            let due = began + gap * u32::try_from(at).unwrap_or(u32::MAX);
            sleep_until(due).await;
            self.submit(at, numbers).await;
        };
        requests
            .for_each_concurrent(None, |(at, numbers)| at_its_time(at, numbers))
            .await;
    }

    async fn submit(&self, at: usize, numbers: &[u64]) {
        let tenant = &self.tenants[at % self.tenants.len()];
        let now = Instant::now();
        self.submitted
            .lock()
            .expect("no submitter panics")
            .extend(numbers.iter().map(|number| (*number, now)));
        let ids: Vec<&str> = tenant
            .destinations
            .iter()
            .map(|destination| &*destination.id)
            .collect();
        let message = |number: &u64| {
            let payload = json!({"number": number, "padding": self.padding});
            json!({"event_type": "load.test", "payload": payload, "destination_ids": ids})
        };
        match numbers {
            [number] => drop(
                tenant
                    .organization
                    .post("/v1/messages", message(number))
                    .await
                    .ok(202),
            ),
            many => {
                let messages: Vec<Value> = many.iter().map(message).collect();
                let answer = tenant
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

/// Returns the user and system time that a process has used.
fn cpu_ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))
        .expect("Linux reports what a process used");
    let after_name = stat.rsplit_once(')').expect("the name is in parentheses").1;
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum()
}

/// Returns the peak memory of a process.
fn peak_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))
        .expect("Linux reports the memory of a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("the peak is in the status");
    line.split_whitespace()
        .next()
        .and_then(|kib| kib.parse::<f64>().ok())
        .expect("a number of KiB")
        / 1024.0
}

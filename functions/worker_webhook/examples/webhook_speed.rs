//! Measures how many webhooks per second one core can send: signed deliveries to a receiver in
//! another process, over connections that are reused.
//!
//! `cargo run --release -p worker_webhook --example webhook_speed [deliveries] [concurrency]`: the
//! defaults are 50,000 and 32. Prints deliveries per second and deliveries per second of this
//! process's CPU time, which does not include the receiver's.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code,
    reason = "a measurement, not a program: it has the machine's clock and arguments, and needs \
         not every sample"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domain::Timestamp;
use domain::destination::Destination;
use domain::id::{SecretId, Ulid};
use domain::settle::Outcome;
use domain::signing_secret::{SecretSource, SigningSecret};
use egress::{Client, Guard, Policy, Schemes, Tls};
use futures_util::{StreamExt as _, stream};
use kit::sink::Sink;
use local_aws::{Caller, Engines, KeySpec, Options, Resources};
use runtime::platform::{system_clock, system_random};
use rustls::RootCertStore;
use signing::SigningKey;
use vault::Vault;
use worker::{Connector as _, Job, Payload};
use worker_webhook::Webhook;

const ROUNDS: usize = 3;
const PAYLOAD: &[u8] = br#"{"report": "2026-11", "rows": 1204, "url": "https://reports.example.com/2026-11", "note": "a usual size"}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => serve().await,
        deliveries => {
            let deliveries = deliveries.map_or(50_000, |count| {
                count.parse().expect("a number of deliveries")
            });
            measure(
                deliveries,
                arguments
                    .next()
                    .map_or(32, |count| count.parse().expect("a number")),
            )
            .await;
        }
    }
}

/// Runs the receiver. It is a separate process so that its CPU time is not counted.
async fn serve() {
    let sink = Sink::start().await;
    println!("{}", sink.url());
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    drop(ended.await);
}

async fn measure(deliveries: usize, at_once: usize) {
    let (mut receiver, url) = start_receiver();
    let data = tempfile::tempdir().unwrap();
    let resources = Resources {
        keys: vec![KeySpec {
            name: "waybill-Key".into(),
        }],
        ..Resources::empty()
    };
    let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
    let aws = engines.sdk_config(Caller::unlimited("speed"));
    let vault = Vault::new(
        &aws,
        engines.key_arn("waybill-Key"),
        system_clock(),
        system_random(),
    );
    let destination = destination(&url, &vault).await;
    let client = Client::new(
        Guard::new(Policy::parse("127.0.0.1").unwrap()),
        Tls::with_roots(RootCertStore::empty()).unwrap(),
    );
    let webhook = Webhook::new(
        client,
        Schemes::HttpAndHttps,
        vault,
        system_clock(),
        system_random(),
    );
    deliver(&webhook, &destination, 1_000, at_once).await;
    for _ in 0..ROUNDS {
        let (started, cpu) = (Instant::now(), cpu_time());
        deliver(&webhook, &destination, deliveries, at_once).await;
        let count = f64::from(u32::try_from(deliveries).unwrap());
        let (wall, cpu) = (
            started.elapsed().as_secs_f64(),
            (cpu_time() - cpu).as_secs_f64(),
        );
        println!(
            "{:.0} a second; {:.0} per second of CPU",
            count / wall,
            count / cpu
        );
    }
    drop(receiver.kill());
}

/// Returns a destination that signs with a generated secret.
async fn destination(url: &str, vault: &Vault) -> Destination {
    let mut destination = samples::webhook(url);
    let text = SigningKey::generate(|buffer| buffer.fill(1)).to_secret_string();
    let id = SecretId::from(Ulid::first_at(Timestamp::from_millis(1)));
    let (organization, destination_id) = (destination.organization_id, destination.id);
    let sealed = vault
        .seal(
            organization,
            destination_id,
            &SigningSecret::sealed_name(id),
            &text,
        )
        .await
        .unwrap();
    let source = SecretSource::Generated { sealed };
    let created_at = Timestamp::from_millis(1);
    destination.signing_secrets = vec![SigningSecret {
        id,
        source,
        hint: None,
        created_at,
        valid_until: None,
    }];
    destination
}

async fn deliver(webhook: &Webhook, destination: &Destination, deliveries: usize, at_once: usize) {
    let sent = stream::iter(0..deliveries).map(async |_| {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
        let payload = Payload::in_memory(PAYLOAD);
        let delivery = samples::delivery();
        let job = Job {
            delivery: &delivery,
            destination,
            payload,
            attempt_number: 1,
            deadline,
        };
        matches!(
            webhook.deliver(job).await.unwrap().outcome,
            Outcome::Delivered(_)
        )
    });
    let delivered = sent
        .buffer_unordered(at_once)
        .filter(|delivered| std::future::ready(*delivered))
        .count()
        .await;
    assert_eq!(delivered, deliveries);
}

fn start_receiver() -> (Child, String) {
    let program = std::env::current_exe().unwrap();
    let mut receiver = Command::new(program)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(receiver.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    (receiver, url.trim().to_owned())
}

/// Returns the user and system time of this process. proc(5) counts in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

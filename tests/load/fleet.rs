//! Delivers to receivers that misbehave in different ways: they close and reset kept connections,
//! refuse requests that they did not process, fall silent, and move to another address, while the
//! name servers of other organizations do not respond. Each accepts every request on a new
//! connection, so no delivery may fail, and no attempt may except on a connection that falls silent:
//! only a time-out distinguishes it from a busy receiver.
//!
//! ```sh
//! cargo build --release --workspace --bins --examples
//! cargo run --release --example load -- --fleet 300 --messages 20000
//! ```
//!
//! This starts a Waybill and a name server of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use kit::dns::NameServer;
use kit::raw::{Receiver, Turn};
use kit::stack::{Destination, Launch, Organization};
use kit::tls::Authority;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

/// The most messages that the API accepts in one request.
const BATCH: usize = 100;
/// How often the moving receiver changes its address.
const MOVES_EVERY: Duration = Duration::from_secs(10);
/// How long to wait for the last delivery.
const SETTLED_MAX: Duration = Duration::from_secs(120);

/// How many attempts a delivery may take at a receiver that falls silent: it can meet one silent
/// connection after another.
const ATTEMPTS_OF_SILENT: u64 = 5;

/// A receiver and how it misbehaves.
struct Kind {
    name: &'static str,
    is_http_2: bool,
    /// How many attempts a delivery may take.
    attempts_max: u64,
    script: fn(usize, usize) -> Turn,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "closes",
        is_http_2: false,
        attempts_max: 1,
        script: |_, request| {
            if request % 7 == 0 {
                Turn::Close
            } else {
                Turn::ok()
            }
        },
    },
    Kind {
        name: "resets",
        is_http_2: false,
        attempts_max: 1,
        script: |_, request| {
            if request % 5 == 0 {
                Turn::Reset
            } else {
                Turn::ok()
            }
        },
    },
    Kind {
        name: "refuses",
        is_http_2: true,
        attempts_max: 1,
        script: |_, request| {
            if request % 9 == 0 {
                Turn::Refuse
            } else {
                Turn::ok_http_2()
            }
        },
    },
    Kind {
        name: "goes away",
        is_http_2: true,
        attempts_max: 1,
        script: |_, request| {
            if request % 20 == 0 {
                Turn::GoAway
            } else {
                Turn::ok_http_2()
            }
        },
    },
    Kind {
        name: "closes HTTP/2",
        is_http_2: true,
        attempts_max: 1,
        script: |_, request| {
            if request % 20 == 0 {
                Turn::Close
            } else {
                Turn::ok_http_2()
            }
        },
    },
    Kind {
        name: "falls silent",
        is_http_2: true,
        attempts_max: ATTEMPTS_OF_SILENT,
        script: |_, request| {
            if request % 50 == 0 {
                Turn::FallSilent
            } else {
                Turn::ok_http_2()
            }
        },
    },
];

/// Runs the fleet and prints the results for each kind of receiver.
pub(crate) async fn measure(seconds: u64, messages: usize) -> ExitCode {
    let Some(binary) = std::env::current_exe()
        .ok()
        .and_then(|example| Some(example.parent()?.parent()?.join("waybill")))
    else {
        eprintln!("the program waybill was not found next to the examples");
        return ExitCode::FAILURE;
    };
    let (names, authority) = (NameServer::start().await, Authority::new());
    let launch =
        Launch::of(binary).environment("WAYBILL_NAME_SERVER", &names.address().to_string());
    let stack = launch.start().await;
    let acme = stack.organization("Fleet").await;
    let mut receivers = Vec::new();
    let mut destinations = Vec::new();
    for kind in &KINDS {
        let receiver = match kind.is_http_2 {
            true => {
                Receiver::start_http_2(authority.server(&["127.0.0.1"], &["h2"]), kind.script).await
            }
            false => Receiver::start(kind.script).await,
        };
        let credentials = if kind.is_http_2 {
            json!({"kind": "none", "ca_pem": authority.certificate_pem()})
        } else {
            json!({"kind": "none"})
        };
        let new = acme
            .destination()
            .url(&receiver.url())
            .credentials(credentials)
            .skip_check();
        destinations.push((kind.name, kind.attempts_max, new.create().await));
        receivers.push(receiver);
    }
    let mut moving = MovingReceiver::start(&names).await;
    let url = format!("http://moves.example:{}/", moving.port);
    destinations.push((
        "moves",
        1,
        acme.destination().url(&url).skip_check().create().await,
    ));

    names.silence("slow.example");
    let slow = stack.organization("Slow").await;
    let silent = slow
        .destination()
        .url("http://n1.slow.example/")
        .skip_check()
        .create()
        .await;

    let started = Instant::now();
    let rounds = messages.div_ceil(BATCH * destinations.len());
    let pause = Duration::from_secs(seconds) / u32::try_from(rounds).unwrap_or(u32::MAX);
    for round in 0..rounds {
        submit(&slow, &silent, 5).await;
        for (_, _, destination) in &destinations {
            submit(&acme, destination, BATCH).await;
        }
        moving.follow(&names).await;
        sleep_until(started + pause * u32::try_from(round + 1).unwrap_or(u32::MAX)).await;
    }
    let mut bad = 0;
    for (name, attempts_max, destination) in &destinations {
        bad += report(&acme, name, *attempts_max, destination).await;
    }
    println!(
        "{} messages in {:.0?}: {bad} not delivered within their attempts",
        rounds * BATCH * destinations.len(),
        started.elapsed()
    );
    if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn submit(organization: &Organization, destination: &Destination, count: usize) {
    let message =
        json!({"event_type": "fleet.test", "payload": 1, "destination_ids": [destination.id]});
    let messages = vec![message; count];
    organization
        .post("/v1/messages/batch", json!({"messages": messages}))
        .await
        .ok(202);
}

/// Waits until all deliveries are finished, and prints how many failed or took more attempts.
async fn report(
    acme: &Organization,
    name: &str,
    attempts_max: u64,
    destination: &Destination,
) -> usize {
    let path = format!("/v1/deliveries?destination_id={}&limit=100", destination.id);
    let until = Instant::now() + SETTLED_MAX;
    let unfinished = ["queued", "retrying"].map(|status| format!("{path}&status={status}"));
    for path in &unfinished {
        while Instant::now() < until && !acme.list(path).await.is_empty() {
            sleep(Duration::from_millis(500)).await;
        }
    }
    let deliveries = acme.list(&path).await;
    let bad: Vec<_> = deliveries
        .iter()
        .filter(|one| {
            one["status"] != "succeeded" || one["attempt_count"].as_u64() > Some(attempts_max)
        })
        .collect();
    println!(
        "{name}: {} deliveries, {} not within {attempts_max} attempts",
        deliveries.len(),
        bad.len()
    );
    for example in bad.iter().take(3) {
        let id = example["id"].as_str().unwrap_or_default();
        let shown = acme.get(&format!("/v1/deliveries/{id}")).await.ok(200);
        let first = &shown["attempts"][0];
        println!(
            "  {} after {} attempts; the first: {} {}",
            shown["status"], shown["attempt_count"], first["reason"], first["detail"]
        );
    }
    bad.len()
}

/// A receiver that moves between two addresses: the old one refuses connections, and the name
/// resolves to the new one.
struct MovingReceiver {
    port: u16,
    at: u8,
    receiver: Receiver,
    moved_at: Instant,
}

impl MovingReceiver {
    async fn start(names: &NameServer) -> Self {
        let receiver =
            Receiver::start_at((IpAddr::from([127, 0, 0, 11]), 0), |_, _| Turn::ok()).await;
        names.set("moves.example", &["127.0.0.11"], 3_600);
        Self {
            port: receiver.address().port(),
            at: 11,
            receiver,
            moved_at: Instant::now(),
        }
    }

    async fn follow(&mut self, names: &NameServer) {
        if self.moved_at.elapsed() < MOVES_EVERY {
            return;
        }
        self.at = 23 - self.at;
        let address = Ipv4Addr::new(127, 0, 0, self.at);
        let receiver = Receiver::start_at((address.into(), self.port), |_, _| Turn::ok()).await;
        names.set("moves.example", &[&address.to_string()], 3_600);
        // The old address refuses connections from here on.
        self.receiver = receiver;
        self.moved_at = Instant::now();
    }
}

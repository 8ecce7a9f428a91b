//! No organization and no destination delays the others: every lane, with receivers that accept
//! connections and send nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use kit::stack::{Destination, Launch, NewDestination, Organization, Stack};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

const SILENT_DESTINATIONS: usize = 200;
/// The time within which a first attempt starts regardless of other receivers: one second, and
/// another for a machine that is busy with tests.
const SOON: Duration = Duration::from_secs(2);
/// The tests run one after another, because each loads the machine with a process of its own.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// If functions run in their own processes, they have the smaller capacity that the template gives
/// them.
fn in_one_process() -> Launch {
    Launch::of(env!("CARGO_BIN_EXE_waybill"))
}

/// Accepts connections, counts them and sends nothing.
struct Silent {
    port: u16,
    accepted: Arc<AtomicUsize>,
    serving: tokio::task::JoinHandle<()>,
}

impl Silent {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let serving = tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                connections.push(connection);
            }
        });
        Self {
            port,
            accepted,
            serving,
        }
    }

    fn count(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    async fn reached(&self, limit: Duration) -> bool {
        let wait = async {
            while self.count() == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(limit, wait).await.is_ok()
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A type of destination of each lane.
const KINDS: [&str; 5] = ["webhook", "email", "s3", "sftp", "postgres"];

fn described(organization: &Organization, kind: &str, port: u16) -> NewDestination {
    let fingerprint = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    let (settings, credentials): (Value, Value) = match kind {
        "webhook" => (
            json!({"url": format!("http://127.0.0.1:{port}/")}),
            json!({"kind": "none"}),
        ),
        "email" => (
            json!({"transport": {"smtp": {"host": "127.0.0.1", "port": port, "security": "none"}},
                "from": "a@acme.example",
                "to": ["b@acme.example"], "subject_template": "x"}),
            json!({"kind": "smtp_password", "username": "a", "password": "a-long-password"}),
        ),
        "s3" => (
            json!({"bucket": "reports", "region": "us-east-1",
                "endpoint": format!("http://127.0.0.1:{port}")}),
            json!({"kind": "access_key", "access_key_id": "AKIAIOSFODNN7EXAMPLE",
                "secret_access_key": "a-long-secret-access-key"}),
        ),
        "sftp" => (
            json!({"host": "127.0.0.1", "port": port, "username": "acme", "host_key": fingerprint}),
            json!({"kind": "password", "password": "a-long-password"}),
        ),
        _ => (
            json!({"host": "127.0.0.1", "port": port, "database": "app", "table": "events"}),
            json!({"kind": "password", "username": "app", "password": "a-long-password"}),
        ),
    };
    let described = organization
        .destination()
        .with("type", kind)
        .settings(settings)
        .retries(0);
    if kind == "webhook" {
        described.skip_check()
    } else {
        described.credentials(credentials).skip_check()
    }
}

async fn silent_destinations(
    organization: &Organization,
    kind: &str,
    silent: &Silent,
    count: usize,
) -> Vec<Destination> {
    let mut made = Vec::new();
    for chunk in (0..count).collect::<Vec<_>>().chunks(20) {
        made.extend(
            join_all(
                chunk
                    .iter()
                    .map(|_| described(organization, kind, silent.port).create()),
            )
            .await,
        );
    }
    made
}

/// Sends one message to all of them, a hundred at a time.
async fn send_to_all(organization: &Organization, destinations: &[Destination]) {
    for hundred in destinations.chunks(100) {
        organization.send(hundred, json!(1)).await;
    }
}

/// Sends to a receiver that receives nothing else, and returns how long its first attempt takes to
/// start.
async fn starts_soon(organization: &Organization, kind: &str, what: &str) {
    let quiet = Silent::start().await;
    let destination = described(organization, kind, quiet.port).create().await;
    let sent = Instant::now();
    organization.send([&destination], json!(1)).await;
    assert!(
        quiet.reached(Duration::from_secs(30)).await,
        "{kind}, {what}: no attempt at all"
    );
    let waited = sent.elapsed();
    println!("{kind}, {what}: the first attempt started after {waited:?}");
    assert!(
        waited < SOON,
        "{kind}, {what}: the first attempt started after {waited:?}"
    );
}

/// Fills a lane with the silent destinations of one organization, and then sends to a destination
/// of another organization and to a further one of the same organization.
async fn lane_stays_open(stack: &Stack, kind: &str) {
    let (loud, quiet) = (
        stack.organization("Loud").await,
        stack.organization("Quiet").await,
    );
    let silent = Silent::start().await;
    let destinations = silent_destinations(&loud, kind, &silent, SILENT_DESTINATIONS).await;
    send_to_all(&loud, &destinations).await;
    assert!(
        silent.reached(Duration::from_secs(10)).await,
        "{kind}: the lane does not move"
    );
    starts_soon(&quiet, kind, "another organization").await;
    starts_soon(&loud, kind, "another destination of the organization").await;
}

macro_rules! lanes {
    ($($name:ident: $kind:expr,)*) => {$(
        #[tokio::test]
        async fn $name() {
            let _turn = ONE_AT_A_TIME.lock().await;
            let stack = in_one_process().start().await;
            lane_stays_open(&stack, $kind).await;
        }
    )*};
}

lanes! {
    two_hundred_silent_webhooks_hold_up_nobody: KINDS[0],
    two_hundred_silent_mail_servers_hold_up_nobody: KINDS[1],
    two_hundred_silent_object_stores_hold_up_nobody: KINDS[2],
    two_hundred_silent_sftp_servers_hold_up_nobody: KINDS[3],
    two_hundred_silent_databases_hold_up_nobody: KINDS[4],
}

/// A backlog for one destination does not delay the others.
#[tokio::test]
async fn a_backlog_for_one_silent_destination_holds_up_no_other_of_its_organization() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let stack = in_one_process().start().await;
    for kind in KINDS {
        let organization = stack.organization("Loud").await;
        let silent = Silent::start().await;
        let destination = described(&organization, kind, silent.port).create().await;
        for first in (0..1_000).step_by(100) {
            let message = |number: usize| {
                json!({"event_type": "a.b", "payload": number,
                "destination_ids": [destination.id]})
            };
            let messages: Vec<Value> = (first..first + 100).map(message).collect();
            organization
                .post("/v1/messages/batch", json!({"messages": messages}))
                .await
                .ok(202);
        }
        assert!(
            silent.reached(Duration::from_secs(10)).await,
            "{kind}: the lane does not move"
        );
        starts_soon(&organization, kind, "another destination").await;
    }
}

/// One organization occupies at most half of a lane, however many destinations it has and however
/// many organizations wait.
#[tokio::test]
async fn an_organization_holds_half_of_a_lane_at_most_while_another_waits() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let stack = in_one_process().start().await;
    let (loud, quiet) = (
        stack.organization("Loud").await,
        stack.organization("Quiet").await,
    );
    let (loud_server, quiet_server) = (Silent::start().await, Silent::start().await);
    let many = silent_destinations(&loud, "sftp", &loud_server, 100).await;
    for _ in 0..10 {
        send_to_all(&loud, &many).await;
    }
    let few = silent_destinations(&quiet, "sftp", &quiet_server, 10).await;
    for _ in 0..100 {
        send_to_all(&quiet, &few).await;
    }
    sleep(Duration::from_secs(2)).await;
    let (loud, quiet) = (loud_server.count(), quiet_server.count());
    println!("of the lane, {loud} messages are the loud one's and {quiet} the quiet one's");
    assert!(loud <= quiet + quiet / 10, "{loud} of {}", loud + quiet);
}

/// Connection checks of a silent server delay neither the API nor the checks of other
/// organizations.
#[tokio::test]
async fn a_hundred_checks_of_a_silent_server_delay_no_other_organization() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let stack = in_one_process().start().await;
    let (loud, quiet) = (
        stack.organization("Loud").await,
        stack.organization("Quiet").await,
    );
    let silent = Silent::start().await;
    let url = format!("http://127.0.0.1:{}/", silent.port);
    let checks: Vec<_> = (0..100)
        .map(|_| {
            let (loud, url) = (loud.clone(), url.clone());
            tokio::spawn(async move { loud.destination().url(&url).asks().await.status })
        })
        .collect();
    sleep(Duration::from_millis(500)).await;
    let asked = Instant::now();
    stack.anonymous().get("/healthz").await.ok(200);
    let answered = asked.elapsed();
    let sink = kit::sink::Sink::start().await;
    quiet.destination().webhook(&sink).create().await;
    let checked = asked.elapsed();
    println!(
        "/healthz answered after {answered:?}, another organization's check after {checked:?}"
    );
    // A check against a silent server takes 15 s.
    assert!(
        answered < 2 * SOON && checked < 4 * SOON,
        "{answered:?}, {checked:?}"
    );
    checks.iter().for_each(tokio::task::JoinHandle::abort);
}

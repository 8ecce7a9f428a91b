//! A day in the life of an organization, for pictures: destinations of several types with real
//! receivers, traffic hour by hour, and failures that begin at different times.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::postgres::Postgres;
use kit::sink::{Reply, Route, Sink};
use kit::sshd::{self, Sshd};
use kit::stack::{Destination, Message, Organization, Stack};
use kit::tls::Authority;
use serde_json::{Value, json};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// When the CRM began to refuse its token, and the backup receiver to fail, in seconds before now.
const TOKEN_REVOKED: i64 = 7 * HOUR;
const BACKUP_DOWN: i64 = 3 * HOUR;
/// Messages of each hour of a day, the oldest first.
const DAY: [u32; 24] = [
    3, 3, 2, 2, 3, 4, 6, 8, 9, 11, 10, 9, 8, 10, 12, 11, 9, 8, 7, 6, 6, 7, 8, 9,
];
const CUSTOMERS: [&str; 5] = ["Globex", "Initech", "Umbrella", "Hooli", "Stark Industries"];
/// Who sends mail, which the operator grants.
const SENDER: &str = "reports@acme.example";
/// A bucket of the embedded S3, which the operator grants, too.
const BUCKET: &str = "waybill-grantable-acme";

/// The clock of the process: a file that holds by how many seconds it is off.
pub(crate) struct Clock(PathBuf);

impl Clock {
    pub(crate) fn new(folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.set(-24 * HOUR);
        clock
    }

    pub(crate) fn file(&self) -> &Path {
        &self.0
    }

    /// Sets the clock to a time before or after now, in seconds.
    fn set(&self, offset: i64) {
        // Whole at any time: the process reads it whenever it asks for the time.
        let next = self.0.with_extension("next");
        std::fs::write(&next, format!("{offset:+}\n")).expect("the clock's file is written");
        std::fs::rename(&next, &self.0).expect("the clock's file is replaced");
    }
}

/// The servers that receive; they live as long as the pictures are taken.
pub(crate) struct Receivers {
    sink: Sink,
    sftp: Sshd,
    postgres: Postgres,
}

impl Receivers {
    pub(crate) async fn start() -> Self {
        let postgres = Postgres::start(&Authority::new(), &["localhost"]);
        postgres.sql(
            "postgres",
            "CREATE ROLE analytics LOGIN PASSWORD 'a-long-password'",
        );
        postgres.sql("postgres", "CREATE DATABASE analytics OWNER analytics");
        postgres.sql(
            "analytics",
            "CREATE TABLE orders (order_id text PRIMARY KEY, customer text, amount numeric, currency text); \
             ALTER TABLE orders OWNER TO analytics",
        );
        Self {
            sink: Sink::start().await,
            sftp: Sshd::start().await,
            postgres,
        }
    }
}

/// The destinations of the organization.
struct Destinations {
    events: Destination,
    crm: Destination,
    backup: Destination,
    billing: Destination,
    files: Destination,
    warehouse: Destination,
    mail: Destination,
    archive: Destination,
}

/// What pictures are taken of.
pub(crate) struct Seen {
    pub(crate) crm: String,
    pub(crate) backup: String,
    pub(crate) warehouse: String,
    pub(crate) failed: String,
    pub(crate) watched: Message,
    pub(crate) delivery: String,
    pub(crate) mail: String,
    pub(crate) file: String,
    pub(crate) rows: String,
    pub(crate) job: String,
}

/// Lives through a day and returns what it left behind.
pub(crate) async fn live(
    stack: &Stack,
    acme: &Organization,
    receivers: &Receivers,
    clock: &Clock,
) -> Seen {
    let grants = json!({"grants": {"ses_identities": [SENDER], "buckets": [BUCKET]}});
    stack
        .operator()
        .patch(&format!("/v1/organizations/{}", acme.id), grants)
        .await
        .ok(200);
    let to = create(acme, receivers).await;
    acme.settings(json!({"alert_destination_ids": [to.events.id]}))
        .await
        .ok(200);
    let paths = |path: &str| receivers.sink.path(path);
    let mut number = 0;
    let (mut failed, mut mail, mut file, mut rows) = (None, None, None, None);
    for (hour, count) in (1..=24).rev().zip(DAY) {
        for n in 0..count {
            let before_now = hour * HOUR - i64::from(n) * HOUR / i64::from(count);
            clock.set(-before_now);
            begin_failures(
                before_now,
                &paths("/crm"),
                &paths("/backup"),
                &paths("/billing"),
            );
            paths("/events").delays(Duration::from_millis(u64::from(20 + (number * 37) % 110)));
            number += 1;
            let sent = acme.submit(order(number, &to, n)).await;
            let others = [
                (number % 4 == 0).then(|| customer(number, &to.crm)),
                (number % 5 == 0).then(|| invoice(number, &to.billing)),
                (number % 9 == 0).then(|| report(number, &to.files)),
                (number % 13 == 0).then(|| summary(number, &to.mail)),
                (number % 6 == 0 && before_now <= BACKUP_DOWN + 2 * HOUR)
                    .then(|| snapshot(number, &to.backup)),
                (number % 17 == 0).then(|| snapshot(number, &to.archive)),
            ];
            sent.delivery(0).settles().await;
            rows = Some(sent.delivery(1).settles().await);
            for body in others.into_iter().flatten() {
                let goes_to = body["destination_ids"][0]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let message = acme.submit(body).await;
                if goes_to == to.backup.id {
                    continue;
                }
                let delivery = message.delivery(0).settles().await;
                let link = match goes_to {
                    id if id == to.crm.id && delivery["status"] == "failed" => &mut failed,
                    id if id == to.mail.id => &mut mail,
                    id if id == to.files.id => &mut file,
                    _ => continue,
                };
                *link = Some(delivery);
            }
        }
    }
    clock.set(0);
    let delivery = watched(acme, &to.billing, &paths("/billing")).await;
    let retry =
        json!({"kind": "retry", "filter": {"status": ["failed"], "destination_id": to.billing.id}});
    let job = acme.post("/v1/jobs", retry).await.ok(202);
    // The monitor disables what keeps failing, and sends what has become due.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let id = |value: &Value| value["id"].as_str().expect("an identifier").to_owned();
    Seen {
        crm: to.crm.id.clone(),
        backup: to.backup.id.clone(),
        warehouse: to.warehouse.id.clone(),
        failed: id(&failed.expect("the CRM refused something")),
        delivery: id(&delivery.1),
        watched: delivery.0,
        mail: id(&mail.expect("a mail was sent")),
        file: id(&file.expect("a file was sent")),
        rows: id(&rows.expect("rows were written")),
        job: id(&job),
    }
}

/// Creates the destinations, each with a receiver that runs.
async fn create(acme: &Organization, receivers: &Receivers) -> Destinations {
    let Receivers {
        sink,
        sftp,
        postgres,
    } = receivers;
    let webhook = |name: &str, path: &str| {
        acme.destination()
            .with("name", name)
            .webhook(&sink.path(path))
            .skip_check()
    };
    let typed = |name: &str, kind: &str, settings: Value, credentials: Value| {
        acme.destination()
            .with("type", kind)
            .with("name", name)
            .settings(settings)
            .credentials(credentials)
            .skip_check()
    };
    let token = json!({"kind": "bearer", "token": "crm-token-that-was-revoked"});
    let policy = json!({"alert_after_failures": 3, "disable_after_failures": 12,
        "disable_min_failing_seconds": 60});
    let files = json!({"host": "127.0.0.1", "port": sftp.port, "username": sshd::USERNAME,
        "host_keys": [sftp.host_key("ed25519")],
        "directory_template": "reports", "filename_template": "{{ reference }}.csv"});
    let rows = json!({"host": "localhost", "port": postgres.port, "database": "analytics",
        "tls": "require", "table": "orders",
        "mode": "rows", "on_conflict": "ignore", "key_columns": ["order_id"]});
    let password =
        json!({"kind": "password", "username": "analytics", "password": "a-long-password"});
    let mail = json!({"transport": "ses", "from": format!("Acme Reports <{SENDER}>"),
        "to": ["Ada Lovelace <ada@globex.example>"],
        "subject_template": "Daily summary {{ reference }}",
        "text_template": "Hello,\n\n{{ payload.orders }} orders came in today, worth {{ \
             payload.total }} EUR.\nThe report is attached.\n\nAcme Analytics\n"});
    let waits = json!({"schedule_seconds": [1, 2, 4]});
    Destinations {
        events: webhook("Event stream", "/events")
            .event_types(["order.*", "invoice.**"])
            .create()
            .await,
        crm: webhook("CRM", "/crm")
            .credentials(token)
            .with("failure_policy", policy)
            .retries(0)
            .create()
            .await,
        backup: webhook("Backup receiver", "/backup")
            .retry(json!({"schedule_seconds": [1, 3600, 14_400, 43_200]}))
            .create()
            .await,
        billing: webhook("Billing", "/billing").retry(waits).create().await,
        files: typed(
            "Partner files",
            "sftp",
            files,
            json!({"kind": "password", "password": sshd::PASSWORD}),
        )
        .create()
        .await,
        warehouse: typed("Warehouse", "postgres", rows, password)
            .create()
            .await,
        mail: typed("Daily summaries", "email", mail, json!({"kind": "iam"}))
            .create()
            .await,
        archive: typed(
            "Monthly archive",
            "s3",
            json!({"bucket": BUCKET}),
            json!({"kind": "iam"}),
        )
        .create()
        .await,
    }
}

/// Lets receivers fail at their times.
fn begin_failures(before_now: i64, crm: &Route, backup: &Route, billing: &Route) {
    match before_now / HOUR {
        // An hour in which it was down, and one in which it was deployed.
        15 => billing.answers([500]),
        10 => billing.answers([503, 200]),
        _ => billing.answers([200]),
    };
    if before_now <= TOKEN_REVOKED {
        crm.replies([Reply::status(401)
            .body(r#"{"error":"invalid_token","error_description":"The token was revoked"}"#)]);
    }
    if before_now <= BACKUP_DOWN {
        backup.replies([Reply::status(503).body("no healthy upstream")]);
    }
}

fn order(number: u32, to: &Destinations, n: u32) -> Value {
    let customer = CUSTOMERS[number as usize % CUSTOMERS.len()];
    let line = |part: u32| {
        let cents = (number * 7919 + part * 3571) % 90_000 + 950;
        json!({"order_id": format!("ORD-{}", 20_000 + number * 3 + part), "customer": customer,
            "amount": f64::from(cents) / 100.0, "currency": "EUR"})
    };
    let lines: Vec<Value> = (0..=n % 3).map(line).collect();
    json!({"event_type": "order.created", "reference": format!("ORD-{}", 20_000 + number * 3),
        "metadata": {"customer": customer},
        "payload": lines, "destination_ids": [to.events.id, to.warehouse.id]})
}

fn customer(number: u32, to: &Destination) -> Value {
    let name = CUSTOMERS[(number / 4) as usize % CUSTOMERS.len()];
    json!({"event_type": "customer.updated", "reference": format!("CUS-{}", 400 + number),
        "metadata": {"customer": name},
        "payload": {"customer": {"name": name, "tier": "enterprise", "seats": 20 + number % 80}},
        "destination_ids": [to.id]})
}

fn invoice(number: u32, to: &Destination) -> Value {
    let customer = CUSTOMERS[(number / 5) as usize % CUSTOMERS.len()];
    let amount = f64::from(number * 4391 % 250_000) / 100.0 + 40.0;
    json!({"event_type": "invoice.paid", "reference": format!("INV-{}", 2000 + number),
        "metadata": {"customer": customer},
        "payload": {"invoice": format!("INV-{}", 2000 + number), "customer": customer,
            "total": {"amount": amount, "currency": "EUR"}},
        "destination_ids": [to.id]})
}

fn report(number: u32, to: &Destination) -> Value {
    // "region,orders,revenue" and two lines of it, in base64.
    let csv = "cmVnaW9uLG9yZGVycyxyZXZlbnVlCkVNRUEsNDEyLDE4MzkwLjUwCkFNRVIsMzg1LDIwMTE3LjI1Cg==";
    json!({"event_type": "report.ready", "reference": format!("sales-{number:04}"),
        "content": {"base64": csv, "content_type": "text/csv", "filename": "sales.csv"},
        "destination_ids": [to.id]})
}

fn summary(number: u32, to: &Destination) -> Value {
    json!({"event_type": "report.daily", "reference": format!("#{number}"),
        "payload": {"orders": 40 + number, "total": "18,390.50",
            "regions": [{"name": "EMEA", "orders": 22}, {"name": "AMER", "orders": 18}]},
        "destination_ids": [to.id]})
}

fn snapshot(number: u32, to: &Destination) -> Value {
    json!({"event_type": "snapshot.created", "reference": format!("snap-{number}"),
        "payload": {"snapshot": number, "size_bytes": 48_318_382 + u64::from(number) * 1024},
        "destination_ids": [to.id]})
}

/// One that succeeds at its third attempt.
async fn watched(acme: &Organization, billing: &Destination, receiver: &Route) -> (Message, Value) {
    let busy = || {
        Reply::status(503)
            .header("content-type", "application/json")
            .body(r#"{"error":"deploying, try again"}"#)
    };
    let taken = Reply::status(200)
        .header("content-type", "application/json")
        .body(r#"{"ok":true,"invoice":"INV-2041"}"#);
    receiver.replies([busy(), busy(), taken]);
    let message = acme.submit(invoice(41, billing)).await;
    let delivery = message.delivery(0).reaches("succeeded").await;
    (message, delivery)
}

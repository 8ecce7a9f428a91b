//! Measures how fast rows are written into PostgreSQL and MariaDB, compared with each server's own
//! tool and the same rows in the same run, and how much memory a large payload takes.
//!
//!     cargo run --release -p worker_database --example throughput -- [MiB, 1024 by default]

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example that cannot go on says why by panicking"
)]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use domain::id::{DeliveryId, MessageId, Ulid};
use domain::input::{Errors, Fields};
use domain::settings::database::{DatabaseSettings, Engine};
use domain::settle::Outcome;
use egress::{Guard, Policy};
use futures_util::stream;
use kit::mariadb::MariaDb;
use kit::postgres::Postgres;
use kit::tls::Authority;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::time::Instant;
use worker::Payload;
use worker_database::{Credentials, Database, Facts, Trust};

const TABLE: &str = "CREATE TABLE events (id bigint, name varchar(40), price numeric(10,2), at \
     timestamp, note varchar(80))";
const CHUNK_ROWS: u64 = 1000;
/// MariaDB receives rows by INSERT, which is slower, so it gets a fraction of the rows.
const MARIADB_SHARE: u64 = 8;

#[derive(Clone, Copy)]
enum Form {
    Csv,
    Lines,
}

impl Form {
    fn row(self, id: u64) -> String {
        let (euros, cents, second) = (id % 9000, id % 100, id % 60);
        let note = "a note of some length, as they are";
        match self {
            Self::Csv => format!(
                "{id},name of row {id},{euros}.{cents:02},2026-01-02 03:04:{second:02},\"{note}\"\n"
            ),
            Self::Lines => format!(
                "{{\"id\":{id},\"name\":\"name of row \
                 {id}\",\"price\":{euros}.{cents:02},\"at\":\"2026-01-02 \
                 03:04:{second:02}\",\"note\":\"{note}\"}}\n"
            ),
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Csv => "id,name,price,at,note\n",
            Self::Lines => "",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Lines => "application/x-ndjson",
        }
    }

    fn rows_in(self, bytes: u64) -> u64 {
        bytes / self.row(1_234_567).len() as u64
    }

    fn chunk(self, number: u64, rows: u64) -> Bytes {
        let first = number * CHUNK_ROWS;
        let mut text = if number == 0 {
            self.header().to_owned()
        } else {
            String::new()
        };
        (first..(first + CHUNK_ROWS).min(rows)).for_each(|id| text.push_str(&self.row(id)));
        text.into()
    }

    fn payload(self, rows: u64) -> Payload {
        let chunks =
            move || (0..rows.div_ceil(CHUNK_ROWS)).map(move |number| self.chunk(number, rows));
        let size_bytes = chunks().map(|chunk| chunk.len() as u64).sum();
        Payload::streamed(size_bytes, stream::iter(chunks().map(Ok)))
    }
}

#[tokio::main]
async fn main() {
    let mebibytes: u64 = std::env::args()
        .nth(1)
        .map_or(1024, |text| text.parse().unwrap());
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .unwrap();
    let authority = Authority::new();
    let root = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
    let connector = Database::new(
        Guard::new(Policy::allowing(["127.0.0.1/32".parse().unwrap()])),
        Trust::with_roots(vec![root]),
    );

    let address = IpAddr::V4(Ipv4Addr::LOCALHOST).to_string();
    let postgres = Postgres::start(&authority, &[&address]);
    postgres.sql(
        "postgres",
        &format!("CREATE ROLE loader SUPERUSER LOGIN PASSWORD 'pass'; {TABLE}"),
    );
    for form in [Form::Csv, Form::Lines] {
        let rows = form.rows_in(mebibytes << 20);
        postgres.sql("postgres", "TRUNCATE events");
        deliver(
            &connector,
            Engine::Postgres,
            postgres.port,
            "postgres",
            form,
            rows,
        )
        .await;
        assert_eq!(
            postgres.sql("postgres", "SELECT count(*) FROM events"),
            [rows.to_string()]
        );
    }
    let rows = Form::Csv.rows_in(mebibytes << 20);
    let file = write_file(rows);
    postgres.sql("postgres", "TRUNCATE events");
    let started = Instant::now();
    let copy = format!(
        "\\copy events FROM '{}' (FORMAT csv, HEADER true)",
        file.path().display()
    );
    assert!(
        postgres
            .psql("postgres")
            .args(["-qc", &copy])
            .status()
            .unwrap()
            .success()
    );
    report("psql \\copy, text/csv", rows, started.elapsed());
    drop(postgres);

    let mariadb = MariaDb::start(&authority, &[&address]);
    mariadb.sql(
        "mysql",
        &format!(
            "CREATE DATABASE app; CREATE USER loader IDENTIFIED BY 'pass'; GRANT ALL ON \
             app.* TO loader; USE app; {TABLE}"
        ),
    );
    let rows = rows / MARIADB_SHARE;
    for form in [Form::Csv, Form::Lines] {
        mariadb.sql("app", "TRUNCATE events");
        deliver(&connector, Engine::Mysql, mariadb.port, "app", form, rows).await;
        assert_eq!(
            mariadb.sql("app", "SELECT count(*) FROM events"),
            [rows.to_string()]
        );
    }
    let file = write_file(rows);
    mariadb.sql("app", "TRUNCATE events");
    let started = Instant::now();
    let load = format!(
        "LOAD DATA LOCAL INFILE '{}' INTO TABLE events FIELDS TERMINATED BY ',' OPTIONALLY \
         ENCLOSED BY '\"' IGNORE 1 LINES",
        file.path().display()
    );
    let status = mariadb
        .mariadb("app")
        .args(["--local-infile=1", "-e", &load])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    report("mariadb LOAD DATA, text/csv", rows, started.elapsed());
    println!(
        "peak memory of this process: {} MiB",
        peak_kibibytes() / 1024
    );
}

fn write_file(rows: u64) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    (0..rows.div_ceil(CHUNK_ROWS))
        .for_each(|number| file.write_all(&Form::Csv.chunk(number, rows)).unwrap());
    file
}

async fn deliver(
    connector: &Database,
    engine: Engine,
    port: u16,
    database: &str,
    form: Form,
    rows: u64,
) {
    let members = json!({"host": "127.0.0.1", "port": port, "database": database, "table": "events",
        "mode": "rows", "timeout_seconds": 600});
    let serde_json::Value::Object(members) = members else {
        unreachable!()
    };
    let errors = Errors::default();
    let settings: DatabaseSettings =
        DatabaseSettings::read(engine, &mut Fields::new("", members, &errors)).unwrap();
    let credentials = Credentials::Password {
        username: "loader".into(),
        password: "pass".into(),
        ca_pem: None,
    };
    let message = MessageId::from(Ulid::first_at(Timestamp::from_millis(
        1_764_000_000_000 + form as i64,
    )));
    let facts = Facts {
        delivery: DeliveryId {
            message,
            position: 0,
        },
        event_type: "report.ready".into(),
        created_at: Timestamp::from_millis(1_764_000_000_000),
        content_type: form.content_type().into(),
        filename: None,
        sha256: None,
    };
    let payload = form.payload(rows);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(600);
    let attempted = connector
        .deliver(engine, &settings, &credentials, &facts, payload, deadline)
        .await
        .unwrap();
    assert!(
        matches!(attempted.outcome, Outcome::Delivered(_)),
        "{}",
        attempted.detail
    );
    report(
        &format!("waybill to {}, {}", engine.as_str(), form.content_type()),
        rows,
        started.elapsed(),
    );
}

fn report(what: &str, rows: u64, took: Duration) {
    let per_second = rows as f64 / took.as_secs_f64();
    println!(
        "{what}: {rows} rows in {:.1} s, {per_second:.0} rows/s; peak memory so far {} MiB",
        took.as_secs_f64(),
        peak_kibibytes() / 1024
    );
}

/// Returns the peak memory of this process (Linux).
fn peak_kibibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

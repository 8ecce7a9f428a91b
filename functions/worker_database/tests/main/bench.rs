//! Creates a database for each test on a shared server.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Once};
use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::Timestamp;
use domain::check::{CheckReport, StepName};
use domain::id::{DeliveryId, MessageId, Ulid};
use domain::input::{Errors, Fields};
use domain::settings::database::{DatabaseSettings, Engine};
use domain::settle::Outcome;
use egress::{Guard, Policy, Resolve};
use futures_util::future::BoxFuture;
use kit::mariadb::MariaDb;
use kit::postgres::Postgres;
use kit::tls::Authority;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use worker::{Attempted, Payload, StepRecorder};
use worker_database::{Credentials, Database, Facts, Trust};

/// The name that the servers' certificates are valid for.
pub(crate) const NAME: &str = "db.example";
/// Another name of the same server, which is not in its certificate.
pub(crate) const OTHER_NAME: &str = "other.example";
pub(crate) const PASSWORD: &str = "s3cret'\\ \"pass";

pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);
pub(crate) static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| {
    let server = Postgres::start(&AUTHORITY, &[NAME]);
    server.sql(
        "postgres",
        "CREATE ROLE by_certificate; CREATE ROLE by_clear_text; CREATE ROLE by_md5",
    );
    server
});
static MARIADB: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start(&AUTHORITY, &[NAME]));

/// A database, the user who owns it, and a connector.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    pub(crate) connector: Database,
}

/// Resolves two names to this machine.
struct Names;

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            match name {
                NAME | OTHER_NAME => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
                "inner.example" => Ok(vec![Ipv4Addr::new(10, 0, 0, 1).into()]),
                _ => Err(io::Error::from(io::ErrorKind::NotFound)),
            }
        })
    }
}

impl Bench {
    pub(crate) fn postgres() -> Self {
        let bench = Self::new(Engine::Postgres);
        let name = &bench.name;
        let password = PASSWORD.replace('\'', "''");
        POSTGRES.sql(
            "postgres",
            &format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"),
        );
        POSTGRES.sql("postgres", &format!("CREATE DATABASE {name} OWNER {name}"));
        bench
    }

    pub(crate) fn mysql() -> Self {
        let bench = Self::new(Engine::Mysql);
        let name = &bench.name;
        let password = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
        MARIADB.sql(
            "mysql",
            &format!(
                "CREATE DATABASE {name}; CREATE USER {name} IDENTIFIED BY '{password}'; \
                 GRANT ALL ON {name}.* TO {name}"
            ),
        );
        bench
    }

    fn new(engine: Engine) -> Self {
        static PROVIDER: Once = Once::new();
        // Another test of this process may have installed the provider.
        PROVIDER
            .call_once(|| drop(rustls::crypto::aws_lc_rs::default_provider().install_default()));
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let roots =
            vec![CertificateDer::from_pem_slice(AUTHORITY.certificate_pem().as_bytes()).unwrap()];
        Self {
            engine,
            name,
            connector: Self::connector(roots),
        }
    }

    /// Returns a connector that may connect to the loopback and trusts these authorities.
    pub(crate) fn connector(roots: Vec<CertificateDer<'static>>) -> Database {
        let guard = Guard::with_resolver(Policy::parse("127.0.0.1").unwrap(), Names);
        Database::new(guard, Trust::with_roots(roots))
    }

    pub(crate) fn port(&self) -> u16 {
        match self.engine {
            Engine::Postgres => POSTGRES.port,
            Engine::Mysql => MARIADB.port,
        }
    }

    /// Runs SQL as the owner of the database (PostgreSQL) or the administrator (MariaDB). Columns
    /// are separated by `|`.
    pub(crate) fn sql(&self, sql: &str) -> Vec<String> {
        match self.engine {
            Engine::Postgres => POSTGRES.sql(
                &self.name,
                &format!(
                    "SET client_min_messages = error; SET ROLE {}; {sql}",
                    self.name
                ),
            ),
            Engine::Mysql => MARIADB
                .sql(&self.name, sql)
                .into_iter()
                .map(|line| line.replace('\t', "|"))
                .collect(),
        }
    }

    /// Runs SQL as the server's administrator.
    pub(crate) fn admin(&self, sql: &str) -> Vec<String> {
        match self.engine {
            Engine::Postgres => POSTGRES.sql(&self.name, sql),
            Engine::Mysql => self.sql(sql),
        }
    }

    /// Returns the default settings with these members replaced.
    pub(crate) fn settings(&self, members: Value) -> DatabaseSettings {
        let mut all = json!({"host": NAME, "port": self.port(), "database": self.name,
            "table": "events", "timeout_seconds": 20});
        for (name, value) in members.as_object().unwrap() {
            all[name] = value.clone();
        }
        let errors = Errors::default();
        let Value::Object(all) = all else {
            unreachable!()
        };
        let mut fields = Fields::new("/settings", all, &errors);
        let settings = DatabaseSettings::read(self.engine, &mut fields);
        fields.finish();
        errors.into_result(settings).unwrap().unwrap()
    }

    pub(crate) fn password(&self) -> Credentials {
        Credentials::Password {
            username: self.name.clone(),
            password: PASSWORD.into(),
            ca_pem: None,
        }
    }

    pub(crate) async fn deliver(
        &self,
        settings: &DatabaseSettings,
        facts: &Facts,
        payload: impl Into<Bytes>,
    ) -> Attempted {
        self.deliver_as(settings, &self.password(), facts, payload)
            .await
    }

    pub(crate) async fn deliver_as(
        &self,
        settings: &DatabaseSettings,
        credentials: &Credentials,
        facts: &Facts,
        payload: impl Into<Bytes>,
    ) -> Attempted {
        let deadline = Instant::now() + Duration::from_secs(settings.timeout_seconds.into());
        let payload = Payload::in_memory(payload);
        let attempted = self
            .connector
            .deliver(self.engine, settings, credentials, facts, payload, deadline)
            .await;
        let attempted = attempted
            .or_else(|error| error.into_attempted(None))
            .unwrap();
        assert!(!attempted.detail.contains("s3cret"), "{}", attempted.detail);
        attempted
    }

    pub(crate) async fn check(
        &self,
        settings: &DatabaseSettings,
        credentials: &Credentials,
    ) -> CheckReport {
        let report = checked(&self.connector, self.engine, settings, credentials).await;
        assert!(
            report
                .steps
                .iter()
                .all(|step| !step.detail.is_empty() && !step.detail.contains("s3cret"))
        );
        report
    }
}

/// Returns the report of a check with this connector.
pub(crate) async fn checked(
    connector: &Database,
    engine: Engine,
    settings: &DatabaseSettings,
    credentials: &Credentials,
) -> CheckReport {
    let (deadline, mut steps) = (
        Instant::now() + Duration::from_secs(18),
        StepRecorder::default(),
    );
    let checked = connector
        .check(engine, settings, credentials, deadline, &mut steps)
        .await;
    steps.report(checked)
}

/// Returns the facts of a distinct delivery.
pub(crate) fn facts(n: i64, content_type: &str) -> Facts {
    let message = MessageId::from(Ulid::first_at(Timestamp::from_millis(
        1_764_000_000_000 + n,
    )));
    Facts {
        delivery: DeliveryId {
            message,
            position: 0,
        },
        event_type: "report.ready".into(),
        created_at: Timestamp::from_millis(1_764_000_000_120),
        content_type: content_type.into(),
        filename: None,
        sha256: None,
    }
}

pub(crate) fn delivered(attempted: &Attempted) -> Value {
    match &attempted.outcome {
        Outcome::Delivered(receipt) => receipt.to_json(),
        other => panic!("{other:?}: {}", attempted.detail),
    }
}

pub(crate) fn reason(attempted: &Attempted) -> Reason {
    match &attempted.outcome {
        Outcome::Retry(reason)
        | Outcome::ClientError(reason)
        | Outcome::Reject(reason)
        | Outcome::Gone(reason)
        | Outcome::Throttled(reason, _) => *reason,
        Outcome::Delivered(_) => panic!("it was delivered: {}", attempted.detail),
    }
}

/// Returns the step at which a check fails, and its detail.
pub(crate) fn failed(report: &CheckReport) -> (StepName, &str) {
    let step = report
        .failed_step()
        .unwrap_or_else(|| panic!("nothing failed: {report:?}"));
    (step.name, &step.detail)
}

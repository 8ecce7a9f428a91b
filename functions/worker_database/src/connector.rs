//! The database connector: makes one attempt with settings and credentials.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::attempt::RequestRecord;
use domain::check::StepName;
use domain::id::{DeliveryId, MessageId, Ulid};
use domain::receipt::Receipt;
use domain::settings::database::{DatabaseSettings, Engine, OnConflict};
use domain::settle::Outcome;
use domain::{Reason, Timestamp};
use egress::Guard;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::credentials::Credentials;
use crate::login::Login;
use crate::trust::Trust;
use crate::{mysql, postgres};
use worker::{Attempted, ConnectorError, Payload, StepRecorder};

/// The steps of a check in their order.
const STEPS: [StepName; 5] = [
    StepName::Resolve,
    StepName::Connect,
    StepName::Tls,
    StepName::Authenticate,
    StepName::Authorize,
];

/// How long the end of a session may take.
const END_MAX: Duration = Duration::from_secs(5);

/// Waits until a session has ended, but not beyond the attempt's deadline. The server counts the
/// session until it has closed the connection, so an attempt that returned earlier could overlap
/// with the next one, at a server that accepts only one.
pub(crate) async fn until_ended(ended: impl Future<Output = ()>, deadline: Instant) {
    drop(timeout_at(deadline.min(Instant::now() + END_MAX), ended).await);
}

/// How many bytes a server may send without having received any. A login and the answers of the
/// catalogue take a few kilobytes.
const UNSOLICITED_BYTES_MAX: u64 = 1 << 20;
/// The most bytes that a server may send.
const RECEIVED_BYTES_MAX: u64 = 64 << 20;

/// How many bytes a server may have sent after it received `sent` bytes. Answers are shorter than
/// their statements. A server that sends more would fill the memory, because the libraries buffer
/// what has not been read.
pub(crate) fn may_receive(sent: u64) -> u64 {
    (UNSOLICITED_BYTES_MAX + sent).min(RECEIVED_BYTES_MAX)
}

/// Delivers payloads to PostgreSQL and MySQL databases.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) guard: Guard,
    pub(crate) trust: Trust,
}

/// The data about a delivery that is written to the database.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The id of the delivery, which includes the message's id.
    pub delivery: DeliveryId,
    /// The event type of the message.
    pub event_type: String,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// The media type of the payload.
    pub content_type: String,
    /// The filename of the payload, if it has one.
    pub filename: Option<String>,
    /// The SHA-256 of the payload, if it is known.
    pub sha256: Option<String>,
}

/// The result of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// How many rows were written, or `None` if an earlier attempt wrote them and the number is not
    /// known.
    pub(crate) rows: Option<u64>,
    /// How many rows were skipped because their key exists, or `None` if no row may be skipped or
    /// an earlier attempt wrote them.
    pub(crate) skipped: Option<u64>,
    /// The server's transaction id, if it reports one.
    pub(crate) transaction_id: Option<String>,
    /// Whether an earlier attempt wrote the rows.
    pub(crate) is_repeat: bool,
}

impl Facts {
    /// The facts of the sample that a check writes and rolls back.
    pub(crate) fn of_check() -> Self {
        let message = MessageId::from(Ulid::first_at(Timestamp::from_millis(0)));
        Self {
            delivery: DeliveryId {
                message,
                position: 0,
            },
            event_type: "waybill.destination.check".to_owned(),
            created_at: Timestamp::from_millis(0),
            content_type: "application/json".to_owned(),
            filename: None,
            sha256: None,
        }
    }
}

/// Returns how many rows were skipped because of `on_conflict: ignore`.
pub(crate) fn skipped(settings: &DatabaseSettings, sent: u64, written: u64) -> Option<u64> {
    (settings.on_conflict == OnConflict::Ignore).then(|| sent.saturating_sub(written))
}

/// The arguments of a delivery that the engines need.
pub(crate) struct Delivering<'d> {
    pub(crate) database: &'d Database,
    pub(crate) login: &'d Login,
    pub(crate) settings: &'d DatabaseSettings,
    pub(crate) facts: &'d Facts,
    pub(crate) deadline: Instant,
    is_committing: AtomicBool,
}

impl Delivering<'_> {
    /// Notes that the next statement commits the delivery. From then on, only the server's answer
    /// shows whether something was written.
    pub(crate) fn commits_now(&self) {
        self.is_committing.store(true, Ordering::Relaxed);
    }

    /// Runs the attempt until its deadline. The error of an attempt that got no answer says whether
    /// something may have been written.
    async fn finish(
        &self,
        writing: BoxFuture<'_, Result<Written, ConnectorError>>,
    ) -> Result<Written, ConnectorError> {
        let finished = timeout_at(self.deadline, writing).await;
        let is_committing = self.is_committing.load(Ordering::Relaxed);
        match finished {
            Err(_) if is_committing => Err(ConnectorError::timed_out(format!(
                "the database did not confirm the transaction in time; {UNCONFIRMED}"
            ))),
            Err(_) => Err(ConnectorError::timed_out(
                "the database did not finish in time; nothing was written",
            )),
            Ok(Err(error)) if is_committing && is_unanswered(&error) => {
                Err(error.with_detail(|detail| format!("{detail}; {UNCONFIRMED}")))
            }
            Ok(done) => done,
        }
    }
}

/// The end of the detail of an attempt whose commit was not answered.
const UNCONFIRMED: &str =
    "the payload may have been written, and the next attempt does not write it twice";

/// Whether the connection ended without the server's answer.
fn is_unanswered(error: &ConnectorError) -> bool {
    matches!(
        error.outcome(),
        Some(Outcome::Retry(Reason::Protocol | Reason::Tls))
    )
}

impl Database {
    /// Creates a connector whose connections all pass `guard`.
    #[must_use]
    pub fn new(guard: Guard, trust: Trust) -> Self {
        Self { guard, trust }
    }

    /// Writes a payload in one transaction. Dropping the future closes the connection, which rolls
    /// the transaction back.
    pub async fn deliver(
        &self,
        engine: Engine,
        settings: &DatabaseSettings,
        credentials: &Credentials,
        facts: &Facts,
        payload: Payload,
        deadline: Instant,
    ) -> Result<Attempted, ConnectorError> {
        let size_bytes = payload.size_bytes();
        let login = Login::of(engine, settings, credentials)?;
        let request = Some(RequestRecord {
            method: "INSERT".to_owned(),
            url: login.url(&settings.table),
            headers: Vec::new(),
            size_bytes,
            body_sha256: facts.sha256.clone().unwrap_or_default(),
        });
        let delivering = Delivering {
            database: self,
            login: &login,
            settings,
            facts,
            deadline,
            is_committing: AtomicBool::new(false),
        };
        // Boxed, because these futures have tens of kilobytes and are part of the callers' futures.
        let writing: BoxFuture<'_, Result<Written, ConnectorError>> = match engine {
            Engine::Postgres => Box::pin(postgres::deliver(&delivering, payload)),
            Engine::Mysql => Box::pin(mysql::deliver(&delivering, payload)),
        };
        match delivering.finish(writing).await {
            Ok(written) => Ok(Attempted {
                detail: describe(&written, settings),
                outcome: Outcome::delivered(receipt(written, &login, settings)),
                request,
                response: None,
                body: None,
            }),
            Err(error) => Ok(error.into_attempted(request)?),
        }
    }

    /// Runs the steps of a delivery and stops at the first that fails. Everything it writes is
    /// rolled back.
    pub async fn check(
        &self,
        engine: Engine,
        settings: &DatabaseSettings,
        credentials: &Credentials,
        deadline: Instant,
        steps: &mut StepRecorder,
    ) -> Result<(), ConnectorError> {
        steps.expect(&STEPS);
        let login = Login::of(engine, settings, credentials)?;
        match engine {
            Engine::Postgres => {
                Box::pin(postgres::check(self, &login, settings, deadline, steps)).await
            }
            Engine::Mysql => Box::pin(mysql::check(self, &login, settings, deadline, steps)).await,
        }
    }
}

fn describe(written: &Written, settings: &DatabaseSettings) -> String {
    let table = &settings.table;
    let skipped = match written.skipped {
        None | Some(0) => String::new(),
        Some(1) => "; 1 row was skipped because its key already exists".to_owned(),
        Some(rows) => format!("; {rows} rows were skipped because their keys already exist"),
    };
    match written {
        Written {
            is_repeat: true, ..
        } => format!("an earlier attempt already wrote this delivery into {table}"),
        Written { rows: Some(1), .. } => format!("1 row was written into {table}{skipped}"),
        Written { rows, .. } => format!(
            "{} rows were written into {table}{skipped}",
            rows.unwrap_or_default()
        ),
    }
}

fn receipt(written: Written, login: &Login, settings: &DatabaseSettings) -> Receipt {
    Receipt::DatabaseRows {
        table: settings.table.to_string(),
        database: Some(login.database.clone()),
        rows: written.rows,
        rows_skipped: written.skipped,
        transaction_id: written.transaction_id,
    }
}

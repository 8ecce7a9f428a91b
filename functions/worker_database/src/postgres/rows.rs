//! Rows mode: writes a payload as many rows.

use bytes::Bytes;
use domain::settings::database::{DatabaseSettings, OnConflict};

use super::copy::Target;
use super::insert::Insert;
use super::ledger::{Claim, Ledger};
use super::names::{list, quoted};
use super::session::Session;
use super::stage::Stage;
use super::table::{self, Table};
use super::verdict;
use crate::connector::{Delivering, Written, skipped};
use crate::rows::{Inferred, Opened};
use worker::{ConnectorError, Payload, StepRecorder};

/// Writes a payload's rows, creating the table if the settings permit it.
pub(super) async fn deliver(
    delivering: &Delivering<'_>,
    payload: Payload,
) -> Result<Written, ConnectorError> {
    let Delivering {
        database,
        login,
        settings,
        facts,
        deadline,
        ..
    } = *delivering;
    let opened = Opened::read(settings, facts, payload).await?;
    let session = Session::open(database, login, deadline, &mut StepRecorder::default()).await?;
    let written = transact(&session, delivering, opened).await;
    session.end(deadline).await;
    written
}

async fn transact(
    session: &Session,
    delivering: &Delivering<'_>,
    mut opened: Option<Opened>,
) -> Result<Written, ConnectorError> {
    let Delivering {
        settings,
        facts,
        deadline,
        ..
    } = *delivering;
    let inferred = opened
        .as_mut()
        .map(|opened| std::mem::take(&mut opened.inferred));
    session.begin(deadline).await?;
    let table = match (Table::find(session, &settings.table).await?, inferred) {
        (Some(table), _) => table,
        (None, Some(inferred)) if settings.create_table => {
            table::create(session, &settings.table, &definition(settings, &inferred)).await?
        }
        (None, _) => return Err(verdict::no_table(&settings.table)),
    };
    let ledger = Ledger::in_schema_of(session, &table).await?;
    // Created tables are committed, so that another delivery does not wait for this one's rows.
    session.execute("COMMIT").await?;
    session.begin(deadline).await?;
    let delivery = facts.delivery.to_string();
    if let Claim::Written(written) = ledger.claim(session, &delivery).await? {
        return Ok(written);
    }
    let (sent, rows) = match opened {
        Some(opened) => write(session, settings, &table, opened).await?,
        None => (0, 0),
    };
    let transaction_id = ledger.note(session, &delivery, rows).await?;
    delivering.commits_now();
    session.commit().await?;
    Ok(Written {
        rows: Some(rows),
        skipped: skipped(settings, sent, rows),
        transaction_id,
        is_repeat: false,
    })
}

/// Writes the rows. Returns how many there were and how many were written.
async fn write(
    session: &Session,
    settings: &DatabaseSettings,
    table: &Table,
    mut opened: Opened,
) -> Result<(u64, u64), ConnectorError> {
    table.require(
        &opened.columns.names(),
        settings.on_conflict == OnConflict::Update,
    )?;
    let key: Vec<&str> = settings.key_columns.iter().map(String::as_str).collect();
    if !key.is_empty() {
        table.require_unique(session, &key).await?;
    }
    opened.columns.bind(table.specs(), &settings.key_columns)?;
    table.prepare(session).await?;
    let mut writing = RowWriter {
        session,
        settings,
        table,
        key: &key,
        opened,
        written: 0,
    };
    let rest = writing.copy().await?;
    writing.insert(rest).await
}

/// Writes a payload's rows: by COPY as far as possible, and the rest by INSERTs.
struct RowWriter<'w> {
    session: &'w Session,
    settings: &'w DatabaseSettings,
    table: &'w Table,
    key: &'w [&'w str],
    opened: Opened,
    written: u64,
}

impl RowWriter<'_> {
    /// Copies rows up to the first one that COPY cannot write, and returns that row.
    async fn copy(&mut self) -> Result<Option<(u64, Bytes)>, ConnectorError> {
        let mut next = self.opened.next().await?;
        let on_conflict = self.settings.on_conflict;
        let takes_copy = match on_conflict {
            OnConflict::Error => self.table.takes_copy(),
            _ => self.table.takes_stage(self.session, self.key).await?,
        };
        if !takes_copy {
            return Ok(next);
        }
        while let Some(first) = next.take() {
            let again = first.clone();
            let copied = if on_conflict == OnConflict::Error {
                let target = Target {
                    sql: self.table.sql(),
                    relation: &self.table.name,
                    needs_every_column: false,
                };
                target
                    .copy(self.session, &mut self.opened, first)
                    .await?
                    .map(|copied| (copied.rows, copied))
            } else {
                let stage = Stage {
                    table: self.table,
                    on_conflict,
                    key: self.key,
                };
                stage.copy(self.session, &mut self.opened, first).await?
            };
            let Some((written, copied)) = copied else {
                return Ok(Some(again));
            };
            // For an update, several rows with the same key all count as written.
            self.written += if on_conflict == OnConflict::Update {
                copied.rows
            } else {
                written
            };
            if copied.leaves_out {
                return Ok(copied.next);
            }
            next = copied.next;
        }
        Ok(None)
    }

    /// Inserts this row and all rows after it. Returns the total number of rows and how many were
    /// written.
    async fn insert(mut self, first: Option<(u64, Bytes)>) -> Result<(u64, u64), ConnectorError> {
        let mut insert = Insert::new(self.table, self.settings.on_conflict, self.key);
        let mut next = first;
        while let Some((number, record)) = next {
            let cells = self.opened.columns.decode(number, &record)?;
            insert
                .push(self.session, &self.opened.columns, number, cells)
                .await?;
            next = self.opened.next().await?;
        }
        let inserted = insert.finish(self.session).await?;
        Ok((self.opened.count(), self.written + inserted))
    }
}

/// Returns the definition of a table for rows like these. PostgreSQL's `numeric` stores every digit
/// of a number.
fn definition(settings: &DatabaseSettings, inferred: &[(String, Inferred)]) -> String {
    let sql_type = |inferred: &Inferred| match inferred {
        Inferred::Text => "text",
        Inferred::Number { .. } => "numeric",
        Inferred::Boolean => "boolean",
        Inferred::Json => "jsonb",
    };
    let mut parts: Vec<String> = inferred
        .iter()
        .map(|(name, inferred)| format!("{} {}", quoted(name), sql_type(inferred)))
        .collect();
    if !settings.key_columns.is_empty() {
        parts.push(format!(
            "PRIMARY KEY ({})",
            list(settings.key_columns.iter().map(String::as_str))
        ));
    }
    parts.join(", ")
}

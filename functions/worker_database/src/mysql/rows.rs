//! Rows mode: writes a payload as many rows.

use domain::settings::database::{DatabaseSettings, OnConflict};

use super::insert::{Counts, Insert};
use super::ledger::{Claim, Ledger};
use super::session::Session;
use super::table::{self, Table, list, quoted};
use super::verdict;
use crate::connector::{Delivering, Written, skipped};
use crate::rows::{Inferred, Opened};
use worker::{ConnectorError, Payload, StepRecorder};

/// The widest DECIMAL of MySQL: digits before and after the decimal point.
const DECIMAL: (i64, i64) = (35, 30);

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
    let mut session =
        Session::open(database, login, deadline, &mut StepRecorder::default()).await?;
    let written = transact(&mut session, delivering, opened).await;
    session.end(deadline).await;
    written
}

async fn transact(
    session: &mut Session,
    delivering: &Delivering<'_>,
    mut opened: Option<Opened>,
) -> Result<Written, ConnectorError> {
    let Delivering {
        settings, facts, ..
    } = *delivering;
    let inferred = opened
        .as_mut()
        .map(|opened| std::mem::take(&mut opened.inferred));
    let table = match (Table::find(session, &settings.table).await?, inferred) {
        (Some(table), _) => table,
        (None, Some(inferred)) if settings.create_table => {
            create(session, settings, &inferred).await?
        }
        (None, _) => return Err(verdict::no_table(&settings.table)),
    };
    table.require_transactions()?;
    let ledger = Ledger::in_schema(session, Some(table.schema.clone())).await?;
    session.execute("START TRANSACTION").await?;
    let delivery = facts.delivery.to_string();
    if let Claim::Written(written) = ledger.claim(session, &delivery).await? {
        return Ok(written);
    }
    let counts = match opened {
        Some(opened) => write(session, settings, &table, opened).await?,
        None => Counts::default(),
    };
    ledger.note(session, &delivery, counts.written).await?;
    delivering.commits_now();
    session.execute("COMMIT").await?;
    let skipped = skipped(settings, counts.sent, counts.written);
    Ok(Written {
        rows: Some(counts.written),
        skipped,
        transaction_id: None,
        is_repeat: false,
    })
}

async fn write(
    session: &mut Session,
    settings: &DatabaseSettings,
    table: &Table,
    mut opened: Opened,
) -> Result<Counts, ConnectorError> {
    table.require(
        &opened.columns.names(),
        settings.on_conflict == OnConflict::Update,
    )?;
    let key: Vec<&str> = settings.key_columns.iter().map(String::as_str).collect();
    if !key.is_empty() {
        table.require_unique(session, &key).await?;
    }
    opened.columns.bind(table.specs(), &settings.key_columns)?;
    let mut insert = Insert::new(table, settings.on_conflict, &key);
    while let Some((number, record)) = opened.next().await? {
        let cells = opened.columns.decode(number, &record)?;
        insert
            .push(session, &opened.columns, number, &cells)
            .await?;
    }
    insert.finish(session).await
}

/// Creates a table for rows like these. Its types are wider than the first rows require.
async fn create(
    session: &mut Session,
    settings: &DatabaseSettings,
    inferred: &[(String, Inferred)],
) -> Result<Table, ConnectorError> {
    let key = &settings.key_columns;
    let key_text = table::key_text(session, key.len()).await?;
    let mut parts = Vec::new();
    for (name, inferred) in inferred {
        let is_key = key.contains(name);
        let sql_type = match inferred {
            Inferred::Number { fraction: 0, whole }
                if is_key && *whole <= DECIMAL.0 + DECIMAL.1 =>
            {
                "decimal(65, 0)"
            }
            Inferred::Number { whole, fraction }
                if *whole <= DECIMAL.0 && *fraction <= DECIMAL.1 =>
            {
                "decimal(65, 30)"
            }
            Inferred::Boolean => "boolean",
            _ if is_key => &key_text,
            Inferred::Json => "json",
            Inferred::Text | Inferred::Number { .. } => "longtext",
        };
        parts.push(format!("{} {sql_type}", quoted(name)));
    }
    if !key.is_empty() {
        parts.push(format!(
            "PRIMARY KEY ({})",
            list(key.iter().map(String::as_str))
        ));
    }
    table::create(session, &settings.table, &parts.join(", ")).await
}

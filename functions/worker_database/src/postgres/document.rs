//! Document mode: writes a message as one row.

use domain::settings::database::TableName;
use tokio_postgres::types::{ToSql, Type};

use super::session::Session;
use super::table::{self, Table};
use super::verdict;
use crate::connector::{Delivering, Facts, Written};
use crate::document::{collect, created_at, fit, is_json};
use crate::rows::{Cell, ColumnKind};
use worker::{ConnectorError, Payload, StepRecorder};

/// The column whose unique index makes each delivery happen once.
pub(super) const DELIVERY_ID: &str = "delivery_id";
/// The columns of a table of documents.
pub(super) const COLUMNS: &[&str] = &[
    DELIVERY_ID,
    "message_id",
    "event_type",
    "created_at",
    "content_type",
    "payload",
];

/// Writes a message as one row, creating the table if the settings permit it.
pub(super) async fn deliver(
    delivering: &Delivering<'_>,
    payload: Payload,
) -> Result<Written, ConnectorError> {
    let Delivering {
        database,
        login,
        deadline,
        ..
    } = *delivering;
    let bytes = collect(payload).await?;
    let session = Session::open(database, login, deadline, &mut StepRecorder::default()).await?;
    let written = transact(&session, delivering, &bytes).await;
    session.end(deadline).await;
    written
}

async fn transact(
    session: &Session,
    delivering: &Delivering<'_>,
    bytes: &[u8],
) -> Result<Written, ConnectorError> {
    let Delivering {
        settings,
        facts,
        deadline,
        ..
    } = *delivering;
    session.begin(deadline).await?;
    let table = match Table::find(session, &settings.table).await? {
        Some(table) => table,
        None if settings.create_table => create(session, &settings.table, facts).await?,
        None => return Err(verdict::no_table(&settings.table)),
    };
    let written = write(session, &table, facts, bytes).await?;
    delivering.commits_now();
    session.commit().await?;
    Ok(written)
}

/// Checks the table and writes the row within the transaction.
pub(super) async fn write(
    session: &Session,
    table: &Table,
    facts: &Facts,
    bytes: &[u8],
) -> Result<Written, ConnectorError> {
    table.require(COLUMNS, false)?;
    table.require_unique(session, &[DELIVERY_ID]).await?;
    insert(session, table, facts, bytes).await
}

/// Creates a table of documents. JSON payloads are stored as `json`, which keeps every byte and can
/// be queried; other payloads as bytes.
pub(super) async fn create(
    session: &Session,
    name: &TableName,
    facts: &Facts,
) -> Result<Table, ConnectorError> {
    let payload = if is_json(&facts.content_type) {
        "json"
    } else {
        "bytea"
    };
    let definition = format!(
        "delivery_id text PRIMARY KEY, message_id text NOT NULL, event_type text NOT NULL, created_at timestamptz NOT NULL, \
         content_type text NOT NULL, payload {payload}"
    );
    table::create(session, name, &definition).await
}

/// Inserts the row. A plain INSERT is used because ON CONFLICT and RETURNING would require the
/// right to read the table.
async fn insert(
    session: &Session,
    table: &Table,
    facts: &Facts,
    bytes: &[u8],
) -> Result<Written, ConnectorError> {
    table.prepare(session).await?;
    let kind = |name| {
        table
            .column(name)
            .map_or(ColumnKind::TEXT, |column| table.kind(column))
    };
    let column = table.column("payload");
    let sql_type = column.map_or("text", |column| &column.sql_type);
    let base_type = column.map_or("text", |column| &column.base_type);
    let sql = format!(
        "INSERT INTO {} (delivery_id, message_id, event_type, created_at, content_type, payload) \
         VALUES ($1, $2, $3, $4::text::timestamptz, $5, $6::{})",
        table.sql(),
        if base_type == "bytea" {
            "bytea".to_owned()
        } else {
            format!("text::{sql_type}")
        },
    );
    let text;
    let (payload, payload_type): (&(dyn ToSql + Sync), Type) = if base_type == "bytea" {
        (&bytes, Type::BYTEA)
    } else {
        text = std::str::from_utf8(bytes).map_err(|_| {
            ConnectorError::rejected(format!(
                "the payload is not text, and column payload is {sql_type}: bytea takes any payload"
            ))
        })?;
        fit("payload", &kind("payload"), Cell::Json(text))?;
        (&text, Type::TEXT)
    };
    let (delivery, message) = (
        facts.delivery.to_string(),
        facts.delivery.message.to_string(),
    );
    let created_at = created_at(&kind("created_at"), facts);
    for (column, value) in [
        (DELIVERY_ID, &delivery),
        ("message_id", &message),
        ("event_type", &facts.event_type),
        ("created_at", &created_at),
        ("content_type", &facts.content_type),
    ] {
        fit(column, &kind(column), Cell::Text(value.into()))?;
    }
    let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
        (&delivery, Type::TEXT),
        (&message, Type::TEXT),
        (&facts.event_type, Type::TEXT),
        (&created_at, Type::TEXT),
        (&facts.content_type, Type::TEXT),
        (payload, payload_type),
    ];
    session.execute("SAVEPOINT waybill_document").await?;
    let inserted = session.client.execute_typed(&sql, &parameters).await;
    let is_repeat = match inserted {
        Ok(1) => false,
        Ok(_) => return Err(verdict::dropped(1, 1)),
        Err(error) if verdict::is_duplicate(&error) => {
            session
                .execute("ROLLBACK TO SAVEPOINT waybill_document")
                .await?;
            match error.as_db_error() {
                Some(theirs) if table::is_unique_by(session, theirs, DELIVERY_ID).await? => true,
                _ => return Err(verdict::of(error)),
            }
        }
        Err(error) => return Err(verdict::of(error)),
    };
    let transaction = session
        .query("SELECT pg_catalog.txid_current()::text", &[])
        .await?;
    let transaction_id = transaction
        .first()
        .filter(|_| !is_repeat)
        .map(|row| row.get(0));
    Ok(Written {
        rows: Some(1),
        skipped: None,
        is_repeat,
        transaction_id,
    })
}

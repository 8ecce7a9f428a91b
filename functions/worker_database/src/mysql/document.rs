//! Document mode: writes a message as one row.

use domain::settings::database::TableName;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, Value};

use super::session::Session;
use super::table::{self, Table};
use super::verdict;
use crate::connector::{Delivering, Facts, Written};
use crate::document::{collect, created_at, fit, is_json};
use crate::rows::{Cell, ColumnKind};
use worker::{ConnectorError, Payload, StepRecorder};

/// The column whose unique index makes each delivery happen once.
pub(super) const DELIVERY_ID: &str = "delivery_id";
/// The most bytes that a statement has in addition to its payload.
const PACKET_ROOM: usize = 4 << 10;
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
    let mut session =
        Session::open(database, login, deadline, &mut StepRecorder::default()).await?;
    let written = write(&mut session, delivering, bytes.into()).await;
    session.end(deadline).await;
    written
}

async fn write(
    session: &mut Session,
    delivering: &Delivering<'_>,
    payload: Vec<u8>,
) -> Result<Written, ConnectorError> {
    let Delivering {
        settings, facts, ..
    } = *delivering;
    let table = match Table::find(session, &settings.table).await? {
        Some(table) => table,
        None if settings.create_table => create(session, &settings.table, facts).await?,
        None => return Err(verdict::no_table(&settings.table)),
    };
    // `autocommit` may be off.
    session.execute("START TRANSACTION").await?;
    let written = insert(session, &table, facts, payload).await?;
    delivering.commits_now();
    session.execute("COMMIT").await?;
    Ok(written)
}

/// Checks whether the table can take the row.
async fn require(
    session: &mut Session,
    table: &Table,
    payload: &[u8],
) -> Result<(), ConnectorError> {
    table.require_transactions()?;
    table.require(COLUMNS, false)?;
    table.require_unique(session, &[DELIVERY_ID]).await?;
    if payload.len() + PACKET_ROOM > session.packet_bytes_max {
        return Err(verdict::too_long(1, session.packet_bytes_max));
    }
    Ok(())
}

async fn create(
    session: &mut Session,
    name: &TableName,
    facts: &Facts,
) -> Result<Table, ConnectorError> {
    let payload = if is_json(&facts.content_type) {
        "json"
    } else {
        "longblob"
    };
    let definition = format!(
        "delivery_id varchar(64) CHARACTER SET ascii NOT NULL PRIMARY KEY, message_id varchar(64) CHARACTER SET ascii NOT NULL, \
         event_type varchar(255) NOT NULL, created_at datetime(3) NOT NULL, content_type varchar(255) NOT NULL, payload {payload}"
    );
    table::create(session, name, &definition).await
}

/// Checks the table and inserts the row of the delivery within the transaction.
pub(super) async fn insert(
    session: &mut Session,
    table: &Table,
    facts: &Facts,
    payload: Vec<u8>,
) -> Result<Written, ConnectorError> {
    require(session, table, &payload).await?;
    let sql = format!(
        "INSERT INTO {} (delivery_id, message_id, event_type, created_at, content_type, payload) \
         VALUES (?, ?, ?, ?, ?, ?)",
        table.sql()
    );
    let values = values(table, facts, payload)?;
    match session.conn.exec_drop(sql, values).await {
        Ok(()) => Ok(Written {
            rows: Some(1),
            skipped: None,
            transaction_id: None,
            is_repeat: false,
        }),
        // Reading the row would require another right. The index that the error names is
        // sufficient.
        Err(Error::Server(error)) if error.code == verdict::DUPLICATE => {
            match verdict::index_of(&error) {
                Some(index) if table.is_unique_by(session, index, DELIVERY_ID).await? => {
                    Ok(Written {
                        rows: Some(1),
                        skipped: None,
                        transaction_id: None,
                        is_repeat: true,
                    })
                }
                _ => Err(verdict::of_server(&error)),
            }
        }
        Err(error) => Err(verdict::of(error)),
    }
}

/// Returns the values of the row in the order of [`COLUMNS`].
fn values(table: &Table, facts: &Facts, payload: Vec<u8>) -> Result<Vec<Value>, ConnectorError> {
    let kind = |name| {
        let column = table.column(name);
        column.map_or(ColumnKind::TEXT, |column| column.sql_type.kind())
    };
    let created_at = created_at(&kind("created_at"), facts);
    let texts = [
        facts.delivery.to_string(),
        facts.delivery.message.to_string(),
        facts.event_type.clone(),
        created_at
            .replace('T', " ")
            .trim_end_matches('Z')
            .to_owned(),
        facts.content_type.clone(),
    ];
    let mut values = Vec::new();
    for (column, text) in COLUMNS.iter().zip(texts) {
        values.push(match fit(column, &kind(column), Cell::Text(text.into()))? {
            Cell::Text(text) | Cell::Number(text) => text.into_owned().into(),
            _ => Value::NULL,
        });
    }
    let payload_kind = kind("payload");
    if !matches!(payload_kind, ColumnKind::Bytes { .. }) {
        let text = std::str::from_utf8(&payload).map_err(|_| {
            ConnectorError::rejected(
                "the payload is not text, and the column payload stores text: longblob takes any \
                 payload",
            )
        })?;
        fit("payload", &payload_kind, Cell::Json(text))?;
    }
    values.push(Value::Bytes(payload));
    Ok(values)
}

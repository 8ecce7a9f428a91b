//! Document mode: writes a message as one row.

use domain::settings::database::TableName;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, Value};

use super::session::Session;
use super::table::{self, Table};
use super::verdict;
use crate::connector::{Delivering, Facts, Written};
use crate::document::{collect, is_json};
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
    require(session, &table, &payload).await?;
    // One statement is one transaction.
    delivering.commits_now();
    insert(session, &table, facts, payload).await
}

/// Checks whether the table can take the row.
pub(super) async fn require(
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

/// Inserts the row of the delivery.
pub(super) async fn insert(
    session: &mut Session,
    table: &Table,
    facts: &Facts,
    payload: Vec<u8>,
) -> Result<Written, ConnectorError> {
    let sql = format!(
        "INSERT INTO {} (delivery_id, message_id, event_type, created_at, content_type, payload) \
         VALUES (?, ?, ?, ?, ?, ?)",
        table.sql()
    );
    let delivery = facts.delivery.to_string();
    let created_at = facts.created_at.to_string();
    let created_at = created_at
        .replace('T', " ")
        .trim_end_matches('Z')
        .to_owned();
    let values: Vec<Value> = vec![
        (&*delivery).into(),
        facts.delivery.message.to_string().into(),
        (&*facts.event_type).into(),
        created_at.into(),
        (&*facts.content_type).into(),
        Value::Bytes(payload),
    ];
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

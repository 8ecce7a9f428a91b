//! Document mode: a message is a row.

use domain::settings::database::TableName;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, Value};
use worker::Payload;

use super::insert::timestamp;
use super::session::Session;
use super::table::{self, Table};
use super::verdict;
use crate::connector::{Delivering, Facts, Written};
use crate::document::{collect, is_json};
use crate::failure::Failure;
use crate::walk::Walk;

/// The column that holds each delivery once.
pub(super) const DELIVERY_ID: &str = "delivery_id";
/// The columns that a table of documents has.
pub(super) const COLUMNS: &[&str] = &[DELIVERY_ID, "message_id", "event_type", "created_at", "content_type", "payload"];

/// Writes a message as one row.
pub(super) async fn deliver(delivering: &Delivering<'_>, payload: Payload) -> Result<Written, Failure> {
    let Delivering { database, place, settings, facts, deadline } = *delivering;
    let bytes = collect(payload).await?;
    let mut session = Session::open(database, place, deadline, &mut Walk::default()).await?;
    let table = match Table::find(&mut session, &settings.table).await? {
        Some(table) => table,
        None if settings.create_table => create(&mut session, &settings.table, facts).await?,
        None => return Err(verdict::no_table(&settings.table)),
    };
    table.require_transactions()?;
    table.require(COLUMNS, false)?;
    table.require_unique(&mut session, &[DELIVERY_ID]).await?;
    insert(&mut session, &table, facts, bytes.into()).await
}

async fn create(session: &mut Session, name: &TableName, facts: &Facts) -> Result<Table, Failure> {
    let payload = if is_json(&facts.content_type) { "json" } else { "longblob" };
    let definition = format!(
        "delivery_id varchar(64) CHARACTER SET ascii NOT NULL PRIMARY KEY, message_id varchar(64) CHARACTER SET ascii NOT NULL, \
         event_type varchar(255) NOT NULL, created_at datetime(3) NOT NULL, content_type varchar(255) NOT NULL, payload {payload}"
    );
    table::create(session, name, &definition).await
}

/// One statement is one transaction.
async fn insert(session: &mut Session, table: &Table, facts: &Facts, payload: Vec<u8>) -> Result<Written, Failure> {
    let sql = format!(
        "INSERT INTO {} (delivery_id, message_id, event_type, created_at, content_type, payload) VALUES (?, ?, ?, ?, ?, ?)",
        table.sql()
    );
    let delivery = facts.delivery.to_string();
    let created_at = facts.created_at.to_string();
    let created_at = timestamp(&created_at).unwrap_or(created_at);
    let values: Vec<Value> = vec![
        (&*delivery).into(),
        facts.delivery.message.to_string().into(),
        (&*facts.event_type).into(),
        created_at.into(),
        (&*facts.content_type).into(),
        Value::Bytes(payload),
    ];
    match session.conn.exec_drop(sql, values).await {
        Ok(()) => Ok(Written { rows: Some(1), transaction_id: None, is_repeat: false }),
        Err(Error::Server(error)) if error.code == verdict::DUPLICATE => {
            let sql = format!("SELECT 1 FROM {} WHERE delivery_id = ?", table.sql());
            let found: Vec<(u8,)> = session.query(&sql, (delivery,)).await?;
            if found.is_empty() {
                return Err(verdict::of_server(&error));
            }
            Ok(Written { rows: Some(1), transaction_id: None, is_repeat: true })
        }
        Err(error) => Err(verdict::of(error)),
    }
}

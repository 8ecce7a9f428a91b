//! Rows mode: a payload is many rows.

use domain::settings::database::{DatabaseSettings, OnConflict};
use worker::Payload;

use super::ledger::{Claim, Ledger};
use super::names::{list, quoted};
use super::session::Session;
use super::table::{self, Table};
use super::{copy, verdict};
use crate::connector::{Delivering, Written};
use crate::failure::Failure;
use crate::rows::{Cell, Opened};
use crate::walk::Walk;

/// Where rows wait until conflicts are resolved; gone with the transaction.
const STAGE: &str = "waybill_stage";
/// The rows' order in it.
const STAGE_ORDER: &str = "waybill_row";

/// Writes a payload's rows.
pub(super) async fn deliver(delivering: &Delivering<'_>, payload: Payload) -> Result<Written, Failure> {
    let Delivering { database, place, settings, facts, deadline } = *delivering;
    let opened = Opened::read(settings, facts, payload).await?;
    let definition = if settings.create_table { definition(settings, opened.as_ref())? } else { None };
    let session = Session::open(database, place, deadline, &mut Walk::default()).await?;
    session.begin(deadline).await?;
    let table = match (Table::find(&session, &settings.table).await?, definition) {
        (Some(table), _) => table,
        (None, Some(definition)) => table::create(&session, &settings.table, &definition).await?,
        (None, None) => return Err(verdict::no_table(&settings.table)),
    };
    let ledger = Ledger::beside(&session, &table).await?;
    // What was made stays: another delivery need not wait for this one's rows.
    session.execute("COMMIT").await?;
    session.begin(deadline).await?;
    let delivery = facts.delivery.to_string();
    if let Claim::Written(written) = ledger.claim(&session, &delivery).await? {
        return Ok(written);
    }
    let count = match opened {
        Some(opened) => write(&session, settings, &table, opened).await?,
        None => 0,
    };
    let written = ledger.note(&session, &delivery, count).await?;
    session.execute("COMMIT").await?;
    Ok(written)
}

async fn write(session: &Session, settings: &DatabaseSettings, table: &Table, mut opened: Opened) -> Result<u64, Failure> {
    opened.columns.note_json(|name| table.column(name).is_some_and(|column| matches!(&*column.sql_type, "json" | "jsonb")));
    let columns = &opened.columns;
    let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
    table.require(&names, settings.on_conflict == OnConflict::Update)?;
    if settings.on_conflict == OnConflict::Error {
        return copy::rows(session, &table.sql(), &table.name, columns, opened.first, &mut opened.records).await;
    }
    let key: Vec<&str> = settings.key_columns.iter().map(String::as_str).collect();
    if let Some(missing) = key.iter().find(|column| !names.contains(column)) {
        return Err(Failure::unfit(format!("the rows have no field for key column {missing}")));
    }
    session.execute(&stage(table, &names)).await?;
    let target = format!("pg_temp.{}", quoted(STAGE));
    let count = copy::rows(session, &target, STAGE, columns, opened.first, &mut opened.records).await?;
    session.client.execute(&merge(settings.on_conflict, table, &names, &key), &[]).await.map_err(verdict::of)?;
    Ok(count)
}

/// The temporary table: the columns that rows have, with their types, so that a value that does not fit is found with its row.
fn stage(table: &Table, names: &[&str]) -> String {
    let columns = table.columns.iter().filter(|column| names.contains(&&*column.name)).map(|column| {
        let not_null = if column.is_not_null { " NOT NULL" } else { "" };
        format!("{} {}{not_null}, ", quoted(&column.name), column.sql_type)
    });
    let columns: String = columns.collect();
    format!("CREATE TEMPORARY TABLE {} ({columns}{} bigserial) ON COMMIT DROP", quoted(STAGE), quoted(STAGE_ORDER))
}

/// From the temporary table into the real one. Of several rows with one key, the last counts to update and the first to ignore.
fn merge(on_conflict: OnConflict, table: &Table, names: &[&str], key: &[&str]) -> String {
    let columns = list(names.iter().copied());
    let keys = list(key.iter().copied());
    let order = quoted(STAGE_ORDER);
    let from = format!("pg_temp.{}", quoted(STAGE));
    let into = format!("INSERT INTO {} ({columns})", table.sql());
    if key.is_empty() {
        return format!("{into} SELECT {columns} FROM {from} ORDER BY {order} ON CONFLICT DO NOTHING");
    }
    let values: Vec<&str> = names.iter().copied().filter(|name| !key.contains(name)).collect();
    if on_conflict == OnConflict::Ignore || values.is_empty() {
        return format!("{into} SELECT {columns} FROM {from} ORDER BY {order} ON CONFLICT ({keys}) DO NOTHING");
    }
    let set: Vec<String> = values.iter().map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
    // Rows without a key are no conflict of one another: each is told apart by its own number.
    let is_null: Vec<String> = key.iter().map(|name| format!("{} IS NULL", quoted(name))).collect();
    let apart = format!("CASE WHEN {} THEN {order} END", is_null.join(" OR "));
    format!(
        "{into} SELECT {columns} FROM (SELECT DISTINCT ON ({keys}, {apart}) * FROM {from} ORDER BY {keys}, {apart}, {order} DESC) AS latest \
         ORDER BY {order} ON CONFLICT ({keys}) DO UPDATE SET {}",
        set.join(", ")
    )
}

/// The definition of a table for rows like the first; `None` when there are none.
fn definition(settings: &DatabaseSettings, opened: Option<&Opened>) -> Result<Option<String>, Failure> {
    let Some(opened) = opened else { return Ok(None) };
    let sample = opened.sample()?;
    let sql_type = |cell: &Cell<'_>| match cell {
        Cell::Null | Cell::Text(_) => "text",
        Cell::Number(_) => "numeric",
        Cell::Bool(_) => "boolean",
        Cell::Json(_) => "jsonb",
    };
    let names = opened.columns.names.iter().enumerate();
    let mut parts: Vec<String> =
        names.map(|(position, name)| format!("{} {}", quoted(name), sample.get(position).map_or("text", sql_type))).collect();
    if !settings.key_columns.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", list(settings.key_columns.iter().map(String::as_str))));
    }
    Ok(Some(parts.join(", ")))
}

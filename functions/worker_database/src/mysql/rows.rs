//! Rows mode: a payload is many rows.

use domain::settings::database::{DatabaseSettings, OnConflict};
use worker::Payload;

use super::insert::Insert;
use super::ledger::{Claim, Ledger};
use super::session::Session;
use super::table::{self, Table, list, quoted};
use super::verdict;
use crate::connector::{Delivering, Written};
use crate::failure::Failure;
use crate::rows::{Cell, Opened};
use crate::walk::Walk;

/// Writes a payload's rows.
pub(super) async fn deliver(delivering: &Delivering<'_>, payload: Payload) -> Result<Written, Failure> {
    let Delivering { database, place, settings, facts, deadline } = *delivering;
    let opened = Opened::read(settings, facts, payload).await?;
    let definition = if settings.create_table { definition(settings, opened.as_ref())? } else { None };
    let mut session = Session::open(database, place, deadline, &mut Walk::default()).await?;
    let table = match (Table::find(&mut session, &settings.table).await?, definition) {
        (Some(table), _) => table,
        (None, Some(definition)) => table::create(&mut session, &settings.table, &definition).await?,
        (None, None) => return Err(verdict::no_table(&settings.table)),
    };
    table.require_transactions()?;
    let ledger = Ledger::beside(&mut session, &table).await?;
    session.execute("START TRANSACTION").await?;
    let delivery = facts.delivery.to_string();
    if let Claim::Written(written) = ledger.claim(&mut session, &delivery).await? {
        return Ok(written);
    }
    let count = match opened {
        Some(opened) => write(&mut session, settings, &table, opened).await?,
        None => 0,
    };
    let written = ledger.note(&mut session, &delivery, count).await?;
    session.execute("COMMIT").await?;
    Ok(written)
}

async fn write(session: &mut Session, settings: &DatabaseSettings, table: &Table, mut opened: Opened) -> Result<u64, Failure> {
    opened.columns.note_json(|name| table.column(name).is_some_and(|column| column.data_type == "json"));
    let columns = &opened.columns;
    let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
    table.require(&names, settings.on_conflict == OnConflict::Update)?;
    let key: Vec<&str> = settings.key_columns.iter().map(String::as_str).collect();
    if let Some(missing) = key.iter().find(|column| !names.contains(column)) {
        return Err(Failure::unfit(format!("the rows have no field for key column {missing}")));
    }
    let mut insert = Insert::new(table, &columns.names, end(settings.on_conflict, &names, &key));
    let (mut next, mut number) = (opened.first.take(), 0);
    while let Some(record) = next {
        number += 1;
        insert.push(session, &columns.decode(number, &record)?).await?;
        next = opened.records.next().await?;
    }
    insert.finish(session).await
}

/// What an INSERT does on a conflict. (`INSERT IGNORE` would also ignore values that do not fit.)
fn end(on_conflict: OnConflict, names: &[&str], key: &[&str]) -> String {
    let values: Vec<&&str> = names.iter().filter(|name| !key.contains(name)).collect();
    let set = match on_conflict {
        OnConflict::Error => return String::new(),
        OnConflict::Update if !values.is_empty() => {
            values.iter().map(|name| format!("{0} = VALUES({0})", quoted(name))).collect::<Vec<_>>().join(", ")
        }
        // A column that stays as it is.
        OnConflict::Update | OnConflict::Ignore => names.first().map(|name| format!("{0} = {0}", quoted(name))).unwrap_or_default(),
    };
    format!(" ON DUPLICATE KEY UPDATE {set}")
}

/// The definition of a table for rows like the first; `None` when there are none.
fn definition(settings: &DatabaseSettings, opened: Option<&Opened>) -> Result<Option<String>, Failure> {
    let Some(opened) = opened else { return Ok(None) };
    let sample = opened.sample()?;
    let key = &settings.key_columns;
    let sql_type = |name: &String, cell: Option<&Cell<'_>>| match cell {
        Some(Cell::Number(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => "bigint",
        Some(Cell::Number(_)) => "double",
        Some(Cell::Bool(_)) => "boolean",
        Some(Cell::Json(_)) => "json",
        // A key of MySQL's has a length.
        _ if key.contains(name) => "varchar(255)",
        _ => "longtext",
    };
    let names = opened.columns.names.iter().enumerate();
    let mut parts: Vec<String> =
        names.map(|(position, name)| format!("{} {}", quoted(name), sql_type(name, sample.get(position)))).collect();
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", list(key.iter().map(String::as_str))));
    }
    Ok(Some(parts.join(", ")))
}

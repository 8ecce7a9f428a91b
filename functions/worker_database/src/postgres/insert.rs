//! INSERTs of many rows, for what COPY cannot write: views, tables with policies or triggers,
//! columns that take their default, and conflicts if no temporary table may be created. Statements
//! are unnamed, so that they work through a connection pooler.

use std::collections::HashSet;
use std::error::Error;

use bytes::BytesMut;
use domain::settings::database::OnConflict;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::names::{list, quoted};
use super::session::Session;
use super::table::Table;
use super::verdict;
use crate::rows::{Cell, Columns};
use worker::ConnectorError;

/// The largest number of parameters in a statement, which the protocol defines.
const PARAMETERS_MAX: usize = 65_535;
/// The largest number of rows in a statement.
const ROWS_MAX: usize = 1000;
/// Rows are sent when they have this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// The bytes that a value takes in addition to its text.
const VALUE_BYTES: usize = 8;

/// A value to send, or `None` for the column's default.
type Value = Option<Text>;

/// A value in its text form, or `None` for null. The server infers its type from the column.
#[derive(Debug)]
struct Text(Option<String>);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}

/// A row, with its number in the payload.
struct Row {
    number: u64,
    values: Vec<Value>,
}

/// Collects rows and inserts them into a table.
pub(super) struct Insert<'t> {
    table: &'t Table,
    on_conflict: OnConflict,
    key: &'t [&'t str],
    /// The columns of the pending rows.
    columns: Vec<String>,
    pending: Vec<Row>,
    pending_bytes: usize,
    /// The keys of the pending rows, because a statement cannot update the same row twice.
    keys: HashSet<Vec<String>>,
    has_savepoint: bool,
    /// How many rows the server has written.
    written: u64,
}

impl<'t> Insert<'t> {
    pub(super) fn new(table: &'t Table, on_conflict: OnConflict, key: &'t [&'t str]) -> Self {
        Self {
            table,
            on_conflict,
            key,
            columns: Vec::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            keys: HashSet::new(),
            has_savepoint: false,
            written: 0,
        }
    }

    /// Adds a row. Sends the pending rows when there are many, or when the new row has other
    /// columns.
    pub(super) async fn push(
        &mut self,
        session: &Session,
        columns: &Columns,
        number: u64,
        cells: Vec<Cell<'_>>,
    ) -> Result<(), ConnectorError> {
        let is_update = self.on_conflict == OnConflict::Update;
        // An update changes only the columns that a row has.
        let is_there = |cell: &Cell<'_>| !is_update || *cell != Cell::Absent;
        let present = columns
            .names
            .iter()
            .zip(&cells)
            .filter(|(_, cell)| is_there(cell));
        let present: Vec<&String> = present.map(|(name, _)| name).collect();
        let values: Vec<Value> = cells
            .iter()
            .filter(|cell| is_there(cell))
            .map(value)
            .collect();
        let key = self.key_of(&present, &values);
        let is_other = present.len() != self.columns.len()
            || present
                .iter()
                .zip(&self.columns)
                .any(|(one, other)| *one != other);
        if is_other
            || (is_update && self.keys.contains(&key))
            || (self.pending.len() + 1) * values.len() > PARAMETERS_MAX
        {
            self.flush(session).await?;
            self.columns = present.into_iter().cloned().collect();
        }
        if is_update {
            self.keys.insert(key);
        }
        self.pending_bytes += values.iter().map(size).sum::<usize>();
        self.pending.push(Row { number, values });
        if self.pending.len() >= ROWS_MAX || self.pending_bytes >= BATCH_BYTES {
            self.flush(session).await
        } else {
            Ok(())
        }
    }

    /// Sends the pending rows and returns how many rows were written.
    pub(super) async fn finish(mut self, session: &Session) -> Result<u64, ConnectorError> {
        self.flush(session).await?;
        Ok(self.written)
    }

    fn key_of(&self, present: &[&String], values: &[Value]) -> Vec<String> {
        let is_key = |name: &String| self.key.contains(&name.as_str());
        let key = present.iter().zip(values).filter(|(name, _)| is_key(name));
        key.map(|(_, value)| {
            value
                .as_ref()
                .and_then(|text| text.0.clone())
                .unwrap_or_default()
        })
        .collect()
    }

    async fn flush(&mut self, session: &Session) -> Result<(), ConnectorError> {
        let rows = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        self.keys.clear();
        match rows.as_slice() {
            [] => return Ok(()),
            [row] => return self.send_one(session, row).await,
            _ => {}
        }
        let savepoint = quoted("waybill_rows");
        let begin = if self.has_savepoint {
            format!("RELEASE SAVEPOINT {savepoint}; ")
        } else {
            String::new()
        };
        session
            .execute(&format!("{begin}SAVEPOINT {savepoint}"))
            .await?;
        self.has_savepoint = true;
        match self.send(session, &rows).await {
            Ok(written)
                if self.on_conflict == OnConflict::Ignore || written == rows.len() as u64 =>
            {
                self.written += written;
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if verdict::is_of_row(&error) => {}
            Err(error) => return Err(verdict::of(error)),
        }
        // One row is at fault, or two rows together. Sending them one by one shows which.
        session
            .execute(&format!("ROLLBACK TO SAVEPOINT {savepoint}"))
            .await?;
        for row in &rows {
            self.send_one(session, row).await?;
        }
        Ok(())
    }

    async fn send_one(&mut self, session: &Session, row: &Row) -> Result<(), ConnectorError> {
        let written = self.send(session, std::slice::from_ref(row)).await;
        let written = written.map_err(|error| {
            verdict::of_row(error, row.number, |parameter| {
                self.column_of(row, parameter)
            })
        })?;
        if written == 0 && self.on_conflict != OnConflict::Ignore {
            return Err(verdict::dropped_row(
                row.number,
                self.on_conflict == OnConflict::Update && !self.table.has_exact_key(self.key),
            ));
        }
        self.written += written;
        Ok(())
    }

    /// Returns the column of a statement's parameter. Parameters count from 1.
    fn column_of(&self, row: &Row, parameter: usize) -> Option<&str> {
        let sent = self
            .columns
            .iter()
            .zip(&row.values)
            .filter(|(_, value)| value.is_some());
        sent.map(|(name, _)| name.as_str())
            .nth(parameter.checked_sub(1)?)
    }

    async fn send(&self, session: &Session, rows: &[Row]) -> Result<u64, tokio_postgres::Error> {
        let mut sql = format!(
            "INSERT INTO {} AS t ({}) VALUES ",
            self.table.sql(),
            list(self.columns.iter().map(String::as_str))
        );
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = Vec::new();
        for (position, row) in rows.iter().enumerate() {
            sql.push_str(if position == 0 { "(" } else { ", (" });
            for (position, value) in row.values.iter().enumerate() {
                sql.push_str(if position == 0 { "" } else { ", " });
                match value {
                    None => sql.push_str("DEFAULT"),
                    Some(text) => {
                        parameters.push((text, Type::UNKNOWN));
                        sql.push_str(&format!("${}", parameters.len()));
                    }
                }
            }
            sql.push(')');
        }
        sql.push_str(&conflict(
            self.on_conflict,
            &self.columns,
            self.key,
            self.table.has_exact_key(self.key),
        ));
        session.client.execute_typed(&sql, &parameters).await
    }
}

/// Returns what an INSERT into `t` does on a conflict. If equal keys can have different texts, only
/// a row with exactly the same key is updated.
pub(super) fn conflict(
    on_conflict: OnConflict,
    columns: &[String],
    key: &[&str],
    has_exact_key: bool,
) -> String {
    let keys = if key.is_empty() {
        String::new()
    } else {
        format!(" ({})", list(key.iter().copied()))
    };
    let set: Vec<String> = columns
        .iter()
        .filter(|name| !key.contains(&&***name))
        .map(|name| format!("{0} = excluded.{0}", quoted(name)))
        .collect();
    match on_conflict {
        OnConflict::Error => String::new(),
        OnConflict::Ignore => format!(" ON CONFLICT{keys} DO NOTHING"),
        OnConflict::Update => {
            // A row that only has its key changes nothing in the existing row, but counts as
            // written.
            let set = if set.is_empty() {
                key.iter()
                    .take(1)
                    .map(|name| format!("{0} = t.{0}", quoted(name)))
                    .collect()
            } else {
                set
            };
            let same = key.iter().map(|name| {
                format!(
                    "t.{0}::text COLLATE \"C\" = excluded.{0}::text COLLATE \"C\"",
                    quoted(name)
                )
            });
            let only = if has_exact_key {
                String::new()
            } else {
                format!(" WHERE {}", same.collect::<Vec<_>>().join(" AND "))
            };
            format!(" ON CONFLICT{keys} DO UPDATE SET {}{only}", set.join(", "))
        }
    }
}

fn value(cell: &Cell<'_>) -> Value {
    Some(Text(match cell {
        Cell::Absent => return None,
        Cell::Null => None,
        Cell::Text(text) | Cell::Number(text) => Some(text.clone().into_owned()),
        Cell::Json(text) => Some((*text).to_owned()),
        Cell::Bool(value) => Some(value.to_string()),
    }))
}

fn size(value: &Value) -> usize {
    VALUE_BYTES
        + value
            .as_ref()
            .and_then(|text| text.0.as_ref())
            .map_or(0, String::len)
}

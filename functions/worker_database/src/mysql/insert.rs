//! INSERTs of many rows: as many as fit a statement's parameters and a megabyte, prepared in a few sizes.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, ServerError, Value};

use super::session::Session;
use super::table::{Table, list};
use super::verdict;
use crate::failure::Failure;
use crate::rows::Cell;

/// Parameters of one statement (the protocol's).
const PARAMETERS_MAX: usize = 65_535;
/// Rows are sent once they have this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Rows in a statement. Each size is prepared once.
const SIZES: [usize; 4] = [512, 64, 8, 1];

/// Rows on their way into a table.
pub(super) struct Insert {
    beginning: String,
    end: String,
    columns: Vec<String>,
    is_time: Vec<bool>,
    pending: Vec<Vec<Value>>,
    pending_bytes: usize,
    /// Rows that the server has taken.
    sent: u64,
}

impl Insert {
    /// INSERTs into these columns; `end` says what happens on a conflict.
    pub(super) fn new(table: &Table, columns: &[String], end: String) -> Self {
        let is_time = |name: &String| table.column(name).is_some_and(|column| matches!(&*column.data_type, "datetime" | "timestamp"));
        Self {
            beginning: format!("INSERT INTO {} ({}) VALUES ", table.sql(), list(columns.iter().map(String::as_str))),
            end,
            columns: columns.to_vec(),
            is_time: columns.iter().map(is_time).collect(),
            pending: Vec::new(),
            pending_bytes: 0,
            sent: 0,
        }
    }

    /// Takes a row, and sends those at hand when they are many.
    pub(super) async fn push(&mut self, session: &mut Session, cells: &[Cell<'_>]) -> Result<(), Failure> {
        let values = cells.iter().zip(&self.is_time).map(|(cell, is_time)| value(cell, *is_time));
        let values: Vec<Value> = values.collect();
        self.pending_bytes += values.iter().map(size).sum::<usize>();
        self.pending.push(values);
        if self.pending.len() >= SIZES[0] || self.pending_bytes >= BATCH_BYTES { self.flush(session).await } else { Ok(()) }
    }

    /// Sends what is left; returns how many rows there were.
    pub(super) async fn finish(mut self, session: &mut Session) -> Result<u64, Failure> {
        self.flush(session).await?;
        Ok(self.sent)
    }

    async fn flush(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut rows = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        while !rows.is_empty() {
            let most = rows.len().min(PARAMETERS_MAX / self.columns.len().max(1));
            let size = SIZES.into_iter().find(|size| *size <= most).unwrap_or(1);
            let rest = rows.split_off(size);
            match self.send(session, &rows).await {
                Ok(()) => self.sent += size as u64,
                Err(Error::Server(error)) if verdict::is_of_row(&error) => return Err(self.blame(session, rows, error).await),
                Err(error) => return Err(verdict::of(error)),
            }
            rows = rest;
        }
        Ok(())
    }

    async fn send(&self, session: &mut Session, rows: &[Vec<Value>]) -> Result<(), Error> {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let sql = format!("{}{}{}", self.beginning, vec![&*row; rows.len()].join(", "), self.end);
        session.conn.exec_drop(sql, rows.concat()).await
    }

    /// Finds the row that the server does not take, by sending them one by one: the statement that failed has left nothing behind, and
    /// the transaction ends with this.
    async fn blame(&self, session: &mut Session, rows: Vec<Vec<Value>>, error: ServerError) -> Failure {
        for (position, row) in rows.into_iter().enumerate() {
            match self.send(session, &[row]).await {
                Ok(()) => {}
                Err(Error::Server(error)) if verdict::is_of_row(&error) => return self.told(self.sent + 1 + position as u64, &error),
                Err(error) => return verdict::of(error),
            }
        }
        // Together they conflict with each other, one by one they do not.
        verdict::of_server(&error)
    }

    /// The error, with the row's number and the column that the server names, in whatever language.
    fn told(&self, row: u64, error: &ServerError) -> Failure {
        let Failure::Theirs { outcome, .. } = verdict::of_server(error) else { return verdict::of_server(error) };
        let is_named = |column: &&String| ['\'', '`'].iter().any(|quote| error.message.contains(&format!("{quote}{column}{quote}")));
        let column = self.columns.iter().find(is_named).map(|column| format!(", column {column}")).unwrap_or_default();
        Failure::new(outcome, format!("row {row}{column}: {}; nothing was written", verdict::told(error)))
    }
}

fn value(cell: &Cell<'_>, is_time: bool) -> Value {
    match cell {
        Cell::Null => Value::NULL,
        Cell::Text(text) if is_time => timestamp(text).map_or_else(|| text.as_bytes().into(), Value::from),
        Cell::Text(text) => text.as_bytes().into(),
        Cell::Number(text) | Cell::Json(text) => text.as_bytes().into(),
        Cell::Bool(value) => Value::Int((*value).into()),
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len() + 8,
        _ => 8,
    }
}

/// A time with an offset as MySQL takes it: in UTC, which is the session's zone. (MySQL knows neither `T…Z` nor, before 8.0.19, offsets.)
pub(super) fn timestamp(text: &str) -> Option<String> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(instant.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

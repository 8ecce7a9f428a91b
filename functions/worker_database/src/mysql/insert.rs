//! INSERTs of many rows: as many as the parameters of a statement and one megabyte allow, prepared
//! in a few sizes.

use domain::settings::database::OnConflict;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, ServerError, Value};

use super::session::Session;
use super::table::{Table, list, quoted};
use super::verdict;
use crate::rows::{Cell, Columns};
use worker::ConnectorError;

/// The largest number of parameters in a statement, which the protocol defines.
const PARAMETERS_MAX: usize = 65_535;
/// Rows are sent when they have this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// The numbers of rows in a statement. Each size is prepared once.
const SIZES: [usize; 4] = [512, 64, 8, 1];

/// A value to send, or `None` for the column's default.
type Sent = Option<Value>;

/// A row, with its number in the payload.
struct Row {
    number: u64,
    values: Vec<Sent>,
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
    /// The rows that were sent, and how many of them were written.
    counts: Counts,
}

/// How many rows were sent and written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) written: u64,
}

impl<'t> Insert<'t> {
    pub(super) fn new(table: &'t Table, on_conflict: OnConflict, key: &'t [&'t str]) -> Self {
        let counts = Counts::default();
        Self {
            table,
            on_conflict,
            key,
            columns: Vec::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            counts,
        }
    }

    /// Adds a row. Sends the pending rows when there are many, or when the new row has other
    /// columns.
    pub(super) async fn push(
        &mut self,
        session: &mut Session,
        columns: &Columns,
        number: u64,
        cells: &[Cell<'_>],
    ) -> Result<(), ConnectorError> {
        // An update changes only the columns that a row has.
        let is_update = self.on_conflict == OnConflict::Update;
        let is_there = |cell: &Cell<'_>| !is_update || *cell != Cell::Absent;
        let present = columns
            .names
            .iter()
            .zip(cells)
            .filter(|(_, cell)| is_there(cell))
            .map(|(name, _)| name);
        if !present.clone().eq(self.columns.iter()) {
            let present: Vec<String> = present.cloned().collect();
            self.flush(session).await?;
            self.columns = present;
        }
        let specs = cells.iter().enumerate().filter(|(_, cell)| is_there(cell));
        let values: Vec<Sent> = specs
            .map(|(position, cell)| value(cell, columns.holds_bits(position)))
            .collect();
        let bytes: usize = values.iter().map(size).sum();
        if bytes > session.packet_bytes_max {
            return Err(verdict::too_long(number, session.packet_bytes_max));
        }
        self.pending_bytes += bytes;
        self.pending.push(Row { number, values });
        if self.pending.len() >= SIZES[0] || self.pending_bytes >= BATCH_BYTES {
            self.flush(session).await
        } else {
            Ok(())
        }
    }

    /// Sends the pending rows and returns the numbers of all rows.
    pub(super) async fn finish(mut self, session: &mut Session) -> Result<Counts, ConnectorError> {
        self.flush(session).await?;
        Ok(self.counts)
    }

    async fn flush(&mut self, session: &mut Session) -> Result<(), ConnectorError> {
        let mut rows = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        while !rows.is_empty() {
            let most = rows.len().min(PARAMETERS_MAX / self.columns.len().max(1));
            let size = SIZES.into_iter().find(|size| *size <= most).unwrap_or(1);
            let rest = rows.split_off(size);
            match self.send(session, &rows).await {
                Ok(written) => self.count(size as u64, written),
                Err(Error::Server(error)) if verdict::is_of_row(&error) => {
                    self.one_by_one(session, rows).await?
                }
                Err(error) => return Err(verdict::of(error)),
            }
            rows = rest;
        }
        Ok(())
    }

    /// Counts rows. For an update, the server counts a changed row twice and an unchanged row not
    /// at all.
    fn count(&mut self, sent: u64, written: u64) {
        self.counts.sent += sent;
        self.counts.written += if self.on_conflict == OnConflict::Ignore {
            written
        } else {
            sent
        };
    }

    async fn send(&self, session: &mut Session, rows: &[Row]) -> Result<u64, Error> {
        let (sql, values) = self.statement(rows);
        session.conn.exec_drop(sql, values).await?;
        Ok(session.conn.affected_rows())
    }

    /// Returns the statement for these rows. It has `DEFAULT` for columns that a row leaves out.
    fn statement(&self, rows: &[Row]) -> (String, Vec<Value>) {
        let mut sql = format!(
            "INSERT INTO {} ({}) VALUES ",
            self.table.sql(),
            list(self.columns.iter().map(String::as_str))
        );
        let mut values = Vec::with_capacity(rows.len() * self.columns.len());
        for (position, row) in rows.iter().enumerate() {
            sql.push_str(if position == 0 { "(" } else { ", (" });
            for position in 0..self.columns.len() {
                sql.push_str(if position == 0 { "" } else { ", " });
                match row.values.get(position) {
                    Some(Some(value)) => {
                        sql.push('?');
                        values.push(value.clone());
                    }
                    _ => sql.push_str("DEFAULT"),
                }
            }
            sql.push(')');
        }
        sql.push_str(&conflict(self.on_conflict, &self.columns, self.key));
        (sql, values)
    }

    /// Sends rows one by one to find the one that the server refuses. The failed statement has
    /// written nothing, and the refusal ends the transaction. Rows that fail only together are
    /// written.
    async fn one_by_one(
        &mut self,
        session: &mut Session,
        rows: Vec<Row>,
    ) -> Result<(), ConnectorError> {
        for row in rows {
            let number = row.number;
            match self.send(session, &[row]).await {
                Ok(written) => self.count(1, written),
                Err(Error::Server(error)) if verdict::is_of_row(&error) => {
                    return Err(self.row_error(number, &error));
                }
                Err(error) => return Err(verdict::of(error)),
            }
        }
        Ok(())
    }

    /// Returns the error with the row's number and the column that the server's message names, in
    /// any language.
    fn row_error(&self, row: u64, error: &ServerError) -> ConnectorError {
        let outcome = verdict::outcome(error);
        if error.code == verdict::DIVISION_BY_ZERO && self.on_conflict != OnConflict::Error {
            let key = self.key.join(", ");
            let detail = format!(
                "row {row}: the row that it conflicts with has another {key}, or one that differs only in case, accents or spaces; \
                 nothing was written"
            );
            return ConnectorError::new(outcome, detail);
        }
        let is_named = |column: &&String| {
            ['\'', '`']
                .iter()
                .any(|quote| error.message.contains(&format!("{quote}{column}{quote}")))
        };
        let column = self
            .columns
            .iter()
            .find(is_named)
            .map(|column| format!(", column {column}"))
            .unwrap_or_default();
        ConnectorError::new(
            outcome,
            format!(
                "row {row}{column}: {}; nothing was written",
                verdict::describe(error)
            ),
        )
    }
}

/// Returns what an INSERT does on a conflict. (`INSERT IGNORE` would also ignore values that do not
/// fit.)
///
/// MySQL treats a conflict with any unique index as one with the key, and compares texts by their
/// collation. So the statement compares the existing row's key byte by byte; if it differs from
/// that of the new row, a division by zero ends the statement.
pub(super) fn conflict(on_conflict: OnConflict, columns: &[String], key: &[&str]) -> String {
    if on_conflict == OnConflict::Error {
        return String::new();
    }
    let same = key.iter().map(|name| {
        format!(
            "(CAST({0} AS BINARY) <=> CAST(VALUES({0}) AS BINARY))",
            quoted(name)
        )
    });
    let same: Vec<String> = same.collect();
    let unchanged = |name: &str| match same.is_empty() {
        true => format!("{0} = {0}", quoted(name)),
        false => format!(
            "{0} = IF(1 / ({1}), {0}, {0})",
            quoted(name),
            same.join(" AND ")
        ),
    };
    let stays = key
        .first()
        .copied()
        .or(columns.first().map(String::as_str))
        .map(unchanged);
    let is_update = on_conflict == OnConflict::Update;
    let values = columns
        .iter()
        .filter(|name| is_update && !key.contains(&&***name));
    let set: Vec<String> = stays
        .into_iter()
        .chain(values.map(|name| format!("{0} = VALUES({0})", quoted(name))))
        .collect();
    format!(" ON DUPLICATE KEY UPDATE {}", set.join(", "))
}

/// Converts a cell to the protocol's value. A bit column receives numbers, because it would store
/// the bytes of a text.
fn value(cell: &Cell<'_>, holds_bits: bool) -> Sent {
    Some(match cell {
        Cell::Absent => return None,
        Cell::Null => Value::NULL,
        Cell::Number(digits) if holds_bits => digits
            .parse()
            .map_or_else(|_| digits.as_bytes().into(), Value::UInt),
        Cell::Text(text) | Cell::Number(text) => text.as_bytes().into(),
        Cell::Json(text) => text.as_bytes().into(),
        Cell::Bool(value) => Value::Int((*value).into()),
    })
}

fn size(value: &Sent) -> usize {
    match value {
        Some(Value::Bytes(bytes)) => bytes.len() + 8,
        _ => 8,
    }
}

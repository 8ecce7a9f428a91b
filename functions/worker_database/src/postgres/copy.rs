//! COPY: sends rows in PostgreSQL's text format, with one chunk in memory.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use tokio_postgres::CopyInSink;

use super::names::{list, quoted};
use super::session::Session;
use super::verdict;
use crate::rows::{Cell, Opened};
use worker::ConnectorError;

/// The size of the chunks that are sent.
const CHUNK_BYTES: usize = 128 << 10;
/// How many names are tried for the statement when another user of a pooled connection has used the
/// name.
const NAMES_MAX: usize = 8;

/// The table into which rows are copied.
pub(super) struct Target<'t> {
    /// The table's name in SQL.
    pub(super) sql: String,
    /// The unqualified name, which error messages contain.
    pub(super) relation: &'t str,
    /// Whether a row must have a value for each column, instead of only for columns that have a
    /// default.
    pub(super) needs_every_column: bool,
}

/// The result of a COPY.
pub(super) struct Copied {
    /// How many rows were copied.
    pub(super) rows: u64,
    /// The next row, if it has other columns.
    pub(super) next: Option<(u64, Bytes)>,
    /// Whether that row leaves out columns, rather than adding some.
    pub(super) leaves_out: bool,
}

impl Target<'_> {
    /// Copies rows that have the same columns as `first`, which is the first of them. Returns
    /// `None` if no name was left for the statement on a pooled connection, and nothing was copied.
    pub(super) async fn copy(
        &self,
        session: &Session,
        opened: &mut Opened,
        first: (u64, Bytes),
    ) -> Result<Option<Copied>, ConnectorError> {
        let first_number = first.0;
        // Adds the new columns of the row, if it has any.
        opened.columns.decode(first.0, &first.1)?;
        let names = opened.columns.names.clone();
        let mut copied = Copied {
            rows: 0,
            next: Some(first),
            leaves_out: false,
        };
        let Some(sink) = self.begin(session, &names).await? else {
            return Ok(None);
        };
        let mut sink = pin!(sink);
        let mut chunk = BytesMut::with_capacity(2 * CHUNK_BYTES);
        while let Some((number, record)) = copied.next.take() {
            let cells = opened.columns.decode(number, &record)?;
            copied.leaves_out = self.leaves_out(opened, &cells);
            if copied.leaves_out || cells.len() > names.len() {
                copied.next = Some((number, record));
                break;
            }
            copied.rows += 1;
            write_row(&mut chunk, &cells);
            if chunk.len() >= CHUNK_BYTES {
                sink.send(chunk.split().freeze())
                    .await
                    .map_err(|error| self.of_copy(error, &names, first_number))?;
                chunk.reserve(2 * CHUNK_BYTES);
            }
            copied.next = opened.next().await?;
        }
        sink.send(chunk.freeze())
            .await
            .map_err(|error| self.of_copy(error, &names, first_number))?;
        let taken = sink
            .finish()
            .await
            .map_err(|error| self.of_copy(error, &names, first_number))?;
        if taken < copied.rows {
            return Err(verdict::dropped(copied.rows - taken, copied.rows));
        }
        Ok(Some(copied))
    }

    /// Runs the statement without rows, for a check.
    pub(super) async fn try_out(
        &self,
        session: &Session,
        names: &[String],
    ) -> Result<(), ConnectorError> {
        let Some(sink) = self.begin(session, names).await? else {
            return Ok(());
        };
        pin!(sink).finish().await.map(drop).map_err(verdict::of)
    }

    /// Whether a row has to be inserted another way, so that its missing columns get their
    /// defaults.
    fn leaves_out(&self, opened: &Opened, cells: &[Cell<'_>]) -> bool {
        let is_out = |(position, cell): (usize, &Cell<'_>)| {
            *cell == Cell::Absent
                && (self.needs_every_column || opened.columns.has_default(position))
        };
        cells.iter().enumerate().any(is_out)
    }

    /// Starts the statement. The library names each statement, and on a connection that a pooler
    /// shares in transaction mode, another user's statement may have the same name. The savepoint
    /// lets the transaction survive that error.
    async fn begin(
        &self,
        session: &Session,
        names: &[String],
    ) -> Result<Option<CopyInSink<Bytes>>, ConnectorError> {
        let sql = format!(
            "COPY {} ({}) FROM STDIN",
            self.sql,
            list(names.iter().map(String::as_str))
        );
        let savepoint = quoted("waybill_copy");
        for _ in 0..NAMES_MAX {
            session.execute(&format!("SAVEPOINT {savepoint}")).await?;
            match session.client.copy_in::<_, Bytes>(&sql).await {
                Ok(sink) => return Ok(Some(sink)),
                Err(error) if verdict::is_name_taken(&error) => {
                    session
                        .execute(&format!("ROLLBACK TO SAVEPOINT {savepoint}"))
                        .await?;
                }
                Err(error) => return Err(verdict::of(error)),
            }
        }
        Ok(None)
    }

    fn of_copy(
        &self,
        error: tokio_postgres::Error,
        names: &[String],
        first_number: u64,
    ) -> ConnectorError {
        verdict::of_copy(error, self.relation, names, first_number - 1)
    }
}

fn write_row(out: &mut BytesMut, cells: &[Cell<'_>]) {
    for (position, cell) in cells.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b"\t");
        }
        match cell {
            Cell::Null | Cell::Absent => out.extend_from_slice(b"\\N"),
            Cell::Text(text) => write_escaped(out, text.as_bytes()),
            Cell::Json(text) => write_escaped(out, text.as_bytes()),
            Cell::Number(digits) => out.extend_from_slice(digits.as_bytes()),
            Cell::Bool(true) => out.extend_from_slice(b"true"),
            Cell::Bool(false) => out.extend_from_slice(b"false"),
        }
    }
    out.extend_from_slice(b"\n");
}

fn write_escaped(out: &mut BytesMut, mut text: &[u8]) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r');
    while let Some(at) = text.iter().position(special) {
        out.extend_from_slice(&text[..at]);
        out.extend_from_slice(match text[at] {
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\\\",
        });
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_copy_interprets_are_escaped() {
        let mut out = BytesMut::new();
        let cells = [
            Cell::Text("a\tb\\N\r\n\u{e9}".into()),
            Cell::Null,
            Cell::Number("1.50".into()),
            Cell::Bool(true),
            Cell::Json("{\"x\": \"\\n\"}"),
        ];
        write_row(&mut out, &cells);
        assert_eq!(
            out,
            "a\\tb\\\\N\\r\\n\u{e9}\t\\N\t1.50\ttrue\t{\"x\": \"\\\\n\"}\n"
        );
    }
}

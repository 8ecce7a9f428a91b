//! COPY: rows in PostgreSQL's text format, as they come, with one chunk in memory.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;

use super::session::Session;
use super::verdict;
use crate::failure::Failure;
use crate::rows::{Cell, Columns, Records};

/// What is sent at once.
const CHUNK_BYTES: usize = 128 << 10;

/// Copies `first` and all records after it into `target`, whose bare name is `relation`. Returns how many there were.
pub(super) async fn rows(
    session: &Session,
    target: &str,
    relation: &str,
    columns: &Columns,
    first: Option<Bytes>,
    records: &mut Records,
) -> Result<u64, Failure> {
    let sql = format!("COPY {target} ({}) FROM STDIN", super::names::list(columns.names.iter().map(String::as_str)));
    let sink = session.client.copy_in::<_, Bytes>(&sql).await.map_err(verdict::of)?;
    let mut sink = pin!(sink);
    let mut chunk = BytesMut::with_capacity(2 * CHUNK_BYTES);
    let (mut next, mut count) = (first, 0);
    while let Some(record) = next {
        count += 1;
        write_row(&mut chunk, &columns.decode(count, &record)?);
        if chunk.len() >= CHUNK_BYTES {
            sink.send(chunk.split().freeze()).await.map_err(verdict::of)?;
            chunk.reserve(2 * CHUNK_BYTES);
        }
        next = records.next().await?;
    }
    sink.send(chunk.freeze()).await.map_err(verdict::of)?;
    sink.finish().await.map_err(|error| verdict::of_copy(error, relation, &columns.names, 0))?;
    Ok(count)
}

fn write_row(out: &mut BytesMut, cells: &[Cell<'_>]) {
    for (position, cell) in cells.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b"\t");
        }
        match cell {
            Cell::Null => out.extend_from_slice(b"\\N"),
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
    fn what_means_something_to_copy_is_escaped() {
        let mut out = BytesMut::new();
        let cells =
            [Cell::Text("a\tb\\N\r\n\u{e9}".into()), Cell::Null, Cell::Number("1.50"), Cell::Bool(true), Cell::Json("{\"x\": \"\\n\"}")];
        write_row(&mut out, &cells);
        assert_eq!(out, "a\\tb\\\\N\\r\\n\u{e9}\t\\N\t1.50\ttrue\t{\"x\": \"\\\\n\"}\n");
    }
}

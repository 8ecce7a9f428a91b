//! Rows out of a payload, one after the other, with no more of it in memory than one row and one chunk.
//!
//! A [`Splitter`](split::Splitter) finds where each record ends; [`Records`] hands its bytes out; a [`Columns`] says which field goes to
//! which column and [`decodes`](Columns::decode) a record into [`Cell`]s, in the columns' order.

mod csv;
mod json;
mod split;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};
use domain::settings::database::DatabaseSettings;
use worker::Payload;

use crate::connector::Facts;
use crate::failure::Failure;
use split::{Found, Splitter};

/// The longest row.
const ROW_BYTES_MAX: usize = 16 << 20;
/// What is put into the buffer at once.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Columns of a table that anybody has (PostgreSQL's limit).
const COLUMNS_MAX: usize = 1600;

/// One value, on its way into one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'r> {
    /// Nothing: null, a field that is not there, an empty field of CSV without quotes.
    Null,
    /// A text.
    Text(Cow<'r, str>),
    /// A number, digit by digit as it was written.
    Number(&'r str),
    /// true or false.
    Bool(bool),
    /// An object or array, as it was written.
    Json(&'r str),
}

/// How the rows of a payload are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON array of objects, or objects one after the other (NDJSON).
    Json,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
}

impl Format {
    /// By content type, else by the file's name.
    pub(crate) fn of(content_type: &str, filename: Option<&str>) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match &*essence {
            "application/json"
            | "text/json"
            | "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines" => return Some(Self::Json),
            "text/csv" | "application/csv" => return Some(Self::Csv),
            other if other.ends_with("+json") => return Some(Self::Json),
            _ => {}
        }
        match filename?.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "json" | "ndjson" | "jsonl" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// The records of a payload.
pub(crate) struct Records {
    payload: Payload,
    /// What came and does not stand in the buffer yet.
    chunk: Bytes,
    buffer: BytesMut,
    splitter: Splitter,
    /// How many were handed out.
    count: u64,
    is_at_end: bool,
}

impl Records {
    pub(crate) fn new(format: Format, payload: Payload) -> Self {
        Self { payload, chunk: Bytes::new(), buffer: BytesMut::new(), splitter: Splitter::new(format), count: 0, is_at_end: false }
    }

    /// The next record's bytes.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.splitter.find(&self.buffer, self.is_at_end) {
                Found::Record { skip, length } => {
                    let mut record = self.buffer.split_to(skip + length);
                    self.count += 1;
                    return Ok(Some(record.split_off(skip).freeze()));
                }
                Found::End => return Ok(None),
                Found::Fault(fault) => return Err(row_fault(self.count + 1, fault)),
                Found::More => self.read_on().await?,
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), Failure> {
        if self.buffer.len() > ROW_BYTES_MAX {
            return Err(row_fault(self.count + 1, &format!("is longer than {ROW_BYTES_MAX} bytes")));
        }
        if self.chunk.is_empty() {
            match self.payload.next().await? {
                Some(chunk) => self.chunk = chunk,
                None => self.is_at_end = true,
            }
        }
        let piece = self.chunk.split_to(self.chunk.len().min(PIECE_BYTES_MAX));
        self.buffer.extend_from_slice(&piece);
        Ok(())
    }
}

/// Which field of a row goes to which column.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The columns, in the order of cells.
    pub(crate) names: Vec<String>,
    format: Format,
    /// Of JSON: where each field goes.
    fields: HashMap<String, usize>,
    /// Of CSV: where each position of a record goes.
    positions: Vec<Option<usize>>,
    /// Columns that hold JSON: they take every value as it was written, a text with its quotes.
    holds_json: Vec<bool>,
    /// Fields that are not named are an error, as they would be lost without anybody having said so.
    is_strict: bool,
}

impl Columns {
    /// By the settings, else by the first row: its field names are the columns' names. `first` is the header of CSV.
    pub(crate) fn new(format: Format, mapping: Option<&BTreeMap<String, String>>, first: &[u8]) -> Result<Self, Failure> {
        let present: Vec<String> = match format {
            Format::Json => json::field_names(first).map_err(|fault| row_fault(1, &fault))?,
            Format::Csv => {
                csv::fields(first).map_err(Failure::unfit)?.into_iter().map(|field| field.into_text().trim().to_owned()).collect()
            }
        };
        let (names, fields): (Vec<String>, HashMap<String, usize>) = match mapping {
            Some(mapping) => (
                mapping.values().cloned().collect(),
                mapping.keys().enumerate().map(|(position, field)| (field.clone(), position)).collect(),
            ),
            None => (present.clone(), present.iter().enumerate().map(|(position, field)| (field.clone(), position)).collect()),
        };
        if names.is_empty() || names.len() > COLUMNS_MAX || names.len() != fields.len() {
            return Err(Failure::unfit(format!("the first row must have from 1 to {COLUMNS_MAX} fields, each once")));
        }
        if format == Format::Csv
            && let Some(missing) = fields.keys().find(|field| !present.contains(field))
        {
            return Err(Failure::unfit(format!("the CSV has no column {missing}")));
        }
        let positions = present.iter().map(|field| fields.get(field).copied()).collect();
        let holds_json = vec![false; names.len()];
        Ok(Self { names, format, fields, positions, holds_json, is_strict: mapping.is_none() })
    }

    /// Says which columns hold JSON.
    pub(crate) fn note_json(&mut self, holds_json: impl Fn(&str) -> bool) {
        self.holds_json = self.names.iter().map(|name| holds_json(name)).collect();
    }

    /// A record's cells, one for each column. `number` counts rows from 1.
    pub(crate) fn decode<'r>(&self, number: u64, record: &'r [u8]) -> Result<Vec<Cell<'r>>, Failure> {
        let decoded = match self.format {
            Format::Json => json::decode(record, &self.fields, &self.holds_json, self.is_strict),
            Format::Csv => csv::decode(record, &self.positions, self.names.len()),
        };
        decoded.map_err(|fault| row_fault(number, &fault))
    }
}

/// A payload whose first row has been read: it says what the columns are.
pub(crate) struct Opened {
    pub(crate) columns: Columns,
    /// The first row's bytes; `None`: a header and nothing after it.
    pub(crate) first: Option<Bytes>,
    /// The rows after it.
    pub(crate) records: Records,
}

impl Opened {
    /// Reads the first row; `None` when there is nothing at all.
    pub(crate) async fn read(settings: &DatabaseSettings, facts: &Facts, payload: Payload) -> Result<Option<Self>, Failure> {
        let format = Format::of(&facts.content_type, facts.filename.as_deref()).ok_or_else(|| {
            let content_type = &facts.content_type;
            Failure::unfit(format!("a payload of type {content_type} has no rows: a JSON array of objects, NDJSON or CSV is expected"))
        })?;
        let mut records = Records::new(format, payload);
        let Some(first) = records.next().await? else { return Ok(None) };
        let columns = Columns::new(format, settings.columns.as_ref(), &first)?;
        if format == Format::Csv {
            // The header was no row.
            records.count = 0;
            let first = records.next().await?;
            return Ok(Some(Self { columns, first, records }));
        }
        Ok(Some(Self { columns, first: Some(first), records }))
    }

    /// The first row's cells, or none.
    pub(crate) fn sample(&self) -> Result<Vec<Cell<'_>>, Failure> {
        self.first.as_ref().map_or(Ok(Vec::new()), |first| self.columns.decode(1, first))
    }
}

/// A row that is not one.
pub(crate) fn row_fault(number: u64, fault: &str) -> Failure {
    Failure::unfit(format!("row {number} {fault}"))
}

#[cfg(test)]
mod tests;

//! Reads the rows of a payload one after another, with one row and one chunk in memory.
//!
//! A [`Splitter`](split::Splitter) finds where each record ends, and [`Records`] returns its bytes.
//! [`Columns`] maps fields to columns and [`decodes`](Columns::decode) a record into [`Cell`]s in
//! the order of the columns. The [`ColumnKind`] of each column ensures that its cell is stored as
//! it was sent.

mod charset;
mod csv;
mod infer;
mod json;
mod kind;
mod split;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use domain::Reason;
use domain::media_type::{essence, has_no_header};
use domain::settings::database::DatabaseSettings;
use domain::settle::Outcome;

use crate::connector::Facts;
use charset::Characters;
pub(crate) use infer::Inferred;
pub(crate) use kind::{ColumnKind, Dialect};
use split::{Found, Splitter};
use worker::{ConnectorError, Payload};

/// The longest row that is accepted.
const ROW_BYTES_MAX: usize = 16 << 20;
/// How many bytes are added to the buffer at once.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// How many bytes are read before the types of a new table are chosen.
const SAMPLE_BYTES: usize = 1 << 20;
/// The most columns of a table (PostgreSQL's limit).
const COLUMNS_MAX: usize = 1600;

/// A value for a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'r> {
    /// The row does not have the field, so the column gets its default.
    Absent,
    /// Null, or an empty CSV field without quotes.
    Null,
    /// A text with its escapes decoded.
    Text(Cow<'r, str>),
    /// A number in its original notation.
    Number(Cow<'r, str>),
    /// The value true or false.
    Bool(bool),
    /// An object or array in its original notation.
    Json(&'r str),
}

/// The format of the rows in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON array of objects, or objects one after another (NDJSON).
    Json,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
}

impl Format {
    /// Returns the format of a content type or, if that has none, of the filename's extension.
    pub(crate) fn of(content_type: &str, filename: Option<&str>) -> Option<Self> {
        match &*essence(content_type) {
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

/// Reads the records of a payload.
pub(crate) struct Records {
    payload: Characters,
    /// Bytes that were received and are not in the buffer yet.
    chunk: Bytes,
    buffer: BytesMut,
    splitter: Splitter,
    /// How many records were returned.
    count: u64,
    is_at_end: bool,
}

impl Records {
    fn new(format: Format, payload: Characters) -> Self {
        Self {
            payload,
            chunk: Bytes::new(),
            buffer: BytesMut::new(),
            splitter: Splitter::new(format),
            count: 0,
            is_at_end: false,
        }
    }

    /// Returns the next record's bytes.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        loop {
            match self.splitter.find(&self.buffer, self.is_at_end) {
                Found::Record { skip, length } => {
                    let mut record = self.buffer.split_to(skip + length);
                    self.count += 1;
                    return Ok(Some(record.split_off(skip).freeze()));
                }
                Found::End => return Ok(None),
                Found::Fault(fault) => return Err(row_fault(self.count + 1, fault)),
                Found::More => self.read_piece().await?,
            }
        }
    }

    /// Continues after the header of a CSV, which is not counted as a row.
    fn header_was_read(&mut self, columns: &Columns) {
        self.count = 0;
        self.splitter.has_one_field = columns.positions.len() == 1;
    }

    async fn read_piece(&mut self) -> Result<(), ConnectorError> {
        if self.buffer.len() > ROW_BYTES_MAX {
            return Err(row_fault(
                self.count + 1,
                &format!("is longer than {ROW_BYTES_MAX} bytes"),
            ));
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

/// The properties of a table's column that matter for rows.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The kind of values that the column stores.
    pub(crate) kind: ColumnKind,
    /// Whether the server computes the column, so that it accepts no value.
    pub(crate) is_generated: bool,
    /// Whether the server silently replaces a null by another value.
    pub(crate) replaces_null: bool,
    /// Whether a row without the field gets a value other than null.
    pub(crate) has_default: bool,
}

/// Maps the fields of rows to columns.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The columns in the order of the cells. Without a mapping, later rows may add columns.
    pub(crate) names: Vec<String>,
    format: Format,
    /// For JSON: the position of each field's column.
    fields: HashMap<String, usize>,
    /// For CSV: the position of each field's column, in the order of the header.
    positions: Vec<Option<usize>>,
    has_mapping: bool,
    /// The columns for which every row must have a value.
    key: Vec<String>,
    /// The table's columns, or `None` until the table is known.
    table: Option<HashMap<String, Spec>>,
    /// The properties of the columns, in their order.
    specs: Vec<Spec>,
}

impl Columns {
    /// Creates the mapping from the settings, or else from the field names of the first row.
    /// `first` is the header of a CSV.
    pub(crate) fn new(
        format: Format,
        mapping: Option<&BTreeMap<String, String>>,
        first: &[u8],
    ) -> Result<Self, ConnectorError> {
        let present: Vec<String> = match format {
            Format::Json => json::field_names(first).map_err(|fault| row_fault(1, &fault))?,
            Format::Csv => csv::fields(first)
                .map_err(ConnectorError::rejected)?
                .into_iter()
                .map(|field| field.into_text().trim().to_owned())
                .collect(),
        };
        let (names, fields): (Vec<String>, HashMap<String, usize>) = match mapping {
            Some(mapping) => (
                mapping.values().cloned().collect(),
                mapping
                    .keys()
                    .enumerate()
                    .map(|(position, field)| (field.clone(), position))
                    .collect(),
            ),
            None => (
                present.clone(),
                present
                    .iter()
                    .enumerate()
                    .map(|(position, field)| (field.clone(), position))
                    .collect(),
            ),
        };
        if names.is_empty() || names.len() > COLUMNS_MAX || names.len() != fields.len() {
            return Err(ConnectorError::rejected(format!(
                "the first row must have from 1 to {COLUMNS_MAX} fields, each once"
            )));
        }
        if format == Format::Csv {
            for field in fields.keys() {
                let fault = match present.iter().filter(|one| *one == field).count() {
                    0 => "has no column",
                    1 => continue,
                    _ => "has more than one column",
                };
                return Err(ConnectorError::rejected(format!("the CSV {fault} {field}")));
            }
        }
        let positions = present
            .iter()
            .map(|field| fields.get(field).copied())
            .collect();
        let has_mapping = mapping.is_some();
        Ok(Self {
            names,
            format,
            fields,
            positions,
            has_mapping,
            key: Vec::new(),
            table: None,
            specs: Vec::new(),
        })
    }

    /// Returns the names of the columns.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Sets the columns of the table and its key columns. The caller has checked that the table has
    /// all mapped columns.
    pub(crate) fn bind(
        &mut self,
        table: HashMap<String, Spec>,
        key: &[String],
    ) -> Result<(), ConnectorError> {
        if let Some(missing) = key.iter().find(|column| !self.names.contains(column)) {
            return Err(ConnectorError::rejected(format!(
                "the rows have no field for key column {missing}"
            )));
        }
        self.specs = self
            .names
            .iter()
            .filter_map(|name| table.get(name).cloned())
            .collect();
        self.key = key.to_vec();
        self.table = Some(table);
        Ok(())
    }

    /// Whether a row without this column differs from a row with null in it.
    pub(crate) fn has_default(&self, position: usize) -> bool {
        self.specs
            .get(position)
            .is_some_and(|spec| spec.has_default)
    }

    /// Whether a column stores the bits of numbers.
    pub(crate) fn holds_bits(&self, position: usize) -> bool {
        self.specs
            .get(position)
            .is_some_and(|spec| spec.kind == ColumnKind::Bits)
    }

    fn holds_json(&self, position: usize) -> bool {
        self.specs
            .get(position)
            .is_some_and(|spec| spec.kind.holds_json())
    }

    /// Returns the position of a field's column, or `None` if the mapping leaves the field out.
    /// `likely` is its position if this row has the same order as the first.
    fn position(&mut self, field: &str, likely: usize) -> Result<Option<usize>, String> {
        if !self.has_mapping && self.names.get(likely).is_some_and(|name| name == field) {
            return Ok(Some(likely));
        }
        if let Some(position) = self.fields.get(field) {
            return Ok(Some(*position));
        }
        if self.has_mapping {
            return Ok(None);
        }
        if let Some(table) = &self.table {
            let Some(spec) = table.get(field) else {
                return Err(format!(
                    "has a field {field:?}, and the table has no such column: name the fields and \
                     their columns in `columns`"
                ));
            };
            self.specs.push(spec.clone());
        }
        if self.names.len() == COLUMNS_MAX {
            return Err(format!(
                "has a field {field:?}, which exceeds the limit of {COLUMNS_MAX} fields"
            ));
        }
        self.names.push(field.to_owned());
        self.fields.insert(field.to_owned(), self.names.len() - 1);
        Ok(Some(self.names.len() - 1))
    }

    /// Decodes a record into cells, one for each column. `number` counts rows from 1.
    pub(crate) fn decode<'r>(
        &mut self,
        number: u64,
        record: &'r [u8],
    ) -> Result<Vec<Cell<'r>>, ConnectorError> {
        let decoded = match self.format {
            Format::Json => json::decode(record, self),
            Format::Csv => csv::decode(record, &self.positions, self.names.len()),
        };
        let mut cells = decoded.map_err(|fault| row_fault(number, &fault))?;
        if cells.iter().all(|cell| *cell == Cell::Absent) {
            let fault = if self.has_mapping {
                "has none of the fields that `columns` names"
            } else {
                "has no fields"
            };
            return Err(row_fault(number, fault));
        }
        if self.table.is_some() {
            self.fit(number, &mut cells)?;
        }
        Ok(cells)
    }

    /// Converts each value to one that its column stores exactly.
    fn fit(&self, number: u64, cells: &mut [Cell<'_>]) -> Result<(), ConnectorError> {
        let is_csv = self.format == Format::Csv;
        for ((cell, spec), name) in cells.iter_mut().zip(&self.specs).zip(&self.names) {
            if *cell == Cell::Absent {
                if self.key.contains(name) {
                    return Err(row_fault(
                        number,
                        &format!("has no field for key column {name}"),
                    ));
                }
                continue;
            }
            if spec.is_generated {
                return Err(value_fault(
                    number,
                    name,
                    "is computed by the database and accepts no value",
                ));
            }
            if !spec.kind.keeps(cell) {
                let taken = std::mem::replace(cell, Cell::Null);
                *cell = spec
                    .kind
                    .fit(taken, is_csv)
                    .map_err(|fault| value_fault(number, name, &fault))?;
            }
            if *cell == Cell::Null && spec.replaces_null {
                return Err(value_fault(number, name, "does not accept null"));
            }
        }
        Ok(())
    }
}

/// A payload whose first row has been read, so that its columns are known.
pub(crate) struct Opened {
    pub(crate) columns: Columns,
    /// The columns of a new table for these rows; empty unless one may have to be created.
    pub(crate) inferred: Vec<(String, Inferred)>,
    /// Rows that have been read but not returned.
    ahead: VecDeque<Bytes>,
    /// The rows after those.
    records: Records,
    /// How many rows were returned.
    count: u64,
}

impl Opened {
    /// Reads the first row, or returns `None` if there are no rows. If a table may have to be
    /// created, reads more rows to infer the column types.
    pub(crate) async fn read(
        settings: &DatabaseSettings,
        facts: &Facts,
        payload: Payload,
    ) -> Result<Option<Self>, ConnectorError> {
        let format = Format::of(&facts.content_type, facts.filename.as_deref()).ok_or_else(|| {
            let content_type = &facts.content_type;
            ConnectorError::rejected(format!(
                "a payload of type {content_type} has no rows: a JSON array of objects, NDJSON or \
                 CSV is expected"
            ))
        })?;
        if format == Format::Csv && has_no_header(&facts.content_type) {
            return Err(ConnectorError::rejected(
                "a CSV without a header (`header=absent`) does not name its columns",
            ));
        }
        let mut records = Records::new(format, Characters::new(&facts.content_type, payload)?);
        let Some(first) = records.next().await? else {
            return Ok(None);
        };
        let columns = Columns::new(format, settings.columns.as_ref(), &first)?;
        let mut ahead = VecDeque::new();
        if format == Format::Csv {
            records.header_was_read(&columns);
        } else {
            ahead.push_back(first.clone());
        }
        let mut inferred = Vec::new();
        if settings.create_table {
            let mut ahead_bytes = 0;
            while ahead_bytes < SAMPLE_BYTES
                && let Some(record) = records.next().await?
            {
                ahead_bytes += record.len() + size_of::<Bytes>();
                ahead.push_back(record);
            }
            inferred = infer::columns(format, settings, &first, ahead.make_contiguous())?;
        }
        Ok(Some(Self {
            columns,
            inferred,
            ahead,
            records,
            count: 0,
        }))
    }

    /// Returns how many rows were returned.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the next row and its number, which counts from 1.
    pub(crate) async fn next(&mut self) -> Result<Option<(u64, Bytes)>, ConnectorError> {
        let record = match self.ahead.pop_front() {
            Some(record) => Some(record),
            None => self.records.next().await?,
        };
        self.count += u64::from(record.is_some());
        Ok(record.map(|record| (self.count, record)))
    }
}

/// The error when a column would not store a value as it was sent.
fn value_fault(number: u64, column: &str, fault: &str) -> ConnectorError {
    let detail = format!("row {number}, column {column}: the column {fault}; nothing was written");
    ConnectorError::new(Outcome::ClientError(Reason::Rejected), detail)
}

/// The error when a row is invalid.
pub(crate) fn row_fault(number: u64, fault: &str) -> ConnectorError {
    ConnectorError::rejected(format!("row {number} {fault}"))
}

#[cfg(test)]
mod tests;

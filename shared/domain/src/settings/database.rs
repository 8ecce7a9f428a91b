//! A database: PostgreSQL or MySQL/MariaDB (destinations.md, postgres, mysql). One shape for both;
//! the engine sets the defaults.

pub mod connection_string;
mod table;

pub use table::{NotATable, TABLE_NAME, TableName};

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use strum::IntoStaticStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Address, Anchor, NamedAnchor, TRANSFER_SECONDS};
use crate::input::{Errors, FieldCode, Fields, pointer_token};
use crate::limits::{HOST, PORT};

/// The length of the name of a database, table or column in either engine.
pub const NAME: RangeInclusive<usize> = 1..=64;
/// Columns that can be mapped.
pub const COLUMNS_MAX: usize = 500;
/// Columns of a key (PostgreSQL takes 32 in an index, MySQL 16).
pub const KEY_COLUMNS_MAX: usize = 16;

/// Where the database worker records, next to a destination's table, which deliveries it has
/// written.
pub const LEDGER_TABLE: &str = "waybill_deliveries";

/// Settings that go with mode rows.
const ROWS_ALONE: [&str; 3] = ["columns", "key_columns", "on_conflict"];

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Engine {
    /// PostgreSQL and what speaks its protocol.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

impl Engine {
    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The port that its servers listen on.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }
}

/// What a database can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSettings {
    /// Name or address; absent when a connection string says it.
    pub host: Option<String>,
    /// The engine's own by default; absent when a connection string says it.
    pub port: Option<u16>,
    /// The database's name; absent when a connection string says it.
    pub database: Option<String>,
    /// How far the server's certificate is verified.
    pub tls: TlsMode,
    /// Where the rows go.
    pub table: TableName,
    /// What a row is.
    pub mode: Mode,
    /// Field → column; `None`: each field goes to the column of its name.
    pub columns: Option<BTreeMap<String, String>>,
    /// What happens to a row whose key is there already.
    pub on_conflict: OnConflict,
    /// The columns of that key.
    pub key_columns: Vec<String>,
    /// Whether a missing table is created.
    pub create_table: bool,
    /// The time limit of the whole attempt.
    pub timeout_seconds: u32,
}

/// How far the server's certificate is verified; every mode encrypts. Later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// Not at all.
    Require,
    /// Signed by a trusted authority.
    VerifyCa,
    /// And valid for the host's name.
    VerifyFull,
}

impl TlsMode {
    /// Every mode, by its name in JSON.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("require", Self::Require),
        ("verify_ca", Self::VerifyCa),
        ("verify_full", Self::VerifyFull),
    ];
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A message, payload and all.
    Document,
    /// An element of the payload: of a JSON array, a line of NDJSON, a record of CSV.
    Rows,
}

/// What happens to a row whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The row that is there stays.
    Ignore,
    /// The row that is there takes the new one's values.
    Update,
    /// Nothing of the delivery is written.
    Error,
}

impl DatabaseSettings {
    /// Reads settings; `None` when the table is missing or unreadable, which is then recorded.
    /// Whether an address is there depends on the credentials: [`Self::check_address`].
    pub fn read(engine: Engine, fields: &mut Fields<'_>) -> Option<Self> {
        let host = fields.text("host", HOST);
        let port = PORT.read(fields, "port");
        let database = fields.text("database", NAME);
        let tls = fields.choice("tls", TlsMode::ALL);
        let table = read_table(engine, fields);
        let mode = fields
            .choice(
                "mode",
                &[("document", Mode::Document), ("rows", Mode::Rows)],
            )
            .unwrap_or(Mode::Document);
        if mode == Mode::Document {
            refuse_in_document_mode(fields);
        }
        let columns = read_columns(fields);
        let on_conflict = fields.choice(
            "on_conflict",
            &[
                ("ignore", OnConflict::Ignore),
                ("update", OnConflict::Update),
                ("error", OnConflict::Error),
            ],
        );
        let key_columns = read_key_columns(fields, columns.as_ref());
        if on_conflict == Some(OnConflict::Update) && key_columns.is_empty() {
            fields.refuse(
                "key_columns",
                FieldCode::Required,
                "key_columns is required to update rows",
            );
        }
        let create_table = fields.boolean("create_table").unwrap_or(false);
        let timeout = TRANSFER_SECONDS.read(fields, "timeout_seconds");
        Some(Self {
            host,
            port,
            database,
            tls: tls.unwrap_or(TlsMode::VerifyFull),
            table: table?,
            mode,
            columns,
            on_conflict: on_conflict.unwrap_or(OnConflict::Error),
            key_columns,
            create_table,
            timeout_seconds: timeout.unwrap_or(TRANSFER_SECONDS.usual()),
        })
    }

    /// As answers show them: what goes with rows alone is shown with rows alone, and so a patch can
    /// be merged onto it.
    pub(super) fn to_json(&self) -> serde_json::Result<Value> {
        let mut json = serde_json::to_value(self)?;
        if let (Mode::Document, Value::Object(members)) = (self.mode, &mut json) {
            members.retain(|name, _| !ROWS_ALONE.contains(&&**name));
        }
        Ok(json)
    }

    /// What decides which server receives the secrets of a database destination. With a connection
    /// string, that names the address.
    pub(super) fn anchors(&self, engine: Engine) -> Vec<NamedAnchor<'_>> {
        let Self {
            host,
            port,
            database: _,
            tls,
            table: _,
            mode: _,
            columns: _,
            on_conflict: _,
            key_columns: _,
            create_table: _,
            timeout_seconds: _,
        } = self;
        let port = port.unwrap_or(engine.port());
        let address = host.as_deref().map(|host| Address::Host { host, port });
        vec![
            ("host", Anchor::Address(address)),
            ("tls", Anchor::AtLeast(*tls as u8)),
        ]
    }

    /// Names what is missing or too much once the kind of credentials is known; `pointer` is the
    /// settings' own.
    pub fn check_address(&self, has_connection_string: bool, pointer: &str, errors: &Errors) {
        let named = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("database", self.database.is_some()),
        ];
        for (name, is_there) in named {
            let at = format!("{pointer}/{name}");
            if has_connection_string && is_there {
                errors.add(
                    at,
                    FieldCode::Conflict,
                    "is already given by the connection string",
                );
            } else if !has_connection_string && !is_there && name != "port" {
                errors.add(at, FieldCode::Required, format!("{name} is required"));
            }
        }
    }
}

fn read_table(engine: Engine, fields: &mut Fields<'_>) -> Option<TableName> {
    let present = fields.has("table");
    let table = fields.parsed("table", |text| TableName::parse(engine, text));
    if table
        .as_ref()
        .is_some_and(|name| name.table.eq_ignore_ascii_case(LEDGER_TABLE))
    {
        fields.refuse(
            "table",
            FieldCode::Reserved,
            "is where Waybill records which deliveries it has written; choose another table",
        );
    }
    fields.require("table", present, table)
}

fn refuse_in_document_mode(fields: &mut Fields<'_>) {
    for name in ROWS_ALONE {
        if fields.take(name).is_some() {
            fields.refuse(name, FieldCode::Conflict, "is allowed only with mode rows");
        }
    }
}

fn read_columns(fields: &mut Fields<'_>) -> Option<BTreeMap<String, String>> {
    let members = fields.members("columns")?;
    let pointer = fields.pointer_to("columns");
    let errors = fields.errors();
    if members.is_empty() || members.len() > COLUMNS_MAX {
        errors.add(
            &*pointer,
            FieldCode::OutOfRange,
            format!("must have from 1 to {COLUMNS_MAX} columns"),
        );
        return None;
    }
    let mut columns: BTreeMap<String, String> = BTreeMap::new();
    for (field, value) in members {
        let at = format!("{pointer}/{}", pointer_token(&field));
        match value {
            Value::String(column) if columns.values().any(|other| *other == column) => {
                errors.add(
                    at,
                    FieldCode::Conflict,
                    "another field is already mapped to this column",
                );
            }
            Value::String(column) if is_name(&column) => drop(columns.insert(field, column)),
            Value::String(_) => errors.add(at, FieldCode::InvalidFormat, "must be a column's name"),
            _ => errors.add(at, FieldCode::InvalidType, "must be a string"),
        }
    }
    Some(columns)
}

fn read_key_columns(
    fields: &mut Fields<'_>,
    columns: Option<&BTreeMap<String, String>>,
) -> Vec<String> {
    let key = fields.parsed_list("key_columns", KEY_COLUMNS_MAX, |text| match columns {
        _ if !is_name(text) => Err("must be a column's name"),
        Some(columns) if columns.values().all(|column| column != text) => {
            Err("must be one of the mapped columns")
        }
        _ => Ok(text.to_owned()),
    });
    key.unwrap_or_default()
}

fn is_name(text: &str) -> bool {
    NAME.contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;

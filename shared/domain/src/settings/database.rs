//! The settings of databases: PostgreSQL and MySQL or MariaDB.
//! Both have the same settings; the defaults depend on the engine.

pub mod connection_string;
mod table;

pub use table::{NotATable, TABLE_NAME, TableName};

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use strum::IntoStaticStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Address, Anchor, NamedAnchor, TRANSFER_SECONDS, read_timeout};
use crate::credentials::Decides;
use crate::input::{Errors, FieldCode, Fields, pointer_token};
use crate::limits::{HOST, PORT};

/// The length of the name of a database or column in either engine.
pub const NAME: RangeInclusive<usize> = 1..=64;
/// The maximum number of columns that can be mapped.
pub const COLUMNS_MAX: usize = 500;
/// The maximum number of key columns (an index has at most 32 in PostgreSQL and 16 in MySQL).
pub const KEY_COLUMNS_MAX: usize = 16;

/// The table next to a destination's table in which the database worker records the deliveries that
/// it has written.
pub const LEDGER_TABLE: &str = "waybill_deliveries";

/// The settings that are only allowed with the mode `rows`.
const ROWS_ALONE: [&str; 3] = ["columns", "key_columns", "on_conflict"];

/// The engine of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Engine {
    /// PostgreSQL and compatible databases.
    Postgres,
    /// The databases MySQL and MariaDB.
    Mysql,
}

impl Engine {
    /// Returns the name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the default port of the engine's servers.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }
}

/// The settings of a database destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSettings {
    /// The host name or IP address; `None` if a connection string contains it.
    pub host: Option<String>,
    /// The TCP port. It is `None` for the engine's default, and if a connection string contains it.
    pub port: Option<u16>,
    /// The name of the database; `None` if a connection string contains it.
    pub database: Option<String>,
    /// How strictly the server's certificate is verified.
    pub tls: TlsMode,
    /// The table into which rows are written.
    pub table: TableName,
    /// What each row contains.
    pub mode: Mode,
    /// The columns by the names of the fields; `None` if each field is written to the column with
    /// its name.
    pub columns: Option<BTreeMap<String, String>>,
    /// What happens to a row whose key already exists.
    pub on_conflict: OnConflict,
    /// The columns of the key that `on_conflict` refers to.
    pub key_columns: Vec<String>,
    /// Whether a missing table is created.
    pub create_table: bool,
    /// The time limit of the whole attempt, in seconds.
    pub timeout_seconds: u32,
}

/// How strictly the server's certificate is verified, from the weakest to the strictest mode. Every
/// mode encrypts the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// The certificate is not verified.
    Require,
    /// The certificate must be signed by a trusted authority.
    VerifyCa,
    /// The certificate must also be valid for the host name.
    VerifyFull,
}

impl TlsMode {
    /// Every mode, with its name in JSON.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("require", Self::Require),
        ("verify_ca", Self::VerifyCa),
        ("verify_full", Self::VerifyFull),
    ];
}

/// What each row contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A row contains a message with its payload.
    Document,
    /// A row contains an element of the payload: an element of a JSON array, a line of NDJSON or a
    /// record of CSV.
    Rows,
}

/// What happens to a row whose key already exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The existing row stays unchanged.
    Ignore,
    /// The existing row is updated with the new values.
    Update,
    /// The delivery fails, and none of its rows are written.
    Error,
}

impl DatabaseSettings {
    /// Reads the settings. Returns `None` if the table is missing or invalid; the mistake is
    /// recorded. Whether an address is required depends on the credentials; see
    /// [`Self::check_address`].
    pub fn read(engine: Engine, fields: &mut Fields<'_>) -> Option<Self> {
        fields.describe("host", Decides::Recipient, || {
            json!({"type": ["string", "null"], "minLength": HOST.start(), "maxLength": HOST.end(),
                "default": null, "description": "The host name or IP address of the server. Leave \
                     it out with a connection string."})
        });
        let host = fields.text("host", HOST);
        fields.describe("port", Decides::Recipient, || {
            json!({"type": ["integer", "null"], "minimum": PORT.min, "maximum": PORT.max,
                "default": null})
        });
        let port = PORT.read(fields, "port");
        let database = read_database(fields);
        let description = "How strictly the server's certificate is verified.";
        let tls = fields.word(
            "tls",
            Decides::Recipient,
            TlsMode::ALL,
            TlsMode::VerifyFull,
            Some(description),
        );
        let table = read_table(engine, fields);
        let modes = [("document", Mode::Document), ("rows", Mode::Rows)];
        let mode = fields.word("mode", Decides::Nothing, &modes, Mode::Document, Some(MODE));
        if mode == Mode::Document {
            refuse_in_document_mode(fields);
        }
        let columns = read_columns(fields);
        let choices = [
            ("ignore", OnConflict::Ignore),
            ("update", OnConflict::Update),
            ("error", OnConflict::Error),
        ];
        let description = "What happens to a row whose key exists already (mode `rows`).";
        let on_conflict = fields.word(
            "on_conflict",
            Decides::Nothing,
            &choices,
            OnConflict::Error,
            Some(description),
        );
        let key_columns = read_key_columns(fields, columns.as_ref());
        if on_conflict == OnConflict::Update && key_columns.is_empty() {
            fields.refuse(
                "key_columns",
                FieldCode::Required,
                "key_columns is required to update rows",
            );
        }
        let description = "Whether the table is created if it does not exist.";
        let create_table = fields.flag("create_table", Decides::Nothing, false, description);
        let timeout_seconds = read_timeout(fields, TRANSFER_SECONDS);
        Some(Self {
            host,
            port,
            database,
            tls,
            table: table?,
            mode,
            columns,
            on_conflict,
            key_columns,
            create_table,
            timeout_seconds,
        })
    }

    /// Returns the settings as responses show them. The settings for the mode `rows` are omitted in
    /// the other mode, so that a patch can be merged with the result.
    pub(super) fn to_json(&self) -> serde_json::Result<Value> {
        let mut json = serde_json::to_value(self)?;
        if let (Mode::Document, Value::Object(members)) = (self.mode, &mut json) {
            members.retain(|name, _| !ROWS_ALONE.contains(&&**name));
        }
        Ok(json)
    }

    /// Returns the settings that determine which server receives the secrets of a database
    /// destination. If there is a connection string, it contains the address instead.
    pub(super) fn anchors(&self, engine: Engine) -> Vec<NamedAnchor<'_>> {
        let Self {
            host, port, tls, ..
        } = self;
        let port = port.unwrap_or(engine.port());
        let address = host.as_deref().map(|host| Address::Host { host, port });
        vec![
            ("host", Anchor::Address(address)),
            ("tls", Anchor::AtLeast(*tls as u8)),
        ]
    }

    /// Records which parts of the address are missing or not allowed, given the kind of
    /// credentials. `pointer` is the JSON pointer to the settings.
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

const MODE: &str = "document writes one row for each message; rows writes one for each element of \
                    the payload.";

fn read_database(fields: &mut Fields<'_>) -> Option<String> {
    fields.describe("database", Decides::Nothing, || {
        json!({"type": ["string", "null"], "minLength": NAME.start(), "maxLength": NAME.end(),
            "default": null,
            "description": "The name of the database. Leave it out with a connection string."})
    });
    fields.text("database", NAME)
}

fn read_table(engine: Engine, fields: &mut Fields<'_>) -> Option<TableName> {
    fields.describe("table", Decides::Nothing, || {
        json!({"type": "string", "minLength": TABLE_NAME.start(), "maxLength": TABLE_NAME.end(),
            "description": "The table that rows are written to: table, or schema.table."})
    });
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
    fields.describe("columns", Decides::Nothing, || {
        json!({"type": ["object", "null"], "maxProperties": COLUMNS_MAX,
            "additionalProperties": {"type": "string", "maxLength": NAME.end()},
            "default": null,
            "description": "The column for each field of the payload (mode `rows`)."})
    });
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
    fields.describe("key_columns", Decides::Nothing, || {
        json!({"type": "array", "maxItems": KEY_COLUMNS_MAX,
            "items": {"type": "string", "maxLength": NAME.end()}, "default": [],
            "description": "The columns that make up the key (mode `rows`)."})
    });
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

//! A table as `information_schema` describes it.

use std::collections::HashMap;

use domain::Reason;
use domain::settings::database::TableName;
use domain::settle::Outcome;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, Row};

use super::session::Session;
use super::types::SqlType;
use super::verdict;
use crate::rows::Spec;
use worker::ConnectorError;

const FIND: &str = "SELECT c.table_schema, c.table_name, c.column_name, LOWER(c.data_type), c.column_type, c.privileges, c.numeric_scale, \
     c.character_maximum_length, c.character_octet_length, c.datetime_precision, c.is_nullable = 'YES', \
     c.extra LIKE '%VIRTUAL GENERATED%' OR c.extra LIKE '%STORED GENERATED%' OR c.extra LIKE '%PERSISTENT%', \
     c.column_default IS NOT NULL OR c.extra LIKE '%auto_increment%' OR c.extra LIKE '%GENERATED%', e.transactions \
     FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
     LEFT JOIN information_schema.engines e ON e.engine = t.engine \
     WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name = ? ORDER BY c.ordinal_position";

const UNIQUE_KEYS: &str = "SELECT GROUP_CONCAT(column_name ORDER BY column_name SEPARATOR '\\0') FROM information_schema.statistics \
     WHERE table_schema = ? AND table_name = ? AND non_unique = 0 GROUP BY index_name";

const INDEX_COLUMNS: &str = "SELECT column_name FROM information_schema.statistics \
     WHERE table_schema = ? AND table_name = ? AND index_name = ?";

/// Finds JSON columns on MariaDB, which stores JSON as text with a check constraint.
const MARIADB_JSON: &str = "SELECT check_clause FROM information_schema.check_constraints \
     WHERE constraint_schema = ? AND table_name = ? AND check_clause LIKE 'json_valid(%'";
/// Finds a collation that compares every byte of a text, including trailing spaces:
/// `utf8mb4_nopad_bin` on MariaDB, `utf8mb4_0900_bin` on MySQL since 8.0.17.
const EXACT_COLLATIONS: &str = "SELECT collation_name FROM information_schema.collations \
     WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')";
/// The longest key of a table in bytes, and the most bytes of a character.
const KEY_BYTES: usize = 3072;
const CHARACTER_BYTES: usize = 4;
/// The longest text in a key.
const KEY_CHARACTERS_MAX: usize = 255;

/// An existing table with its columns.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    has_transactions: bool,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) sql_type: SqlType,
    is_nullable: bool,
    has_default: bool,
    is_generated: bool,
    may_insert: bool,
    may_update: bool,
}

impl Column {
    /// Reads a row of [`FIND`]. `json` holds the check clauses of JSON columns.
    fn of(row: &Row, json: &[String]) -> Self {
        let name = text(row, 2);
        let has = |right: &str| {
            text(row, 5)
                .split(',')
                .any(|found| found.trim().eq_ignore_ascii_case(right))
        };
        let number = |position: usize| {
            row.get_opt::<Option<u64>, _>(position)
                .and_then(Result::ok)
                .flatten()
        };
        let is_yes = |position: usize| {
            row.get_opt::<Option<bool>, _>(position)
                .and_then(Result::ok)
                .flatten()
                .unwrap_or_default()
        };
        let check = format!("json_valid({})", quoted(&name));
        Self {
            sql_type: SqlType {
                name: text(row, 3),
                definition: text(row, 4),
                scale: number(6),
                characters_max: number(7),
                bytes_max: number(8),
                second_digits: number(9),
                is_json_text: json.iter().any(|clause| clause.starts_with(&check)),
            },
            is_nullable: is_yes(10),
            is_generated: is_yes(11),
            has_default: is_yes(12),
            may_insert: has("insert"),
            may_update: has("update"),
            name,
        }
    }
}

fn text(row: &Row, position: usize) -> String {
    row.get_opt(position)
        .and_then(Result::ok)
        .unwrap_or_default()
}

/// Quotes an identifier, so that no character can end it.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes identifiers and separates them by commas.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// Returns a table's name in SQL.
pub(super) fn sql_name(name: &TableName) -> String {
    name.schema
        .iter()
        .chain([&name.table])
        .map(|part| quoted(part))
        .collect::<Vec<_>>()
        .join(".")
}

impl Table {
    /// Looks up a table. Returns `None` if it does not exist or this user has no right on it.
    pub(super) async fn find(
        session: &mut Session,
        name: &TableName,
    ) -> Result<Option<Self>, ConnectorError> {
        let rows: Vec<Row> = session.query(FIND, (&name.schema, &name.table)).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let (schema, table) = (text(first, 0), text(first, 1));
        let json: Vec<(String,)> = if session.is_mariadb {
            session.query(MARIADB_JSON, (&schema, &table)).await?
        } else {
            Vec::new()
        };
        let json: Vec<String> = json.into_iter().map(|(clause,)| clause).collect();
        // A view has no engine; the tables behind it have.
        let transactions = first
            .get_opt::<Option<String>, _>(13)
            .and_then(Result::ok)
            .flatten();
        let has_transactions = transactions.is_none_or(|answer| answer.eq_ignore_ascii_case("yes"));
        let columns = rows.iter().map(|row| Column::of(row, &json)).collect();
        Ok(Some(Self {
            schema,
            name: table,
            columns,
            has_transactions,
        }))
    }

    /// Returns the columns in the form that rows use.
    pub(super) fn specs(&self) -> HashMap<String, Spec> {
        let spec = |column: &Column| Spec {
            kind: column.sql_type.kind(),
            is_generated: column.is_generated,
            // Older servers store the current time instead of null.
            replaces_null: column.sql_type.name == "timestamp" && !column.is_nullable,
            has_default: true,
        };
        self.columns
            .iter()
            .map(|column| (column.name.clone(), spec(column)))
            .collect()
    }

    /// Returns the quoted full name.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// Returns the column with this name.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Returns an error if the table's engine has no transactions.
    pub(super) fn require_transactions(&self) -> Result<(), ConnectorError> {
        match self.has_transactions {
            true => Ok(()),
            false => Err(ConnectorError::misconfigured(format!(
                "{} uses a storage engine without transactions; use InnoDB",
                self.name
            ))),
        }
    }

    /// Returns an error if a column does not exist or may not be written.
    pub(super) fn require(&self, columns: &[&str], to_update: bool) -> Result<(), ConnectorError> {
        let missing: Vec<&str> = columns
            .iter()
            .copied()
            .filter(|name| self.column(name).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(ConnectorError::misconfigured(format!(
                "{} has no column {}",
                self.name,
                missing.join(", ")
            )));
        }
        let forbidden = |column: &&Column| !column.may_insert || (to_update && !column.may_update);
        let Some(column) = self
            .columns
            .iter()
            .filter(|column| columns.contains(&&*column.name))
            .find(forbidden)
        else {
            return Ok(());
        };
        let detail = format!(
            "this user may not write column {} of {}",
            column.name, self.name
        );
        Err(ConnectorError::new(
            Outcome::ClientError(Reason::Authorization),
            detail,
        ))
    }

    /// Returns the columns into which this user may write a value.
    pub(super) fn insertable(&self) -> Vec<&str> {
        let takes = |column: &&Column| column.may_insert && !column.is_generated;
        self.columns
            .iter()
            .filter(takes)
            .map(|column| &*column.name)
            .collect()
    }

    /// Returns a column other than these for which every row needs a value.
    pub(super) fn required_besides(&self, columns: &[&str]) -> Option<&str> {
        let is_required = |column: &&Column| {
            !column.is_nullable && !column.has_default && !columns.contains(&&*column.name)
        };
        self.columns
            .iter()
            .find(is_required)
            .map(|column| &*column.name)
    }

    /// The error when this user may not write into any column.
    pub(super) fn may_not_insert(&self) -> ConnectorError {
        ConnectorError::new(
            Outcome::ClientError(Reason::Authorization),
            format!("this user may not INSERT into {}", self.name),
        )
    }

    /// Returns an error if the server computes one of these columns.
    pub(super) fn require_no_generated(&self, columns: &[&str]) -> Result<(), ConnectorError> {
        match self
            .columns
            .iter()
            .find(|column| column.is_generated && columns.contains(&&*column.name))
        {
            Some(column) => Err(ConnectorError::misconfigured(format!(
                "column {} of {} is computed by the database",
                column.name, self.name
            ))),
            None => Ok(()),
        }
    }

    /// Whether the index with this name is on this column alone.
    pub(super) async fn is_unique_by(
        &self,
        session: &mut Session,
        index: &str,
        column: &str,
    ) -> Result<bool, ConnectorError> {
        let columns: Vec<(String,)> = session
            .query(INDEX_COLUMNS, (&self.schema, &self.name, index))
            .await?;
        Ok(columns.len() == 1 && columns.iter().all(|(found,)| found == column))
    }

    /// Returns an error if the table has no unique index on exactly these columns, because a row
    /// could then be written twice.
    pub(super) async fn require_unique(
        &self,
        session: &mut Session,
        columns: &[&str],
    ) -> Result<(), ConnectorError> {
        let mut wanted = columns.to_vec();
        wanted.sort_unstable();
        let keys: Vec<(String,)> = session
            .query(UNIQUE_KEYS, (&self.schema, &self.name))
            .await?;
        let is_there = keys.iter().any(|(key,)| {
            let mut found: Vec<&str> = key.split('\0').collect();
            found.sort_unstable();
            found == wanted
        });
        if is_there {
            return Ok(());
        }
        Err(ConnectorError::misconfigured(format!(
            "{} has no primary key or unique index on {}",
            self.name,
            columns.join(", ")
        )))
    }
}

/// Creates a table and returns it. MySQL commits this statement by itself.
pub(super) async fn create(
    session: &mut Session,
    name: &TableName,
    definition: &str,
) -> Result<Table, ConnectorError> {
    session
        .execute(&format!(
            "CREATE TABLE IF NOT EXISTS {} ({definition}) ENGINE = InnoDB DEFAULT \
             CHARSET = utf8mb4",
            sql_name(name)
        ))
        .await?;
    Table::find(session, name)
        .await?
        .ok_or_else(|| verdict::no_table(name))
}

/// Returns an error if the table could not be created. MySQL checks rights before the definition,
/// which is invalid in this statement, so nothing is created in any case.
pub(super) async fn may_create(
    session: &mut Session,
    name: &TableName,
) -> Result<(), ConnectorError> {
    let sql = format!("CREATE TABLE {} (waybill int, waybill int)", sql_name(name));
    match session.conn.query_drop(sql).await {
        Err(Error::Server(error)) if error.code == verdict::DUPLICATE_COLUMN => Ok(()),
        Err(error) => Err(verdict::of(error)),
        Ok(()) => Err(ConnectorError::misconfigured(format!(
            "{name} cannot be created"
        ))),
    }
}

/// Returns the type of a text in a key of this many columns. It distinguishes case, accents and
/// spaces.
pub(super) async fn key_text(
    session: &mut Session,
    columns: usize,
) -> Result<String, ConnectorError> {
    let characters = KEY_CHARACTERS_MAX.min(KEY_BYTES / CHARACTER_BYTES / columns.max(1));
    let collations: Vec<(String,)> = session.query(EXACT_COLLATIONS, ()).await?;
    Ok(match collations.first() {
        Some((collation,)) => {
            format!("varchar({characters}) CHARACTER SET utf8mb4 COLLATE {collation}")
        }
        None => format!("varbinary({})", characters * CHARACTER_BYTES),
    })
}

//! A table as the catalogue describes it. Names are qualified by the catalogue, regardless of the
//! search path.

use std::collections::HashMap;

use domain::Reason;
use domain::settings::database::TableName;
use domain::settle::Outcome;
use tokio_postgres::error::DbError;
use tokio_postgres::types::Type;

use super::names::quoted;
use super::session::Session;
use super::{types, verdict};
use crate::rows::{ColumnKind, Spec};
use worker::ConnectorError;

/// Finds the table and its columns. A column's domain is resolved to its base type.
const FIND: &str = "WITH RECURSIVE wanted AS (SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)), \
     bases (attnum, type, typmod) AS (\
     SELECT a.attnum, a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a JOIN wanted c ON a.attrelid = c.oid \
     UNION ALL SELECT b.attnum, t.typbasetype, t.typtypmod FROM bases b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd') \
     SELECT n.nspname::text, c.relname::text, c.oid, c.relkind::text, pg_catalog.row_security_active(c.oid), \
     EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled <> 'D' AND ((t.tgtype & 7) = 7 OR (t.tgtype & 19) = 19)) \
     OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '3'), \
     a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(b.type, b.typmod), a.attnotnull, \
     pg_catalog.has_column_privilege(c.oid, a.attnum, 'INSERT'), pg_catalog.has_column_privilege(c.oid, a.attnum, 'UPDATE'), \
     a.attgenerated <> '' OR a.attidentity = 'a', a.atthasdef OR a.attidentity <> '' OR d.typdefault IS NOT NULL, \
     COALESCE(l.collisdeterministic, true) AND t.typname <> 'citext' \
     FROM wanted c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     JOIN pg_catalog.pg_type d ON d.oid = a.atttypid \
     JOIN bases b ON b.attnum = a.attnum JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd' \
     LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation ORDER BY a.attnum";

/// Finds unique keys. Deferrable, partial and expression indexes cannot detect a conflict for each
/// row.
const UNIQUE_KEYS: &str = "SELECT array_agg(a.attname::text ORDER BY a.attname::text) \
     FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, n), pg_catalog.pg_attribute a \
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
     AND k.n <= i.indnkeyatts AND a.attrelid = i.indrelid AND a.attnum = k.attnum GROUP BY i.indexrelid";

/// Finds the columns of a constraint's index, or of the index itself.
const COLUMNS_OF: &str = "SELECT array_agg(a.attname::text) FROM pg_catalog.pg_index i \
     JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
     WHERE n.nspname = $1 AND t.relname = $2 AND c.relname = $3 GROUP BY i.indexrelid";

/// Whether this user's locale writes amounts of money with two decimal places.
const HAS_CENTS: &str = "SELECT 0.25::numeric::money::numeric = 0.25";

const MAY_STAGE: &str =
    "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP')";

/// An existing table with its columns.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    oid: u32,
    relation: Relation,
    /// Whether triggers or rules may discard a row without an error.
    may_drop_rows: bool,
    /// Whether policies decide which rows are accepted.
    has_row_security: bool,
    /// How many decimal places amounts of money may have.
    money_scale: i32,
}

/// What a table's name refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// A table, which may be partitioned.
    Table,
    /// A view, whose indexes are those of its tables.
    View,
    /// Another relation that may accept rows, such as a foreign table.
    Other,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type in SQL.
    pub(super) sql_type: String,
    /// The type with domains resolved.
    pub(super) base_type: String,
    pub(super) is_not_null: bool,
    is_generated: bool,
    has_default: bool,
    /// Whether equal values always have the same text.
    is_exact: bool,
    may_insert: bool,
    may_update: bool,
}

impl Table {
    /// Looks up a table. Returns `None` if it does not exist or this user cannot see it.
    pub(super) async fn find(
        session: &Session,
        name: &TableName,
    ) -> Result<Option<Self>, ConnectorError> {
        let rows = session
            .query(FIND, &[(&sql_name(name), Type::TEXT)])
            .await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let column = |row: &tokio_postgres::Row| Column {
            name: row.get(6),
            sql_type: row.get(7),
            base_type: row.get(8),
            is_not_null: row.get(9),
            may_insert: row.get(10),
            may_update: row.get(11),
            is_generated: row.get(12),
            has_default: row.get(13),
            is_exact: row.get(14),
        };
        let columns: Vec<Column> = rows.iter().map(column).collect();
        let has_money = columns
            .iter()
            .any(|column| column.base_type.starts_with("money"));
        let money_scale = if has_money {
            money_scale(session).await?
        } else {
            0
        };
        let relation = match first.get(3) {
            "r" | "p" => Relation::Table,
            "v" => Relation::View,
            _ => Relation::Other,
        };
        Ok(Some(Self {
            schema: first.get(0),
            name: first.get(1),
            oid: first.get(2),
            relation,
            has_row_security: first.get(4),
            may_drop_rows: first.get(5),
            columns,
            money_scale,
        }))
    }

    /// Prepares the transaction for values of this table: amounts of money have a decimal point, in
    /// whichever locale they will be read.
    pub(super) async fn prepare(&self, session: &Session) -> Result<(), ConnectorError> {
        match self.money_scale {
            0 => Ok(()),
            _ => session.execute("SET LOCAL lc_monetary = 'C'").await,
        }
    }

    /// Returns the kind of values that a column stores.
    pub(super) fn kind(&self, column: &Column) -> ColumnKind {
        types::kind(&column.base_type, self.money_scale)
    }

    /// Returns the columns in the form that rows use.
    pub(super) fn specs(&self) -> HashMap<String, Spec> {
        let spec = |column: &Column| Spec {
            kind: self.kind(column),
            is_generated: column.is_generated,
            replaces_null: false,
            has_default: column.has_default,
        };
        self.columns
            .iter()
            .map(|column| (column.name.clone(), spec(column)))
            .collect()
    }

    /// Whether rows may be copied into the table. COPY does not support views and policies, and
    /// does not report rows that a trigger discarded.
    pub(super) fn takes_copy(&self) -> bool {
        self.relation == Relation::Table && !self.has_row_security && !self.may_drop_rows
    }

    /// Whether rows may be written through a temporary table to resolve conflicts.
    pub(super) async fn takes_stage(
        &self,
        session: &Session,
        key: &[&str],
    ) -> Result<bool, ConnectorError> {
        if !self.takes_copy() || !self.has_exact_key(key) {
            return Ok(false);
        }
        let rows = session.query(MAY_STAGE, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Whether equal keys always have the same text. They do not if the comparison ignores case.
    pub(super) fn has_exact_key(&self, key: &[&str]) -> bool {
        self.columns
            .iter()
            .filter(|column| key.contains(&&*column.name))
            .all(|column| column.is_exact)
    }

    /// Whether it is a view, for which the catalogue lists no indexes.
    pub(super) fn is_view(&self) -> bool {
        self.relation == Relation::View
    }

    /// Returns the quoted full name.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// Returns the column with this name.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
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
        let found = self
            .columns
            .iter()
            .filter(|column| columns.contains(&&*column.name))
            .find(forbidden);
        found.map_or(Ok(()), |column| Err(self.may_not_write(&column.name)))
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

    /// Returns a column other than these for which every row needs a value.
    pub(super) fn required_besides(&self, columns: &[&str]) -> Option<&str> {
        let is_required = |column: &&Column| {
            column.is_not_null && !column.has_default && !columns.contains(&&*column.name)
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

    /// Whether policies decide which rows are accepted.
    pub(super) fn has_row_security(&self) -> bool {
        self.has_row_security
    }

    fn may_not_write(&self, column: &str) -> ConnectorError {
        let detail = format!("this user may not write column {column} of {}", self.name);
        ConnectorError::new(Outcome::ClientError(Reason::Authorization), detail)
    }

    /// Returns an error if the table has no unique index on exactly these columns, because a row
    /// could then be written twice. The indexes of a view cannot be read, so its statements are
    /// tried instead.
    pub(super) async fn require_unique(
        &self,
        session: &Session,
        columns: &[&str],
    ) -> Result<(), ConnectorError> {
        let mut wanted: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        wanted.sort_unstable();
        let keys = session
            .query(UNIQUE_KEYS, &[(&self.oid, Type::OID)])
            .await?;
        if self.is_view()
            || keys
                .iter()
                .any(|key| key.get::<_, Vec<String>>(0) == wanted)
        {
            return Ok(());
        }
        Err(ConnectorError::misconfigured(format!(
            "{} has no primary key or unique index on {}",
            self.name,
            columns.join(", ")
        )))
    }
}

/// Returns how many decimal places amounts of money may have. They are stored as whole numbers of the
/// smallest unit of the reader's locale. If that is not a hundredth, only whole amounts mean the same
/// in every notation.
async fn money_scale(session: &Session) -> Result<i32, ConnectorError> {
    let rows = session.query(HAS_CENTS, &[]).await?;
    let has_cents = rows.first().is_some_and(|row| row.get(0));
    Ok(if has_cents { 2 } else { 0 })
}

/// Whether an error reports a duplicate in this column alone. Partitions and the tables behind
/// views have indexes with their own names.
pub(super) async fn is_unique_by(
    session: &Session,
    error: &DbError,
    column: &str,
) -> Result<bool, ConnectorError> {
    let names = [error.schema(), error.table(), error.constraint()];
    let [schema, table, index] = &names;
    let rows = session
        .query(
            COLUMNS_OF,
            &[
                (schema, Type::TEXT),
                (table, Type::TEXT),
                (index, Type::TEXT),
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .any(|row| row.get::<_, Vec<String>>(0) == [column]))
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

/// Waits for other deliveries that create tables. `IF NOT EXISTS` does not see uncommitted tables,
/// and would then fail.
pub(super) async fn take_turn(session: &Session) -> Result<(), ConnectorError> {
    session
        .execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('waybill'))")
        .await
}

/// Creates a table and returns it. Other deliveries that create tables wait until the transaction
/// ends.
pub(super) async fn create(
    session: &Session,
    name: &TableName,
    definition: &str,
) -> Result<Table, ConnectorError> {
    take_turn(session).await?;
    session
        .execute(&format!(
            "CREATE TABLE IF NOT EXISTS {} ({definition})",
            sql_name(name)
        ))
        .await?;
    Table::find(session, name)
        .await?
        .ok_or_else(|| verdict::no_table(name))
}

//! A table as the catalogue has it: every name is the catalogue's own, whatever the search path is.

use domain::Reason;
use domain::settings::database::TableName;
use domain::settle::Outcome;
use tokio_postgres::types::Type;

use super::names::quoted;
use super::session::Session;
use super::verdict;
use crate::failure::Failure;

const FIND: &str = "SELECT n.nspname::text, c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, \
     pg_catalog.has_column_privilege(c.oid, a.attnum, 'INSERT'), pg_catalog.has_column_privilege(c.oid, a.attnum, 'UPDATE'), c.oid, \
     pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE c.oid = pg_catalog.to_regclass($1) ORDER BY a.attnum";

const UNIQUE_KEYS: &str = "SELECT array_agg(a.attname::text ORDER BY a.attname::text) \
     FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, n), pg_catalog.pg_attribute a \
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
     AND k.n <= i.indnkeyatts AND a.attrelid = i.indrelid AND a.attnum = k.attnum GROUP BY i.indexrelid";

const MAY_CREATE: &str = "SELECT pg_catalog.has_schema_privilege(s, 'CREATE') FROM (SELECT COALESCE($1, pg_catalog.current_schema()::text) AS s) AS s \
     WHERE EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = s)";

/// A table that is there.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    oid: u32,
}

/// One of its columns.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// As SQL writes it.
    pub(super) sql_type: String,
    pub(super) is_not_null: bool,
    may_insert: bool,
    may_update: bool,
    may_select: bool,
}

impl Table {
    /// Looks a table up; `None` when there is none, or none that this user can see.
    pub(super) async fn find(session: &Session, name: &TableName) -> Result<Option<Self>, Failure> {
        let rows = session.query(FIND, &[(&sql_name(name), Type::TEXT)]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let column = |row: &tokio_postgres::Row| Column {
            name: row.get(2),
            sql_type: row.get(3),
            is_not_null: row.get(4),
            may_insert: row.get(5),
            may_update: row.get(6),
            may_select: row.get(8),
        };
        Ok(Some(Self { schema: first.get(0), name: first.get(1), oid: first.get(7), columns: rows.iter().map(column).collect() }))
    }

    /// Its full name, quoted.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// One of its columns.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Refuses columns that are not there or may not be written.
    pub(super) fn require(&self, columns: &[&str], to_update: bool) -> Result<(), Failure> {
        let missing: Vec<&str> = columns.iter().copied().filter(|name| self.column(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(Failure::misconfigured(format!("{} has no column {}", self.name, missing.join(", "))));
        }
        let forbidden = |column: &&Column| !column.may_insert || (to_update && !column.may_update);
        let found = self.columns.iter().filter(|column| columns.contains(&&*column.name)).find(forbidden);
        found.map_or(Ok(()), |column| Err(self.may_not_write(&column.name)))
    }

    /// Refuses a table into which nothing may be written at all.
    pub(super) fn require_insert(&self) -> Result<(), Failure> {
        match self.columns.iter().any(|column| column.may_insert) {
            true => Ok(()),
            false => Err(Failure::new(Outcome::ClientError(Reason::Authorization), format!("this user may not INSERT into {}", self.name))),
        }
    }

    fn may_not_write(&self, column: &str) -> Failure {
        let detail = format!("this user may not write column {column} of {}", self.name);
        Failure::new(Outcome::ClientError(Reason::Authorization), detail)
    }

    /// Refuses a table without a unique index on exactly these columns: a row could stand there twice.
    pub(super) async fn require_unique(&self, session: &Session, columns: &[&str]) -> Result<(), Failure> {
        let mut wanted: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        wanted.sort_unstable();
        let keys = session.query(UNIQUE_KEYS, &[(&self.oid, Type::OID)]).await?;
        if keys.iter().any(|key| key.get::<_, Vec<String>>(0) == wanted) {
            let is_hidden = |column: &&Column| wanted.contains(&column.name) && !column.may_select;
            let hidden = self.columns.iter().find(is_hidden);
            return hidden.map_or(Ok(()), |column| {
                let detail = format!("this user may not SELECT column {} of {}, by which rows are told apart", column.name, self.name);
                Err(Failure::new(Outcome::ClientError(Reason::Authorization), detail))
            });
        }
        Err(Failure::misconfigured(format!("{} has no primary key or unique index on {}", self.name, columns.join(", "))))
    }
}

/// A name as SQL has it.
pub(super) fn sql_name(name: &TableName) -> String {
    name.schema.iter().chain([&name.table]).map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

/// Refuses what CREATE TABLE would refuse.
pub(super) async fn may_create(session: &Session, name: &TableName) -> Result<(), Failure> {
    let rows = session.query(MAY_CREATE, &[(&name.schema, Type::TEXT)]).await?;
    match rows.first().map(|row| row.get::<_, bool>(0)) {
        Some(true) => Ok(()),
        Some(false) => {
            let detail = format!("this user may not make tables: {name} cannot be made");
            Err(Failure::new(Outcome::ClientError(Reason::Authorization), detail))
        }
        None => Err(Failure::misconfigured(format!("there is no schema for {name}"))),
    }
}

/// Waits for others that are making tables: `IF NOT EXISTS` does not see what has not been committed, and then fails.
pub(super) async fn take_turn(session: &Session) -> Result<(), Failure> {
    session.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('waybill'))").await
}

/// Makes a table and finds it. Until the transaction ends, other deliveries that want to make one wait.
pub(super) async fn create(session: &Session, name: &TableName, definition: &str) -> Result<Table, Failure> {
    take_turn(session).await?;
    session.execute(&format!("CREATE TABLE IF NOT EXISTS {} ({definition})", sql_name(name))).await?;
    Table::find(session, name).await?.ok_or_else(|| verdict::no_table(name))
}

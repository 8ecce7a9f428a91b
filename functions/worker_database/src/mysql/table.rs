//! A table as `information_schema` has it.

use domain::Reason;
use domain::settings::database::TableName;
use domain::settle::Outcome;

use super::session::Session;
use super::verdict;
use crate::failure::Failure;

const FIND: &str = "SELECT c.table_schema, c.table_name, c.column_name, LOWER(c.data_type), c.privileges, e.transactions \
     FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
     LEFT JOIN information_schema.engines e ON e.engine = t.engine \
     WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name = ? ORDER BY c.ordinal_position";

const UNIQUE_KEYS: &str = "SELECT GROUP_CONCAT(column_name ORDER BY column_name SEPARATOR '\\0') FROM information_schema.statistics \
     WHERE table_schema = ? AND table_name = ? AND non_unique = 0 GROUP BY index_name";

/// MariaDB has no type for JSON, only texts that are checked to be some.
const MARIADB_JSON: &str = "SELECT constraint_name FROM information_schema.check_constraints \
     WHERE constraint_schema = ? AND table_name = ? AND check_clause LIKE 'json_valid(%'";

/// A table that is there.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    has_transactions: bool,
}

/// One of its columns.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// `varchar`, `json`, … in lower case.
    pub(super) data_type: String,
    may_insert: bool,
    may_update: bool,
}

/// A quoted identifier. Nothing that stands in it ends it.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quoted identifiers, with commas between.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// A name as SQL has it.
pub(super) fn sql_name(name: &TableName) -> String {
    name.schema.iter().chain([&name.table]).map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

type Found = (String, String, String, String, String, Option<String>);

impl Table {
    /// Looks a table up; `None` when there is none, or none that this user may do anything with.
    pub(super) async fn find(session: &mut Session, name: &TableName) -> Result<Option<Self>, Failure> {
        let rows: Vec<Found> = session.query(FIND, (&name.schema, &name.table)).await?;
        let Some((schema, table, .., transactions)) = rows.first().cloned() else { return Ok(None) };
        let json: Vec<(String,)> = if session.is_mariadb { session.query(MARIADB_JSON, (&schema, &table)).await? } else { Vec::new() };
        let columns = rows.into_iter().map(|(_, _, name, data_type, privileges, _)| Column {
            data_type: if json.iter().any(|(column,)| *column == name) { "json".to_owned() } else { data_type },
            name,
            may_insert: privileges.split(',').any(|right| right.trim().eq_ignore_ascii_case("insert")),
            may_update: privileges.split(',').any(|right| right.trim().eq_ignore_ascii_case("update")),
        });
        // A view has no engine of its own; what is behind it answers for itself.
        let has_transactions = transactions.is_none_or(|answer| answer.eq_ignore_ascii_case("yes"));
        Ok(Some(Self { schema, name: table, columns: columns.collect(), has_transactions }))
    }

    /// Its full name, quoted.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// One of its columns.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Refuses a table whose engine cannot take rows back.
    pub(super) fn require_transactions(&self) -> Result<(), Failure> {
        match self.has_transactions {
            true => Ok(()),
            false => Err(Failure::misconfigured(format!("{} has an engine without transactions: InnoDB has them", self.name))),
        }
    }

    /// Refuses columns that are not there or may not be written.
    pub(super) fn require(&self, columns: &[&str], to_update: bool) -> Result<(), Failure> {
        let missing: Vec<&str> = columns.iter().copied().filter(|name| self.column(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(Failure::misconfigured(format!("{} has no column {}", self.name, missing.join(", "))));
        }
        let forbidden = |column: &&Column| !column.may_insert || (to_update && !column.may_update);
        let Some(column) = self.columns.iter().filter(|column| columns.contains(&&*column.name)).find(forbidden) else { return Ok(()) };
        let detail = format!("this user may not write column {} of {}", column.name, self.name);
        Err(Failure::new(Outcome::ClientError(Reason::Authorization), detail))
    }

    /// Refuses a table into which nothing may be written at all.
    pub(super) fn require_insert(&self) -> Result<(), Failure> {
        match self.columns.iter().any(|column| column.may_insert) {
            true => Ok(()),
            false => Err(Failure::new(Outcome::ClientError(Reason::Authorization), format!("this user may not INSERT into {}", self.name))),
        }
    }

    /// Refuses a table without a unique index on exactly these columns: a row could stand there twice.
    pub(super) async fn require_unique(&self, session: &mut Session, columns: &[&str]) -> Result<(), Failure> {
        let mut wanted = columns.to_vec();
        wanted.sort_unstable();
        let keys: Vec<(String,)> = session.query(UNIQUE_KEYS, (&self.schema, &self.name)).await?;
        let is_there = keys.iter().any(|(key,)| {
            let mut found: Vec<&str> = key.split('\0').collect();
            found.sort_unstable();
            found == wanted
        });
        if is_there {
            return Ok(());
        }
        Err(Failure::misconfigured(format!("{} has no primary key or unique index on {}", self.name, columns.join(", "))))
    }
}

/// Makes a table and finds it. MySQL knows no transaction around this.
pub(super) async fn create(session: &mut Session, name: &TableName, definition: &str) -> Result<Table, Failure> {
    session
        .execute(&format!("CREATE TABLE IF NOT EXISTS {} ({definition}) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4", sql_name(name)))
        .await?;
    Table::find(session, name).await?.ok_or_else(|| verdict::no_table(name))
}

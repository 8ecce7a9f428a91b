//! A temporary table that holds rows until conflicts with the real table are resolved, because COPY
//! cannot resolve conflicts.

use bytes::Bytes;
use domain::settings::database::OnConflict;

use super::copy::{Copied, Target};
use super::insert;
use super::names::{list, quoted};
use super::session::Session;
use super::table::Table;
use super::verdict;
use crate::rows::Opened;
use worker::ConnectorError;

/// The name of the temporary table, which is dropped at the end of the transaction.
const STAGE: &str = "waybill_stage";
/// The column that holds the order of the rows.
const ORDER: &str = "waybill_row";

/// Writes rows through a temporary table.
pub(super) struct Stage<'t> {
    pub(super) table: &'t Table,
    pub(super) on_conflict: OnConflict,
    pub(super) key: &'t [&'t str],
}

impl Stage<'_> {
    /// Writes rows into the table that have the same columns as `first`. Returns how many were
    /// written, and the result of the COPY.
    pub(super) async fn copy(
        &self,
        session: &Session,
        opened: &mut Opened,
        first: (u64, Bytes),
    ) -> Result<Option<(u64, Copied)>, ConnectorError> {
        opened.columns.decode(first.0, &first.1)?;
        let names = opened.columns.names.clone();
        let first_number = first.0;
        session
            .execute(&format!(
                "DROP TABLE IF EXISTS pg_temp.{}; {}",
                quoted(STAGE),
                self.definition(&names)
            ))
            .await?;
        let target = Target {
            sql: format!("pg_temp.{}", quoted(STAGE)),
            relation: STAGE,
            needs_every_column: self.on_conflict == OnConflict::Update,
        };
        let Some(copied) = target.copy(session, opened, first).await? else {
            return Ok(None);
        };
        let written = self
            .merge(session, &names, copied.rows, first_number)
            .await?;
        Ok(Some((written, copied)))
    }

    /// Returns the definition of the temporary table. It has the columns of the rows with their
    /// types, so that a value that does not fit is reported with its row.
    pub(super) fn definition(&self, names: &[String]) -> String {
        let columns = self
            .table
            .columns
            .iter()
            .filter(|column| names.contains(&column.name))
            .map(|column| {
                let not_null = if column.is_not_null { " NOT NULL" } else { "" };
                format!("{} {}{not_null}, ", quoted(&column.name), column.sql_type)
            });
        let columns: String = columns.collect();
        format!(
            "CREATE TEMPORARY TABLE {} ({columns}{} bigserial) ON COMMIT DROP",
            quoted(STAGE),
            quoted(ORDER)
        )
    }

    /// Moves all rows into the table. If the table refuses them, finds the first row that it
    /// refuses by bisection: halves that are accepted stay, and a half that is refused is divided
    /// again.
    async fn merge(
        &self,
        session: &Session,
        names: &[String],
        rows: u64,
        first_number: u64,
    ) -> Result<u64, ConnectorError> {
        let (mut from, mut to) = (1, rows);
        let mut written = 0;
        while from <= rows {
            session.execute("SAVEPOINT waybill_merge").await?;
            match session.simple(&self.merging(names, from, to)).await {
                Ok(merged) => {
                    written += merged;
                    (from, to) = (to + 1, rows);
                    session.execute("RELEASE SAVEPOINT waybill_merge").await?;
                }
                Err(error) if verdict::is_of_row(&error) && from < to => {
                    session
                        .execute("ROLLBACK TO SAVEPOINT waybill_merge")
                        .await?;
                    to = from + (to - from) / 2;
                }
                Err(error) => {
                    return Err(verdict::of_row(error, first_number - 1 + from, |_| None));
                }
            }
        }
        Ok(written)
    }

    /// Moves rows from the temporary table into the real one. Of several rows with the same key,
    /// the last one counts for an update and the first one for ignore.
    fn merging(&self, names: &[String], from_row: u64, to_row: u64) -> String {
        let columns = list(names.iter().map(String::as_str));
        let keys = list(self.key.iter().copied());
        let order = quoted(ORDER);
        let from = format!(
            "pg_temp.{} WHERE {order} BETWEEN {from_row} AND {to_row}",
            quoted(STAGE)
        );
        let into = format!("INSERT INTO {} AS t ({columns})", self.table.sql());
        let conflict = insert::conflict(self.on_conflict, names, self.key, true);
        if self.on_conflict != OnConflict::Update {
            return format!("{into} SELECT {columns} FROM {from} ORDER BY {order}{conflict}");
        }
        // Rows without a key do not conflict with each other, so their own number distinguishes
        // them.
        let is_null: Vec<String> = self
            .key
            .iter()
            .map(|name| format!("{} IS NULL", quoted(name)))
            .collect();
        let apart = format!("CASE WHEN {} THEN {order} END", is_null.join(" OR "));
        format!(
            "{into} SELECT {columns} FROM (SELECT DISTINCT ON ({keys}, {apart}) * FROM {from} \
             ORDER BY {keys}, {apart}, {order} DESC) AS latest ORDER BY {order}{conflict}"
        )
    }

    /// Runs the same statements without rows, for a check.
    pub(super) async fn try_out(
        &self,
        session: &Session,
        names: &[String],
    ) -> Result<(), ConnectorError> {
        session.execute(&self.definition(names)).await?;
        session
            .simple(&self.merging(names, 1, 0))
            .await
            .map(drop)
            .map_err(verdict::of)
    }
}

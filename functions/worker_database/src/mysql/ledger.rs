//! The ledger of deliveries beside a table: what makes a delivery of rows happen once. A delivery's line is written in the transaction
//! of its rows, so that either both are there or neither.

use domain::settings::database::TableName;
use mysql_async::Error;
use mysql_async::prelude::Queryable as _;

use super::session::Session;
use super::table::{self, Table};
use super::verdict;
use crate::connector::Written;
use crate::failure::Failure;

/// The ledger's name; it stands in the database of the table.
const NAME: &str = domain::settings::database::LEDGER_TABLE;
const DEFINITION: &str = "delivery_id varchar(64) CHARACTER SET ascii NOT NULL PRIMARY KEY, row_count bigint NOT NULL DEFAULT 0, \
     delivered_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP";

/// The ledger of one database.
#[derive(Debug)]
pub(super) struct Ledger {
    sql: String,
}

/// Whether a delivery is new.
pub(super) enum Claim {
    /// It is, and now ours.
    New,
    /// It was written before.
    Written(Written),
}

/// Refuses a ledger that may not be written. Whether one that is not there could be made, MySQL tells only who tries.
pub(super) async fn may_be_used(session: &mut Session, table: &Table) -> Result<(), Failure> {
    let name = TableName { schema: Some(table.schema.clone()), table: NAME.to_owned() };
    match Table::find(session, &name).await? {
        Some(ledger) => ledger.require(&["delivery_id", "row_count"], true),
        None => Ok(()),
    }
}

impl Ledger {
    /// The ledger beside a table, made if it is not there.
    pub(super) async fn beside(session: &mut Session, table: &Table) -> Result<Self, Failure> {
        let name = TableName { schema: Some(table.schema.clone()), table: NAME.to_owned() };
        let ledger = match Table::find(session, &name).await? {
            Some(ledger) => ledger,
            None => table::create(session, &name, DEFINITION).await?,
        };
        ledger.require_transactions()?;
        Ok(Self { sql: ledger.sql() })
    }

    /// Claims a delivery within the transaction. Waits for another attempt of the same delivery that is under way.
    pub(super) async fn claim(&self, session: &mut Session, delivery: &str) -> Result<Claim, Failure> {
        match session.conn.exec_drop(format!("INSERT INTO {} (delivery_id) VALUES (?)", self.sql), (delivery,)).await {
            Ok(()) => Ok(Claim::New),
            Err(Error::Server(error)) if error.code == verdict::DUPLICATE => {
                let sql = format!("SELECT row_count FROM {} WHERE delivery_id = ?", self.sql);
                let found: Vec<(u64,)> = session.query(&sql, (delivery,)).await?;
                Ok(Claim::Written(Written { rows: found.first().map(|(rows,)| *rows), transaction_id: None, is_repeat: true }))
            }
            Err(error) => Err(verdict::of(error)),
        }
    }

    /// Notes how many rows were written.
    pub(super) async fn note(&self, session: &mut Session, delivery: &str, rows: u64) -> Result<Written, Failure> {
        let sql = format!("UPDATE {} SET row_count = ? WHERE delivery_id = ?", self.sql);
        session.conn.exec_drop(sql, (rows, delivery)).await.map_err(verdict::of)?;
        Ok(Written { rows: Some(rows), transaction_id: None, is_repeat: false })
    }
}

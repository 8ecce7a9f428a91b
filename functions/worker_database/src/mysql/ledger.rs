//! The ledger of deliveries in a table's database, which makes a delivery of rows happen once. The
//! entry of a delivery is written in the same transaction as its rows.

use domain::settings::database::{LEDGER_TABLE as NAME, TableName};
use mysql_async::Error;
use mysql_async::prelude::Queryable as _;

use super::session::Session;
use super::table::{self, Table};
use super::verdict;
use crate::connector::Written;
use crate::rights::needed_for;
use worker::ConnectorError;

const DEFINITION: &str = "delivery_id varchar(64) CHARACTER SET ascii NOT NULL PRIMARY KEY, row_count bigint NOT NULL DEFAULT 0, \
     delivered_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP";

/// The ledger of one database.
#[derive(Debug)]
pub(super) struct Ledger {
    sql: String,
}

/// The result of claiming a delivery.
pub(super) enum Claim {
    /// The delivery is new, and this attempt has claimed it.
    New,
    /// An earlier attempt wrote the delivery.
    Written(Written),
}

impl Ledger {
    /// Returns the ledger in a schema, and creates it if it does not exist.
    pub(super) async fn in_schema(
        session: &mut Session,
        schema: Option<String>,
    ) -> Result<Self, ConnectorError> {
        let name = TableName {
            schema,
            table: NAME.to_owned(),
        };
        let ledger = match Table::find(session, &name).await? {
            Some(ledger) => ledger,
            None => table::create(session, &name, DEFINITION)
                .await
                .map_err(may_not_create)?,
        };
        ledger.require_transactions()?;
        Ok(Self { sql: ledger.sql() })
    }

    /// Claims a delivery within the transaction. Waits for a concurrent attempt of the same
    /// delivery.
    pub(super) async fn claim(
        &self,
        session: &mut Session,
        delivery: &str,
    ) -> Result<Claim, ConnectorError> {
        match session
            .conn
            .exec_drop(
                format!("INSERT INTO {} (delivery_id) VALUES (?)", self.sql),
                (delivery,),
            )
            .await
        {
            Ok(()) => Ok(Claim::New),
            Err(Error::Server(error)) if error.code == verdict::DUPLICATE => {
                let sql = format!("SELECT row_count FROM {} WHERE delivery_id = ?", self.sql);
                let found: Vec<(u64,)> = session.query(&sql, (delivery,)).await?;
                Ok(Claim::Written(Written {
                    rows: found.first().map(|(rows,)| *rows),
                    skipped: None,
                    transaction_id: None,
                    is_repeat: true,
                }))
            }
            Err(error) => Err(needs_rights(verdict::of(error))),
        }
    }

    /// Records how many rows were written.
    pub(super) async fn note(
        &self,
        session: &mut Session,
        delivery: &str,
        rows: u64,
    ) -> Result<(), ConnectorError> {
        let sql = format!(
            "UPDATE {} SET row_count = ? WHERE delivery_id = ?",
            self.sql
        );
        session
            .conn
            .exec_drop(sql, (rows, delivery))
            .await
            .map_err(|error| needs_rights(verdict::of(error)))
    }

    /// Returns an error if the ledger could not be used. An existing ledger is written within a
    /// transaction, which the caller rolls back; for a missing one, the right to create it is
    /// checked.
    pub(super) async fn try_out(
        session: &mut Session,
        schema: Option<String>,
        delivery: &str,
    ) -> Result<(), ConnectorError> {
        let name = TableName {
            schema: schema.clone(),
            table: NAME.to_owned(),
        };
        if Table::find(session, &name).await?.is_none() {
            return table::may_create(session, &name)
                .await
                .map_err(may_not_create);
        }
        let ledger = Self::in_schema(session, schema).await?;
        session.execute("START TRANSACTION").await?;
        ledger.claim(session, delivery).await?;
        ledger.note(session, delivery, 0).await?;
        let sql = format!("SELECT row_count FROM {} WHERE delivery_id = ?", ledger.sql);
        session
            .query::<(u64,)>(&sql, (delivery,))
            .await
            .map(drop)
            .map_err(needs_rights)
    }
}

fn may_not_create(failure: ConnectorError) -> ConnectorError {
    needed_for(
        failure,
        &format!(
            "{NAME}, where deliveries are recorded so that each is written once, cannot be \
             created; grant CREATE on the database or create it"
        ),
    )
}

fn needs_rights(failure: ConnectorError) -> ConnectorError {
    needed_for(
        failure,
        &format!(
            "{NAME}, where deliveries are recorded so that each is written once, cannot be \
             written; grant SELECT, INSERT and UPDATE on it"
        ),
    )
}

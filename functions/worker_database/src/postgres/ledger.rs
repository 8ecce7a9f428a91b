//! The ledger of deliveries in a table's schema, which makes a delivery of rows happen once. The
//! entry of a delivery is written in the same transaction as its rows.

use domain::settings::database::LEDGER_TABLE as NAME;
use tokio_postgres::types::Type;

use super::names::quoted;
use super::session::Session;
use super::table::{self, Table};
use crate::connector::Written;
use crate::rights::needed_for;
use worker::ConnectorError;

const FIND: &str = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";

/// The ledger of one schema.
#[derive(Debug)]
pub(super) struct Ledger {
    sql: String,
    name: String,
}

/// The result of claiming a delivery.
pub(super) enum Claim {
    /// The delivery is new, and this attempt has claimed it.
    New,
    /// An earlier attempt wrote the delivery.
    Written(Written),
}

impl Ledger {
    /// Returns the ledger in the table's schema, and creates it if it does not exist.
    pub(super) async fn in_schema_of(
        session: &Session,
        table: &Table,
    ) -> Result<Self, ConnectorError> {
        let sql = format!("{}.{}", quoted(&table.schema), quoted(NAME));
        let found = session.query(FIND, &[(&sql, Type::TEXT)]).await?;
        if !found.first().is_some_and(|row| row.get(0)) {
            let create = format!(
                "CREATE TABLE IF NOT EXISTS {sql} (delivery_id text PRIMARY KEY, row_count bigint NOT NULL DEFAULT 0, \
                 transaction_id text NOT NULL, delivered_at timestamptz NOT NULL DEFAULT now())"
            );
            table::take_turn(session).await?;
            session.execute(&create).await.map_err(|failure| needed_for(failure, &format!(
                "{}.{NAME}, where deliveries are recorded so that each is written once, cannot be \
                 created; grant CREATE on the schema or create it",
                table.schema
            )))?;
        }
        Ok(Self {
            sql,
            name: format!("{}.{NAME}", table.schema),
        })
    }

    /// Claims a delivery within the transaction. Waits for a concurrent attempt of the same
    /// delivery.
    pub(super) async fn claim(
        &self,
        session: &Session,
        delivery: &str,
    ) -> Result<Claim, ConnectorError> {
        let insert = format!(
            "INSERT INTO {} (delivery_id, transaction_id) VALUES ($1, pg_catalog.txid_current()::text) \
             ON CONFLICT (delivery_id) DO NOTHING RETURNING transaction_id",
            self.sql
        );
        if !session
            .query(&insert, &[(&delivery, Type::TEXT)])
            .await
            .map_err(|failure| self.needs_rights(failure))?
            .is_empty()
        {
            return Ok(Claim::New);
        }
        let select = format!(
            "SELECT row_count, transaction_id FROM {} WHERE delivery_id = $1",
            self.sql
        );
        let found = session.query(&select, &[(&delivery, Type::TEXT)]).await?;
        let row = found.first();
        Ok(Claim::Written(Written {
            rows: row.and_then(|row| u64::try_from(row.get::<_, i64>(0)).ok()),
            transaction_id: row.map(|row| row.get(1)),
            skipped: None,
            is_repeat: true,
        }))
    }

    fn needs_rights(&self, failure: ConnectorError) -> ConnectorError {
        needed_for(
            failure,
            &format!(
                "{}, where deliveries are recorded so that each is written once, cannot be \
                 written; grant SELECT, INSERT and UPDATE on it",
                self.name
            ),
        )
    }

    /// Records how many rows were written, and returns the transaction's id.
    pub(super) async fn note(
        &self,
        session: &Session,
        delivery: &str,
        rows: u64,
    ) -> Result<Option<String>, ConnectorError> {
        let update = format!(
            "UPDATE {} SET row_count = $2 WHERE delivery_id = $1 RETURNING transaction_id",
            self.sql
        );
        let count = i64::try_from(rows).unwrap_or(i64::MAX);
        let updated = session
            .query(&update, &[(&delivery, Type::TEXT), (&count, Type::INT8)])
            .await;
        let updated = updated.map_err(|failure| self.needs_rights(failure))?;
        Ok(updated.first().map(|row| row.get(0)))
    }
}

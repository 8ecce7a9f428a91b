//! The ledger of deliveries beside a table: what makes a delivery of rows happen once. A delivery's line is written in the transaction
//! of its rows, so that either both are there or neither.

use domain::Reason;
use domain::settle::Outcome;
use tokio_postgres::types::Type;

use super::names::quoted;
use super::session::Session;
use super::table::{self, Table};
use crate::connector::Written;
use crate::failure::Failure;

/// The ledger's name; it stands in the schema of the table.
const NAME: &str = domain::settings::database::LEDGER_TABLE;

const RIGHTS: &str = "SELECT c.oid IS NOT NULL, CASE WHEN c.oid IS NULL THEN pg_catalog.has_schema_privilege($1, 'CREATE') \
     ELSE pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
     AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') END \
     FROM (SELECT pg_catalog.to_regclass($2)::oid) AS c(oid)";

/// The ledger of one schema.
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

/// Refuses when the ledger can be neither used nor made.
pub(super) async fn may_be_used(session: &Session, table: &Table) -> Result<bool, Failure> {
    let name = format!("{}.{}", quoted(&table.schema), quoted(NAME));
    let rows = session.query(RIGHTS, &[(&table.schema, Type::TEXT), (&name, Type::TEXT)]).await?;
    let (is_there, is_allowed) = rows.first().map_or((false, false), |row| (row.get(0), row.get(1)));
    if is_allowed {
        return Ok(is_there);
    }
    let schema = &table.schema;
    let detail = if is_there {
        format!("this user needs SELECT, INSERT and UPDATE on {schema}.{NAME}, where deliveries are noted so that each happens once")
    } else {
        format!(
            "this user may not make {schema}.{NAME}, where deliveries are noted so that each happens once: grant CREATE on the schema, or make it"
        )
    };
    Err(Failure::new(Outcome::ClientError(Reason::Authorization), detail))
}

impl Ledger {
    /// The ledger beside a table, made if it is not there.
    pub(super) async fn beside(session: &Session, table: &Table) -> Result<Self, Failure> {
        let sql = format!("{}.{}", quoted(&table.schema), quoted(NAME));
        if !may_be_used(session, table).await? {
            let create = format!(
                "CREATE TABLE IF NOT EXISTS {sql} (delivery_id text PRIMARY KEY, row_count bigint NOT NULL DEFAULT 0, \
                 transaction_id text NOT NULL, delivered_at timestamptz NOT NULL DEFAULT now())"
            );
            table::take_turn(session).await?;
            session.execute(&create).await?;
        }
        Ok(Self { sql })
    }

    /// Claims a delivery within the transaction. Waits for another attempt of the same delivery that is under way.
    pub(super) async fn claim(&self, session: &Session, delivery: &str) -> Result<Claim, Failure> {
        let insert = format!(
            "INSERT INTO {} (delivery_id, transaction_id) VALUES ($1, pg_catalog.txid_current()::text) \
             ON CONFLICT (delivery_id) DO NOTHING RETURNING transaction_id",
            self.sql
        );
        if !session.query(&insert, &[(&delivery, Type::TEXT)]).await?.is_empty() {
            return Ok(Claim::New);
        }
        let select = format!("SELECT row_count, transaction_id FROM {} WHERE delivery_id = $1", self.sql);
        let found = session.query(&select, &[(&delivery, Type::TEXT)]).await?;
        let row = found.first();
        Ok(Claim::Written(Written {
            rows: row.and_then(|row| u64::try_from(row.get::<_, i64>(0)).ok()),
            transaction_id: row.map(|row| row.get(1)),
            is_repeat: true,
        }))
    }

    /// Notes how many rows were written.
    pub(super) async fn note(&self, session: &Session, delivery: &str, rows: u64) -> Result<Written, Failure> {
        let update = format!("UPDATE {} SET row_count = $2 WHERE delivery_id = $1 RETURNING transaction_id", self.sql);
        let count = i64::try_from(rows).unwrap_or(i64::MAX);
        let updated = session.query(&update, &[(&delivery, Type::TEXT), (&count, Type::INT8)]).await?;
        Ok(Written { rows: Some(rows), transaction_id: updated.first().map(|row| row.get(0)), is_repeat: false })
    }
}

//! Delivers into databases: PostgreSQL and MySQL/MariaDB.
//!
//! A [`Database`] takes the [`DatabaseSettings`](domain::settings::database::DatabaseSettings) and opened [`Credentials`], works out the
//! `Place` to go to, resolves and connects through the egress guard, speaks TLS as the settings ask ([`Trust`]), authenticates, finds the
//! table, and writes the [`Payload`](worker::Payload) in **one transaction**: as one row in document mode, or as the `rows` that the payload is made of,
//! streamed with bounded memory. The delivery's id is written in that same transaction (in document mode as the row's own
//! `delivery_id`, in rows mode into the ledger `waybill_deliveries` beside the table), so a delivery that is repeated, whatever was cut
//! short before, changes nothing. What goes wrong is a `ConnectorError`: an outcome decided by SQLSTATE, error number or error type,
//! never by a message's text, and a sentence for people.

mod connector;
mod credentials;
mod document;
mod function;
pub mod iam;
mod mysql;
mod place;
mod postgres;
mod rights;
mod rows;
mod trust;

pub use connector::{Database, Facts};
pub use credentials::Credentials;
pub use function::{Databases, build};
pub use trust::Trust;

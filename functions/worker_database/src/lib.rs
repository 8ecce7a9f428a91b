//! Delivers to databases: PostgreSQL and MySQL/MariaDB.
//!
//! A [`Database`] combines the [`DatabaseSettings`](domain::settings::database::DatabaseSettings)
//! and opened [`Credentials`] to a `Login`, resolves and connects through the egress guard, uses
//! TLS as the settings require ([`Trust`]), authenticates, finds the table, and writes the
//! [`Payload`](worker::Payload) in **one transaction**: as one row in document mode, or as the rows
//! of the payload in rows mode, streamed with bounded memory.
//!
//! The same transaction writes the delivery's id: in document mode as the row's own `delivery_id`,
//! in rows mode into the ledger `waybill_deliveries` in the table's schema. A repeated delivery
//! therefore changes nothing, wherever the earlier attempt ended.
//!
//! A failure is a `ConnectorError`: an outcome that the SQLSTATE, error number or error type
//! decides, never the message's text, and a sentence for people.

mod connector;
mod credentials;
mod document;
mod function;
pub mod iam;
mod login;
mod mysql;
mod postgres;
mod rights;
mod rows;
mod trust;

pub use connector::{Database, Facts};
pub use credentials::Credentials;
pub use function::{Databases, build};
pub use trust::Trust;

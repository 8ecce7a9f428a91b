//! MySQL and MariaDB. A [`Session`](session::Session) uses the library's connection, which passes a
//! [`Relay`](relay::Relay) to a connection of the egress guard. A [`Table`](table::Table) is read
//! from `information_schema`. A `document` is written by one INSERT, rows by INSERTs of many rows
//! each.

mod check;
mod document;
mod insert;
mod ledger;
mod relay;
mod rows;
mod session;
mod table;
mod types;
mod verdict;

use domain::settings::database::Mode;

pub(crate) use check::check;

use crate::connector::{Delivering, Written};
use worker::{ConnectorError, Payload};

/// Writes a payload in one transaction.
pub(crate) async fn deliver(
    delivering: &Delivering<'_>,
    payload: Payload,
) -> Result<Written, ConnectorError> {
    match delivering.settings.mode {
        Mode::Document => document::deliver(delivering, payload).await,
        Mode::Rows => rows::deliver(delivering, payload).await,
    }
}

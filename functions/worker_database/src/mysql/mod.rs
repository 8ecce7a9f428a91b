//! MySQL and MariaDB: a [`Session`](session::Session) over the library's connection, which goes through a [`Relay`](relay::Relay) over one that the egress guard made; a
//! [`Table`](table::Table) from `information_schema`; a `document` by one INSERT, rows by INSERTs of many rows each.

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
pub(crate) async fn deliver(delivering: &Delivering<'_>, payload: Payload) -> Result<Written, ConnectorError> {
    match delivering.settings.mode {
        Mode::Document => document::deliver(delivering, payload).await,
        Mode::Rows => rows::deliver(delivering, payload).await,
    }
}

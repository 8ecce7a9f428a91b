//! PostgreSQL: a [`Session`](session::Session) over our own TLS, a [`Table`](table::Table) found in the catalogue, and what is written:
//! a `document` by INSERT; rows by [`COPY`](copy), straight into the table or through a temporary one where conflicts are resolved, and
//! by [`INSERT`](insert) where COPY cannot write them.

mod binding;
mod check;
mod copy;
mod document;
mod insert;
mod ledger;
mod names;
mod rows;
mod secured;
mod session;
mod stage;
mod table;
mod types;
mod verdict;

pub(crate) use check::check;

use domain::settings::database::Mode;

use crate::connector::{Delivering, Written};
use worker::{ConnectorError, Payload};

/// Writes a payload in one transaction.
pub(crate) async fn deliver(delivering: &Delivering<'_>, payload: Payload) -> Result<Written, ConnectorError> {
    match delivering.settings.mode {
        Mode::Document => document::deliver(delivering, payload).await,
        Mode::Rows => rows::deliver(delivering, payload).await,
    }
}

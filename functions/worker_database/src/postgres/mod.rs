//! PostgreSQL. A [`Session`](session::Session) uses Waybill's TLS, and a [`Table`](table::Table) is
//! read from the catalogue. A `document` is written by INSERT. Rows are written by [`COPY`](copy),
//! into the table or through a temporary one if conflicts have to be resolved, and by
//! [`INSERT`](insert) where COPY cannot write them.

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
pub(crate) async fn deliver(
    delivering: &Delivering<'_>,
    payload: Payload,
) -> Result<Written, ConnectorError> {
    match delivering.settings.mode {
        Mode::Document => document::deliver(delivering, payload).await,
        Mode::Rows => rows::deliver(delivering, payload).await,
    }
}

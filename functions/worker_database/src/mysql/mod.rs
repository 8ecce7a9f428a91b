//! MySQL and MariaDB: a [`Session`](session::Session) over the library's own connection, pinned to a checked address; a
//! [`Table`](table::Table) from `information_schema`; a `document` by one INSERT, rows by INSERTs of many rows each.

mod document;
mod insert;
mod ledger;
mod rows;
mod session;
mod table;
mod verdict;

use domain::check::StepName;
use domain::settings::database::{DatabaseSettings, Mode, OnConflict};
use tokio::time::{Instant, timeout_at};
use worker::Payload;

use crate::connector::{Database, Delivering, Written};
use crate::failure::Failure;
use crate::place::Place;
use crate::walk::Walk;
use session::Session;
use table::Table;

/// Writes a payload in one transaction.
pub(crate) async fn deliver(delivering: &Delivering<'_>, payload: Payload) -> Result<Written, Failure> {
    match delivering.settings.mode {
        Mode::Document => document::deliver(delivering, payload).await,
        Mode::Rows => rows::deliver(delivering, payload).await,
    }
}

/// Walks to the table and looks whether a delivery would be taken.
pub(crate) async fn check(
    database: &Database,
    place: &Place,
    settings: &DatabaseSettings,
    deadline: Instant,
    walk: &mut Walk,
) -> Result<(), Failure> {
    let mut session = Session::open(database, place, deadline, walk).await?;
    let looking = async {
        let looked = timeout_at(deadline, authorize(&mut session, settings)).await;
        looked.unwrap_or_else(|_| Err(verdict::late("looking at the table")))
    };
    walk.take(StepName::Authorize, looking, String::clone).await.map(drop)
}

async fn authorize(session: &mut Session, settings: &DatabaseSettings) -> Result<String, Failure> {
    let table = match Table::find(session, &settings.table).await? {
        Some(table) => table,
        // Whether CREATE is granted, MySQL tells only who tries.
        None if settings.create_table => return Ok(format!("{} will be made by the first delivery", settings.table)),
        None => return Err(verdict::no_table(&settings.table)),
    };
    table.require_transactions()?;
    match settings.mode {
        Mode::Document => {
            table.require(document::COLUMNS, false)?;
            table.require_unique(session, &[document::DELIVERY_ID]).await?;
        }
        Mode::Rows => {
            let mapped: Vec<&str> = settings.columns.iter().flat_map(|columns| columns.values()).map(String::as_str).collect();
            table.require(&mapped, settings.on_conflict == OnConflict::Update)?;
            let key: Vec<&str> = settings.key_columns.iter().map(String::as_str).collect();
            table.require(&key, false)?;
            if !key.is_empty() {
                table.require_unique(session, &key).await?;
            }
            table.require_insert()?;
            ledger::may_be_used(session, &table).await?;
        }
    }
    Ok(format!("rows can be written into {}", settings.table))
}

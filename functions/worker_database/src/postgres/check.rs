//! A check: runs the statements of a delivery in a transaction that is rolled back.

use domain::check::StepName;
use domain::settings::database::{DatabaseSettings, Mode, OnConflict};
use tokio::time::Instant;

use super::copy::Target;
use super::ledger::Ledger;
use super::names::list;
use super::session::Session;
use super::stage::Stage;
use super::table::{self, Table};
use super::{document, insert, verdict};
use crate::connector::{Database, Facts};
use crate::login::Login;
use crate::rights::is_rejected;
use worker::{ConnectorError, StepRecorder, within};

/// Runs the steps up to the table and tries the statements of a delivery.
pub(crate) async fn check(
    database: &Database,
    login: &Login,
    settings: &DatabaseSettings,
    deadline: Instant,
    steps: &mut StepRecorder,
) -> Result<(), ConnectorError> {
    let session = Session::open(database, login, deadline, steps).await?;
    let trying = async {
        within(
            deadline,
            "writing into the table took too long",
            authorize(&session, settings, deadline),
        )
        .await
    };
    let tried = steps
        .take(StepName::Authorize, trying, String::clone)
        .await
        .map(drop);
    session.end(deadline).await;
    tried
}

async fn authorize(
    session: &Session,
    settings: &DatabaseSettings,
    deadline: Instant,
) -> Result<String, ConnectorError> {
    session.begin(deadline).await?;
    let found = Table::find(session, &settings.table).await?;
    let is_there = found.is_some();
    let qualifier = match (settings.mode, found) {
        (_, None) if !settings.create_table => return Err(verdict::no_table(&settings.table)),
        (Mode::Document, found) => try_document(session, settings, found).await?,
        (Mode::Rows, Some(table)) => try_rows(session, settings, &table).await?,
        (Mode::Rows, None) => {
            // The first payload decides the columns.
            let table = table::create(session, &settings.table, "waybill_check text").await?;
            Ledger::in_schema_of(session, &table)
                .await?
                .try_out(session)
                .await?;
            String::new()
        }
    };
    session.execute("ROLLBACK").await?;
    Ok(if is_there {
        format!("rows can be written into {}{qualifier}", settings.table)
    } else {
        format!("{} will be created by the first delivery", settings.table)
    })
}

async fn try_document(
    session: &Session,
    settings: &DatabaseSettings,
    found: Option<Table>,
) -> Result<String, ConnectorError> {
    let facts = Facts::of_check();
    let table = match found {
        Some(table) => table,
        None => document::create(session, &settings.table, &facts).await?,
    };
    let written = document::write(session, &table, &facts, b"{}").await;
    let Err(failure) = written else {
        session.execute("SET CONSTRAINTS ALL IMMEDIATE").await?;
        return Ok(String::new());
    };
    // A constraint or a trigger may refuse the sample row and accept real rows.
    match (failure, table.required_besides(document::COLUMNS)) {
        (failure, None) if is_rejected(&failure) => Ok(format!(
            "; a sample row is refused ({failure}), so only a delivery shows whether its row is \
             accepted"
        )),
        (failure, _) => Err(failure),
    }
}

async fn try_rows(
    session: &Session,
    settings: &DatabaseSettings,
    table: &Table,
) -> Result<String, ConnectorError> {
    let is_update = settings.on_conflict == OnConflict::Update;
    let mapped: Vec<&str> = settings
        .columns
        .iter()
        .flat_map(|columns| columns.values())
        .map(String::as_str)
        .collect();
    table.require(&mapped, is_update)?;
    table.require_no_generated(&mapped)?;
    let key: Vec<&str> = settings.key_columns.iter().map(String::as_str).collect();
    table.require(&key, false)?;
    if !key.is_empty() {
        table.require_unique(session, &key).await?;
    }
    Ledger::in_schema_of(session, table)
        .await?
        .try_out(session)
        .await?;
    let names = if mapped.is_empty() {
        table.insertable()
    } else {
        mapped
    };
    if names.is_empty() {
        return Err(table.may_not_insert());
    }
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if settings.on_conflict == OnConflict::Error && table.takes_copy() {
        let target = Target {
            sql: table.sql(),
            relation: &table.name,
            needs_every_column: false,
        };
        target.try_out(session, &names).await?;
    } else if settings.on_conflict != OnConflict::Error && table.takes_stage(session, &key).await? {
        Stage {
            table,
            on_conflict: settings.on_conflict,
            key: &key,
        }
        .try_out(session, &names)
        .await?;
    } else {
        let columns = list(names.iter().map(String::as_str));
        let nulls = vec!["NULL"; names.len()].join(", ");
        let conflict = insert::conflict(
            settings.on_conflict,
            &names,
            &key,
            table.has_exact_key(&key),
        );
        let sql = format!(
            "INSERT INTO {} AS t ({columns}) SELECT {nulls} WHERE false{conflict}",
            table.sql()
        );
        session.execute(&sql).await?;
    }
    Ok(match table.has_row_security() {
        true => "; only a delivery shows whether the table's policies accept its rows".to_owned(),
        false => String::new(),
    })
}

impl Ledger {
    /// Records a delivery that is rolled back afterwards.
    async fn try_out(&self, session: &Session) -> Result<(), ConnectorError> {
        let delivery = Facts::of_check().delivery.to_string();
        self.claim(session, &delivery).await?;
        self.note(session, &delivery, 0).await.map(drop)
    }
}

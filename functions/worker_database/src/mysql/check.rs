//! A check: runs the statements of a delivery in a transaction that is rolled back. It creates no
//! tables, because MySQL cannot roll that back.

use domain::check::StepName;
use domain::settings::database::{DatabaseSettings, Mode, OnConflict};
use tokio::time::Instant;

use super::insert;
use super::ledger::Ledger;
use super::session::Session;
use super::table::{self, Table, list};
use super::{document, verdict};
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
    let mut session = Session::open(database, login, deadline, steps).await?;
    let trying = async {
        within(
            deadline,
            "writing into the table took too long",
            authorize(&mut session, settings),
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
    session: &mut Session,
    settings: &DatabaseSettings,
) -> Result<String, ConnectorError> {
    let Some(table) = Table::find(session, &settings.table).await? else {
        if !settings.create_table {
            return Err(verdict::no_table(&settings.table));
        }
        table::may_create(session, &settings.table).await?;
        if settings.mode == Mode::Rows {
            Ledger::try_out(
                session,
                settings.table.schema.clone(),
                &Facts::of_check().delivery.to_string(),
            )
            .await?;
        }
        return Ok(format!(
            "{} will be created by the first delivery",
            settings.table
        ));
    };
    table.require_transactions()?;
    let qualifier = match settings.mode {
        Mode::Document => try_document(session, &table).await?,
        Mode::Rows => try_rows(session, settings, &table).await?,
    };
    session.execute("ROLLBACK").await?;
    Ok(format!(
        "rows can be written into {}{qualifier}",
        settings.table
    ))
}

async fn try_document(session: &mut Session, table: &Table) -> Result<String, ConnectorError> {
    session.execute("START TRANSACTION").await?;
    let sample = b"{}".to_vec();
    let written = document::insert(session, table, &Facts::of_check(), sample).await;
    // A constraint or a trigger may refuse the sample row and accept real rows.
    match (written, table.required_besides(document::COLUMNS)) {
        (Ok(_), _) => Ok(String::new()),
        (Err(failure), None) if is_rejected(&failure) => Ok(format!(
            "; a sample row is refused ({failure}), so only a delivery shows whether its row is \
             accepted"
        )),
        (Err(failure), _) => Err(failure),
    }
}

async fn try_rows(
    session: &mut Session,
    settings: &DatabaseSettings,
    table: &Table,
) -> Result<String, ConnectorError> {
    let mapped: Vec<&str> = settings
        .columns
        .iter()
        .flat_map(|columns| columns.values())
        .map(String::as_str)
        .collect();
    table.require(&mapped, settings.on_conflict == OnConflict::Update)?;
    table.require_no_generated(&mapped)?;
    let key: Vec<&str> = settings.key_columns.iter().map(String::as_str).collect();
    table.require(&key, false)?;
    if !key.is_empty() {
        table.require_unique(session, &key).await?;
    }
    let names = if mapped.is_empty() {
        table.insertable()
    } else {
        mapped
    };
    if names.is_empty() {
        return Err(table.may_not_insert());
    }
    Ledger::try_out(
        session,
        Some(table.schema.clone()),
        &Facts::of_check().delivery.to_string(),
    )
    .await?;
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let columns = list(names.iter().map(String::as_str));
    let nulls = vec!["NULL"; names.len()].join(", ");
    let conflict = insert::conflict(settings.on_conflict, &names, &key);
    let nothing = format!(
        "INSERT INTO {} ({columns}) SELECT {nulls} FROM DUAL WHERE 1 = 0{conflict}",
        table.sql()
    );
    session.execute(&nothing).await?;
    Ok(String::new())
}

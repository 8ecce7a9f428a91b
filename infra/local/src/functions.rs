//! Maps each function of the template to the crate that implements it.

use axum::Router;
use runtime::{ConfigError, Environment, Platform};

use crate::function::{Handler, erase};

/// A function that was built.
pub enum Built {
    /// The function handles events.
    Events(Handler),
    /// The function handles HTTP requests.
    Http(Router),
}

/// Why a function could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The template names a binary that is not part of this one.
    #[error("this binary has no function {0}")]
    Unknown(String),
    /// The function cannot be started in a process of its own.
    #[error(transparent)]
    Process(#[from] std::io::Error),
    /// The environment in the template is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Builds the function whose binary is named `binary` in the template.
pub fn build(
    binary: &str,
    platform: &Platform,
    environment: &Environment,
) -> Result<Built, BuildError> {
    Ok(match binary {
        "api" => Built::Http(api::build(platform, api::Config::read(environment)?)),
        "console" => Built::Http(console::build(
            platform,
            console::Config::read(environment)?,
        )),
        "worker_webhook" => Built::Events(erase(worker_webhook::build(
            platform,
            worker::Config::read(environment)?,
        )?)),
        "worker_email" => Built::Events(erase(worker_email::build(
            platform,
            worker_email::Config::read(environment)?,
        )?)),
        "worker_storage" => Built::Events(erase(worker_storage::build(
            platform,
            worker::Config::read(environment)?,
        )?)),
        "worker_sftp" => Built::Events(erase(worker_sftp::build(
            platform,
            worker::Config::read(environment)?,
        )?)),
        "worker_database" => Built::Events(erase(worker_database::build(
            platform,
            worker::Config::read(environment)?,
        )?)),
        "monitor" => Built::Events(erase(monitor::build(
            platform,
            monitor::Config::read(environment)?,
        ))),
        "dead_letters" => Built::Events(erase(dead_letters::build(
            platform,
            dead_letters::Config::read(environment)?,
        ))),
        "ingest" => Built::Events(erase(ingest::build(
            platform,
            ingest::Config::read(environment)?,
        )?)),
        "jobs" => Built::Events(erase(jobs::build(
            platform,
            jobs::Config::read(environment)?,
        ))),
        other => return Err(BuildError::Unknown(other.to_owned())),
    })
}

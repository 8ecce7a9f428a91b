//! What the function is configured with.

use runtime::{ConfigError, Environment};

use crate::sources::Sources;

/// Its configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What submitting takes, as for the api.
    pub front: front::Config,
    /// `INGEST_SOURCES`: which accounts and sources may speak for which organizations.
    pub sources: Sources,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let text = environment.get("INGEST_SOURCES").unwrap_or_default();
        let sources = Sources::parse(text).map_err(|problem| ConfigError::because(format!("INGEST_SOURCES {problem}")))?;
        Ok(Self { front: front::Config::read(environment)?, sources })
    }
}

//! The configuration of the ingest function.

use runtime::{ConfigError, Environment};

use crate::sources::Sources;

/// The configuration of the ingest function.
#[derive(Clone, Debug)]
pub struct Config {
    /// The configuration that submitting shares with the API.
    pub front: front::Config,
    /// `INGEST_SOURCES`: which accounts and sources may submit for which organizations.
    pub sources: Sources,
}

impl Config {
    /// Reads the configuration. The error names every mistake.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let text = environment.get("INGEST_SOURCES").unwrap_or_default();
        let sources = Sources::parse(text)
            .map_err(|problem| ConfigError::because(format!("INGEST_SOURCES {problem}")))?;
        Ok(Self {
            front: front::Config::read(environment)?,
            sources,
        })
    }
}

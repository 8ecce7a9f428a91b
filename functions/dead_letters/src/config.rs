//! The configuration of the dead-letter function.

use domain::settings::PerLane;
use runtime::{ConfigError, Environment};

/// The configuration of the dead-letter function.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the table: `TABLE_NAME`.
    pub table_name: String,
    /// `WEBHOOK_QUEUE_URL` and the equivalent of each other lane, whose worker sends status
    /// updates.
    pub queue_urls: PerLane<String>,
}

impl Config {
    /// Reads the configuration. The error names every mistake.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self {
            table_name: variables.required("TABLE_NAME"),
            queue_urls: variables.per_lane("*_QUEUE_URL"),
        };
        variables.finish(config)
    }
}

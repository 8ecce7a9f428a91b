//! What the function is configured with.

use domain::settings::PerLane;
use runtime::{ConfigError, Environment};

/// Its configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `WEBHOOK_QUEUE_URL` and each other lane's: whose worker tells that a delivery ended.
    pub queue_urls: PerLane<String>,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self { table_name: variables.required("TABLE_NAME"), queue_urls: variables.per_lane("*_QUEUE_URL") };
        variables.finish(config)
    }
}

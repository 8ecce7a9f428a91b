//! What the monitor is configured with.

use domain::settings::PerLane;
use runtime::{ConfigError, Environment};

/// The monitor's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `WEBHOOK_QUEUE_URL` and each other lane's.
    pub queue_urls: PerLane<String>,
    /// `MONITOR_INTERVAL_SECONDS`: how often the sweep runs.
    pub monitor_interval_seconds: u32,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self {
            table_name: variables.required("TABLE_NAME"),
            queue_urls: variables.per_lane("*_QUEUE_URL"),
            monitor_interval_seconds: variables.required("MONITOR_INTERVAL_SECONDS"),
        };
        variables.finish(config)
    }
}

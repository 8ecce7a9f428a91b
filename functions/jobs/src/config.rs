//! What the jobs are configured with.

use domain::settings::PerLane;
use runtime::{ConfigError, Environment};

/// The jobs' configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `BUCKET_NAME`: where large payloads are, to be erased.
    pub bucket_name: String,
    /// `JOBS_QUEUE_URL`: its own queue, where a job that is not done yet goes on.
    pub jobs_queue_url: String,
    /// `WEBHOOK_QUEUE_URL` and each other lane's.
    pub queue_urls: PerLane<String>,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self {
            table_name: variables.required("TABLE_NAME"),
            bucket_name: variables.required("BUCKET_NAME"),
            jobs_queue_url: variables.required("JOBS_QUEUE_URL"),
            queue_urls: variables.per_lane("*_QUEUE_URL"),
        };
        variables.finish(config)
    }
}

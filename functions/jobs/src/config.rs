//! The configuration of the jobs function.

use domain::settings::PerLane;
use runtime::{ConfigError, Environment};

/// The configuration of the jobs function.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the table: `TABLE_NAME`.
    pub table_name: String,
    /// `BUCKET_NAME`: the bucket of large payloads, which an erasure deletes.
    pub bucket_name: String,
    /// `JOBS_QUEUE_URL`: the function's own queue, through which an unfinished job continues.
    pub jobs_queue_url: String,
    /// `WEBHOOK_QUEUE_URL` and the equivalent of each other lane.
    pub queue_urls: PerLane<String>,
}

impl Config {
    /// Reads the configuration. The error names every mistake.
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

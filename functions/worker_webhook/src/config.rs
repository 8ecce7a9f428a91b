//! What the webhook worker is configured with.

use egress::{Policy, Schemes};
use runtime::{ConfigError, Environment};

/// The webhook worker's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `BUCKET_NAME`: payloads that do not fit into the table.
    pub bucket_name: String,
    /// `WEBHOOK_QUEUE_URL`: where its tasks come from.
    pub webhook_queue_url: String,
    /// `WEBHOOK_DLQ_URL`: where tasks go that nobody can read.
    pub webhook_dlq_url: String,
    /// `EGRESS_ALLOW`: networks that are not public and may be reached all the same.
    pub egress: Policy,
    /// `ALLOW_PLAIN_HTTP`.
    pub schemes: Schemes,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self {
            table_name: variables.required("TABLE_NAME"),
            bucket_name: variables.required("BUCKET_NAME"),
            webhook_queue_url: variables.required("WEBHOOK_QUEUE_URL"),
            webhook_dlq_url: variables.required("WEBHOOK_DLQ_URL"),
            egress: variables.optional("EGRESS_ALLOW").unwrap_or_default(),
            schemes: Schemes::with_plain_http(variables.switch("ALLOW_PLAIN_HTTP", "true", "false")),
        };
        variables.finish(config)
    }
}

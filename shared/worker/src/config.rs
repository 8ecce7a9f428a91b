//! What every worker is configured with.

use domain::settings::PerLane;
use egress::{Policy, Schemes};
use runtime::{ConfigError, Environment, Variables};

use crate::Faults;

/// A worker's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `BUCKET_NAME`: payloads that do not fit into the table.
    pub bucket_name: String,
    /// `QUEUE_URL`: where its tasks come from.
    pub queue_url: String,
    /// `DLQ_URL`: where tasks go that nobody can read.
    pub dlq_url: String,
    /// `WEBHOOK_QUEUE_URL` and each other lane's: status updates go through any of them.
    pub queue_urls: PerLane<String>,
    /// `SIGNING_KEYS_SECRET_ARN`: the keys that tag ids.
    pub signing_keys_secret_arn: String,
    /// `PUBLIC_URL`: where links lead.
    pub public_url: String,
    /// `EVENT_BUS_NAME`: where failed deliveries are told; empty: nowhere.
    pub event_bus_name: Option<String>,
    /// `EGRESS_ALLOW`: networks that are not public and may be reached all the same.
    pub egress: Policy,
    /// `ALLOW_PLAIN_HTTP`.
    pub schemes: Schemes,
    /// `MEMORY_BUDGET_MIB`: what all attempts of a process may hold in memory together.
    pub memory_budget_bytes: u64,
    /// Fault injection; no template asks for it.
    pub faults: Faults,
}

/// What a worker may hold in memory, unless the template says otherwise.
const MEMORY_BUDGET_MIB: u64 = 256;

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self::take(&variables);
        variables.finish(config)
    }

    /// Reads it as a part of a worker's own.
    pub fn take(variables: &Variables<'_>) -> Self {
        Self {
            table_name: variables.required("TABLE_NAME"),
            bucket_name: variables.required("BUCKET_NAME"),
            queue_url: variables.required("QUEUE_URL"),
            dlq_url: variables.required("DLQ_URL"),
            queue_urls: variables.per_lane("*_QUEUE_URL"),
            signing_keys_secret_arn: variables.required("SIGNING_KEYS_SECRET_ARN"),
            public_url: variables.required::<String>("PUBLIC_URL").trim_end_matches('/').to_owned(),
            event_bus_name: variables.optional("EVENT_BUS_NAME"),
            egress: variables.optional("EGRESS_ALLOW").unwrap_or_default(),
            schemes: Schemes::with_plain_http(variables.switch("ALLOW_PLAIN_HTTP", "true", "false")),
            memory_budget_bytes: variables.optional("MEMORY_BUDGET_MIB").unwrap_or(MEMORY_BUDGET_MIB) << 20,
            faults: Faults::take(variables),
        }
    }
}

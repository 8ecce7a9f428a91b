//! The configuration that every worker has.

use std::str::FromStr;

use domain::settings::PerLane;
use egress::{Policy, Schemes};
use runtime::{ConfigError, Environment, Variables};

use crate::Faults;

/// The configuration of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`: the name of the DynamoDB table.
    pub table_name: String,
    /// `BUCKET_NAME`: the bucket for payloads that do not fit into the table.
    pub bucket_name: String,
    /// `QUEUE_URL`: the queue from which the worker receives tasks.
    pub queue_url: String,
    /// `DLQ_URL`: the dead-letter queue for tasks that cannot be parsed.
    pub dlq_url: String,
    /// `WEBHOOK_QUEUE_URL` and those of the other lanes. Status updates may be sent to any of them.
    pub queue_urls: PerLane<String>,
    /// `SIGNING_KEYS_SECRET_ARN`: the secret with the keys that tag ids.
    pub signing_keys_secret_arn: String,
    /// `PUBLIC_URL`: the base of the links in status updates and messages.
    pub public_url: String,
    /// `EVENT_BUS_NAME`: the event bus to which failed deliveries are published, if there is one.
    pub event_bus_name: Option<String>,
    /// `EGRESS_ALLOW`: networks that are not public but may be reached.
    pub egress: Policy,
    /// `ALLOW_PLAIN_HTTP`: whether `http` URLs are accepted.
    pub schemes: Schemes,
    /// `MEMORY_BUDGET_MIB`: the memory that all attempts of a process may use together.
    pub memory_budget_bytes: u64,
    /// Fault injection, which no template enables.
    pub faults: Faults,
}

/// The default of `MEMORY_BUDGET_MIB`, in bytes.
const MEMORY_BUDGET: u64 = 256 << 20;

/// A number of mebibytes, as bytes.
struct Mebibytes(u64);

impl FromStr for Mebibytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: u64 = text.parse().map_err(|error| format!("{error}"))?;
        let bytes = number.checked_mul(1 << 20).ok_or("is too large")?;
        Ok(Self(bytes))
    }
}

impl Config {
    /// Reads the configuration. The error names every variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self::take(&variables);
        variables.finish(config)
    }

    /// Reads the configuration as a part of another one.
    pub fn take(variables: &Variables<'_>) -> Self {
        Self {
            table_name: variables.required("TABLE_NAME"),
            bucket_name: variables.required("BUCKET_NAME"),
            queue_url: variables.required("QUEUE_URL"),
            dlq_url: variables.required("DLQ_URL"),
            queue_urls: variables.per_lane("*_QUEUE_URL"),
            signing_keys_secret_arn: variables.required("SIGNING_KEYS_SECRET_ARN"),
            public_url: variables
                .required::<String>("PUBLIC_URL")
                .trim_end_matches('/')
                .to_owned(),
            event_bus_name: variables.optional("EVENT_BUS_NAME"),
            egress: variables.optional("EGRESS_ALLOW").unwrap_or_default(),
            schemes: Schemes::with_plain_http(variables.switch(
                "ALLOW_PLAIN_HTTP",
                "true",
                "false",
            )),
            memory_budget_bytes: variables
                .optional("MEMORY_BUDGET_MIB")
                .map_or(MEMORY_BUDGET, |Mebibytes(bytes)| bytes),
            faults: Faults::take(variables),
        }
    }
}

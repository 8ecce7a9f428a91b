//! The configuration of the monitor.

use domain::settings::PerLane;
use domain::settings::email::Mailbox;
use runtime::{ConfigError, Environment};

/// The configuration of the monitor.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`: the name of the table.
    pub table_name: String,
    /// `WEBHOOK_QUEUE_URL` and the equivalent of each other lane: the queues of the workers.
    pub queue_urls: PerLane<String>,
    /// `JOBS_QUEUE_URL`: the queue of jobs, to which replays and jobs whose message was lost are
    /// sent.
    pub jobs_queue_url: String,
    /// `WORKER_WEBHOOK_FUNCTION` and the equivalent of each other lane: the functions that check
    /// destinations.
    pub worker_functions: PerLane<String>,
    /// `MONITOR_INTERVAL_SECONDS`: how often the sweep runs.
    pub monitor_interval_seconds: u32,
    /// `SIGNING_KEYS_SECRET_ARN`: the keys that tag ids.
    pub signing_keys_secret_arn: String,
    /// `PUBLIC_URL`: the base of the links in alerts.
    pub public_url: String,
    /// `EVENT_BUS_NAME`: the bus on which alerts are published. If empty, they are not.
    pub event_bus_name: Option<String>,
    /// `ALERT_FROM`: the sender of alert e-mails. If empty, none are sent.
    pub alert_from: Option<Mailbox>,
}

impl Config {
    /// Reads the configuration. The error names every variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self {
            table_name: variables.required("TABLE_NAME"),
            queue_urls: variables.per_lane("*_QUEUE_URL"),
            jobs_queue_url: variables.required("JOBS_QUEUE_URL"),
            worker_functions: variables.per_lane("WORKER_*_FUNCTION"),
            monitor_interval_seconds: variables.required("MONITOR_INTERVAL_SECONDS"),
            signing_keys_secret_arn: variables.required("SIGNING_KEYS_SECRET_ARN"),
            event_bus_name: variables.optional("EVENT_BUS_NAME"),
            alert_from: variables.optional("ALERT_FROM"),
            public_url: variables
                .required::<String>("PUBLIC_URL")
                .trim_end_matches('/')
                .to_owned(),
        };
        variables.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_sender_of_alerts_stops_the_start() {
        let environment: Environment = [("ALERT_FROM".to_owned(), "alerts at acme".to_owned())]
            .into_iter()
            .collect();
        let refused = Config::read(&environment)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(refused.contains("ALERT_FROM is wrong"), "{refused}");
    }
}

//! Logs: one JSON object a line, with ids and never payloads or secrets.

use tracing_subscriber::EnvFilter;

use crate::Environment;

/// Which events are logged when `LOG_LEVEL` does not say.
const DEFAULT_FILTER: &str = "info,aws_config=warn,aws_smithy_runtime=warn,aws_sdk=warn,hyper=warn,h2=warn,rustls=warn";

/// Sends the process's logs to standard error as JSON; a second call does nothing.
pub fn install_json(environment: &Environment) {
    drop(tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::stderr).with_env_filter(filter(environment)).try_init());
}

/// Sends the process's logs to standard error for people to read; a second call does nothing.
pub fn install_readable(environment: &Environment) {
    drop(
        tracing_subscriber::fmt().compact().with_target(false).with_writer(std::io::stderr).with_env_filter(filter(environment)).try_init(),
    );
}

fn filter(environment: &Environment) -> EnvFilter {
    EnvFilter::new(environment.get("LOG_LEVEL").unwrap_or(DEFAULT_FILTER))
}

//! Logs: one JSON object a line, with ids and never payloads or secrets.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::Environment;

/// Which events are logged when `LOG_LEVEL` does not say.
const DEFAULT_FILTER: &str = "info,aws_config=warn,aws_smithy_runtime=warn,aws_sdk=warn,hyper=warn,h2=warn,rustls=warn";

/// Sends the process's logs to standard error as JSON; a second call does nothing.
pub fn install_json(environment: &Environment) {
    install(environment, fmt::layer().json().flatten_event(true).with_writer(std::io::stderr));
}

/// Sends the process's logs to standard error for people to read; a second call does nothing.
pub fn install_readable(environment: &Environment) {
    install(environment, fmt::layer().compact().with_target(false).with_writer(std::io::stderr));
}

fn install(environment: &Environment, layer: impl Layer<Registry> + Send + Sync) {
    let (filter, refused) = match environment.get("LOG_LEVEL").unwrap_or(DEFAULT_FILTER).parse::<Targets>() {
        Ok(wanted) => (wanted, None),
        Err(error) => (Targets::new().with_default(Level::INFO), Some(error)),
    };
    drop(tracing_subscriber::registry().with(layer.with_filter(filter)).try_init());
    if let Some(error) = refused {
        tracing::warn!(%error, "LOG_LEVEL cannot be read; what is of the level info or above is logged");
    }
}

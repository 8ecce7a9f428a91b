//! Logs: one JSON object per line, with ids and never payloads or secrets.
//!
//! `LOG_LEVEL` sets the level of Waybill's own crates. Dependencies never log below `warn`: at
//! `trace` the AWS SDK logs whole responses, with signing keys and data keys in them, and HTTP and
//! TLS libraries log headers. A panic is logged by its location. Its message is logged only if it
//! is a literal, because a formatted one may quote customer data.

use std::panic::{self, PanicHookInfo};

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::Environment;

/// The level when `LOG_LEVEL` is not set.
const DEFAULT_LEVEL: LevelFilter = LevelFilter::INFO;
/// The most detailed level that dependencies may log at.
const DEPENDENCIES_MAX: LevelFilter = LevelFilter::WARN;
/// Waybill's own crates. A test asserts that these are the packages of the workspace.
pub const OWN_CRATES: [&str; 33] = [
    "access",
    "api",
    "coalesce",
    "console",
    "dead_letters",
    "dispatch",
    "domain",
    "egress",
    "front",
    "ingest",
    "jobs",
    "local",
    "local_aws",
    "monitor",
    "oauth",
    "operations",
    "queue",
    "render",
    "roles",
    "runtime",
    "servers",
    "signing",
    "store",
    "telemetry",
    "template",
    "vault",
    "waybill",
    "worker",
    "worker_database",
    "worker_email",
    "worker_sftp",
    "worker_storage",
    "worker_webhook",
];

/// Writes the process's logs to standard error as JSON. A second call does nothing.
pub fn install_json(environment: &Environment) {
    install(
        environment,
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr),
    );
}

/// Writes the process's logs to standard error in a readable format. A second call does nothing.
pub fn install_readable(environment: &Environment) {
    install(
        environment,
        fmt::layer()
            .compact()
            .with_target(false)
            .with_writer(std::io::stderr),
    );
}

fn install(environment: &Environment, layer: impl Layer<Registry> + Send + Sync) {
    let (wanted, refused) = match environment.get("LOG_LEVEL").map(str::parse::<Targets>) {
        Some(Ok(wanted)) => (wanted, None),
        Some(Err(error)) => (Targets::new().with_default(DEFAULT_LEVEL), Some(error)),
        None => (Targets::new().with_default(DEFAULT_LEVEL), None),
    };
    drop(
        tracing_subscriber::registry()
            .with(layer.with_filter(bounded(wanted)))
            .try_init(),
    );
    panic::set_hook(Box::new(log_panic));
    if let Some(error) = refused {
        tracing::warn!(
            error = %domain::chain(&error),
            "LOG_LEVEL cannot be parsed; events of the level info and above are logged"
        );
    }
}

/// Limits a filter to what may be logged.
fn bounded(wanted: Targets) -> impl Filter<Registry> {
    wanted.and(filter_fn(may_be_logged))
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    let package = event.target().split("::").next().unwrap_or_default();
    *event.level() <= DEPENDENCIES_MAX || OWN_CRATES.contains(&package)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let literal = panic.payload().downcast_ref::<&'static str>().copied();
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::error!(
        place,
        message = literal.unwrap_or("the message is not logged"),
        "panicked"
    );
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let layer = fmt::layer().json().with_writer(move || writer.clone());
        let subscriber =
            tracing_subscriber::registry().with(layer.with_filter(bounded(level.parse().unwrap())));
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_level_has_dependencies_log_more_than_warnings() {
        for level in [
            "trace",
            "aws_smithy_runtime=trace",
            "info,aws_smithy_runtime::client=trace,hyper=trace",
        ] {
            let text = logged(level, || {
                tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "planted");
                tracing::debug!(target: "hyper", "planted");
                tracing::info!(target: "workers_of_another_crate", "planted");
            });
            assert!(!text.contains("planted"), "{level}: {text}");
        }
        let text = logged("trace", || {
            tracing::warn!(target: "hyper", "a warning");
            tracing::trace!(target: "worker::attempt", "our own");
        });
        assert!(
            text.contains("a warning") && text.contains("our own"),
            "{text}"
        );
    }

    #[test]
    fn unwanted_lines_are_not_logged() {
        assert_eq!(
            logged("error", || tracing::warn!(target: "worker", "a warning")),
            ""
        );
    }
}

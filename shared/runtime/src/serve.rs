//! Runs one function on Lambda.

use std::process::ExitCode;

use axum::middleware::from_fn;
use lambda_runtime::{LambdaEvent, tower::Service};
use serde::{Serialize, de::DeserializeOwned};

use crate::observability;
use crate::observed::{Observed, observed};
use crate::{ConfigError, Environment, Platform, logs, platform};

/// The stack size of a thread. An attempt is a deeply nested future, which needs more than the
/// default of 2 MiB in debug builds.
const STACK_BYTES: usize = 8 << 20;

/// Runs a function that handles events until the process is stopped. Exits with 2 if it cannot be
/// configured.
pub fn events<S, In, Out>(
    build: impl FnOnce(&Platform, &Environment) -> Result<S, ConfigError>,
) -> ExitCode
where
    S: Service<LambdaEvent<In>, Response = Out>,
    S::Future: Future<Output = Result<Out, S::Error>>,
    S::Future: 'static,
    S::Error: Into<lambda_runtime::Error> + 'static,
    In: DeserializeOwned,
    Out: Serialize + 'static,
{
    start(build, async |service| {
        lambda_runtime::run(Observed(service)).await
    })
}

/// Runs a function that handles HTTP requests until the process is stopped. Exits with 2 if it
/// cannot be configured.
pub fn http(
    build: impl FnOnce(&Platform, &Environment) -> Result<axum::Router, ConfigError>,
) -> ExitCode {
    start(build, async |router| {
        lambda_http::run(router.layer(from_fn(observed))).await
    })
}

fn start<S>(
    build: impl FnOnce(&Platform, &Environment) -> Result<S, ConfigError>,
    run: impl AsyncFnOnce(S) -> Result<(), lambda_runtime::Error>,
) -> ExitCode {
    let environment = Environment::process();
    logs::install_json(&environment);
    platform::install_tls();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(
                error = %domain::chain(&error),
                "the async runtime could not be started"
            );
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let platform = Platform::lambda(&environment);
        let service = environment
            .get("AWS_LAMBDA_FUNCTION_NAME")
            .unwrap_or("waybill");
        let observed = observability::install_on_lambda(&environment, &platform.aws, service).await;
        let built = observed.and_then(|()| build(&platform, &environment));
        match built {
            Err(error) => {
                tracing::error!(error = %domain::chain(&error), "the function was not started");
                ExitCode::from(2)
            }
            Ok(service) => match run(service).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!(error, "the function stopped");
                    ExitCode::FAILURE
                }
            },
        }
    })
}

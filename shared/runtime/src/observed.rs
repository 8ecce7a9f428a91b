//! Telemetry of a process: installed once by its main, and sent before an invocation answers, because Lambda freezes it then.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use lambda_runtime::tower::Service;
use telemetry::{Settings, SettingsError};

use crate::{ConfigError, Environment, platform};

/// Installs the process's telemetry as the environment says. With `remembers`, the last spans stay in memory to be looked at.
pub fn install(environment: &Environment, service: &str, remembers: bool) -> Result<(), ConfigError> {
    let settings = Settings::read(service, |name| environment.get(name)).map_err(|error: SettingsError| ConfigError::because(error))?;
    telemetry::install(settings, remembers, platform::system_clock(), platform::system_random());
    Ok(())
}

/// A function that sends its telemetry before it answers.
#[derive(Clone, Debug)]
pub struct Observed<S>(pub S);

impl<S, In> Service<In> for Observed<S>
where
    S: Service<In>,
    S::Future: 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, event: In) -> Self::Future {
        let answer = self.0.call(event);
        Box::pin(async move {
            let answer = answer.await;
            telemetry::flush().await;
            answer
        })
    }
}

/// The same for HTTP.
pub(crate) async fn observed(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    telemetry::flush().await;
    response
}

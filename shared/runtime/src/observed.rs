//! Telemetry of a process. `main` installs it once, and it is sent before an invocation ends,
//! because Lambda then freezes the process.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_config::SdkConfig;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use lambda_runtime::tower::Service;
use telemetry::{Settings, SettingsError};

use crate::{ConfigError, Environment};

/// The variable with the ARN of the secret that holds the collector's headers.
const HEADERS_SECRET: &str = "OTLP_HEADERS_SECRET_ARN";

/// Installs the process's telemetry as the environment configures it. With `remembers`, the last
/// spans are kept in memory for inspection.
pub fn install(
    environment: &Environment,
    service: &str,
    remembers: bool,
) -> Result<(), ConfigError> {
    let settings = Settings::read(service, |name| environment.get(name))
        .map_err(|error: SettingsError| ConfigError::because(error))?;
    telemetry::install(&settings, remembers);
    Ok(())
}

/// Installs the telemetry of a function on Lambda, whose environment names the secret that holds
/// the collector's headers. If the headers cannot be read, no telemetry is sent and the function
/// runs normally.
pub(crate) async fn install_on_lambda(
    environment: &Environment,
    aws: &SdkConfig,
    service: &str,
) -> Result<(), ConfigError> {
    let settings = settings_on_lambda(environment, aws, service).await?;
    telemetry::install(&settings, false);
    Ok(())
}

async fn settings_on_lambda(
    environment: &Environment,
    aws: &SdkConfig,
    service: &str,
) -> Result<Settings, ConfigError> {
    let settings = Settings::read(service, |name| environment.get(name))
        .map_err(|error: SettingsError| ConfigError::because(error))?;
    let Some(arn) = environment
        .get(HEADERS_SECRET)
        .filter(|_| settings.has_collector())
    else {
        return Ok(settings);
    };
    match headers(aws, arn).await {
        Ok(text) => settings
            .with_headers(text.trim())
            .map_err(ConfigError::because),
        Err(error) => {
            tracing::error!(
                error,
                secret = arn,
                "failed to read the collector's headers; no traces are sent from this process"
            );
            Ok(Settings {
                traces_url: None,
                metrics_url: None,
                ..settings
            })
        }
    }
}

async fn headers(aws: &SdkConfig, arn: &str) -> Result<String, String> {
    let read = aws_sdk_secretsmanager::Client::new(aws)
        .get_secret_value()
        .secret_id(arn)
        .send();
    let answer = read
        .await
        .map_err(|error| domain::chain(&error).to_string())?;
    answer
        .secret_string
        .ok_or_else(|| "the secret has no text in it".to_owned())
}

/// A function that sends its telemetry before it returns. Its error contains the text of all
/// causes, because an invoker receives only a text.
#[derive(Clone, Debug)]
pub struct Observed<S>(pub S);

impl<S, In> Service<In> for Observed<S>
where
    S: Service<In>,
    S::Future: 'static,
    S::Response: 'static,
    S::Error: Into<lambda_runtime::Error> + 'static,
{
    type Response = S::Response;
    type Error = lambda_runtime::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, lambda_runtime::Error>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), lambda_runtime::Error>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, event: In) -> Self::Future {
        let answer = self.0.call(event);
        Box::pin(async move {
            let answer = answer.await;
            telemetry::flush().await;
            answer.map_err(|error| {
                let error: lambda_runtime::Error = error.into();
                domain::chain(&*error).to_string().into()
            })
        })
    }
}

/// The equivalent of [`Observed`] for HTTP.
pub(crate) async fn observed(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    telemetry::flush().await;
    response
}

#[cfg(test)]
mod tests {
    use local_aws::{Caller, Engines, Options, Resources, SecretSpec, SecretValue};

    use super::*;

    const SECRET: &str = "waybill-Collector";

    async fn settings(value: &str, arn: impl Fn(&str) -> String) -> Result<Settings, ConfigError> {
        let data = tempfile::tempdir().unwrap();
        let secret = SecretSpec {
            name: SECRET.into(),
            value: Some(SecretValue::Given(value.into())),
        };
        let resources = Resources {
            secrets: vec![secret],
            ..Resources::empty()
        };
        let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
        let arn = arn(engines.secret_arn(SECRET).unwrap());
        let variables = [
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://collector.example:4318",
            ),
            (HEADERS_SECRET, &arn),
        ];
        let environment: Environment = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        let read = settings_on_lambda(
            &environment,
            &engines.sdk_config(Caller::unlimited("test")),
            "api",
        )
        .await;
        engines.close().await;
        read
    }

    #[tokio::test]
    async fn the_collectors_headers_are_read_from_their_secret_at_start() {
        let settings = settings(
            "authorization=Bearer%20planted-token,x-team=one\n",
            str::to_owned,
        )
        .await
        .unwrap();
        assert_eq!(settings.headers["authorization"], "Bearer planted-token");
        assert_eq!(settings.headers["x-team"], "one");
        assert!(settings.has_collector() && !format!("{settings:?}").contains("planted-token"));
    }

    #[tokio::test]
    async fn a_collector_whose_headers_cannot_be_read_gets_nothing() {
        let settings = settings("a=b", |arn| arn.replace("Collector", "gone"))
            .await
            .unwrap();
        assert!(!settings.has_collector() && settings.headers.is_empty());
    }
}

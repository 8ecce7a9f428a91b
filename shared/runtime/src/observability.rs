//! Installs the telemetry of a process. Where it is sent is in OpenTelemetry's own variables and in
//! `WAYBILL_METRICS`.

use std::str::FromStr;

use aws_config::SdkConfig;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use telemetry::Settings;

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
    telemetry::install(&settings(environment, service)?, remembers);
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

/// Reads the variables. Without the address of a collector, nothing is sent to one.
fn settings(environment: &Environment, service: &str) -> Result<Settings, ConfigError> {
    let variables = environment.variables();
    let disabled = environment.get("OTEL_SDK_DISABLED").unwrap_or_default();
    let is_enabled = !disabled.eq_ignore_ascii_case("true");
    if is_enabled {
        variables.one_of("OTEL_EXPORTER_OTLP_PROTOCOL", &["http/protobuf"]);
    }
    let metrics = variables.one_of("WAYBILL_METRICS", &["otlp", "emf", "off"]);
    let url = |own: &str, path: &str| {
        let base = || environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
        let of_base = || Some(format!("{}{path}", base()?.trim_end_matches('/')));
        environment.get(own).map(str::to_owned).or_else(of_base)
    };
    let traces_url = url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces");
    let metrics_url = url("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "/v1/metrics");
    let headers: Headers = variables
        .optional("OTEL_EXPORTER_OTLP_HEADERS")
        .unwrap_or_default();
    let service = environment.get("OTEL_SERVICE_NAME").unwrap_or(service);
    variables.finish(Settings {
        service: service.to_owned(),
        traces_url: traces_url.filter(|_| is_enabled),
        metrics_url: metrics_url.filter(|_| is_enabled && metrics == "otlp"),
        emf: is_enabled && metrics == "emf",
        headers: headers.0,
    })
}

async fn settings_on_lambda(
    environment: &Environment,
    aws: &SdkConfig,
    service: &str,
) -> Result<Settings, ConfigError> {
    let mut settings = settings(environment, service)?;
    let secret = environment.get(HEADERS_SECRET);
    let Some(arn) = secret.filter(|_| settings.has_collector()) else {
        return Ok(settings);
    };
    match secret_text(aws, arn).await {
        Ok(text) => match text.trim().parse() {
            Ok(Headers(headers)) => settings.headers = headers,
            Err(error) => {
                return Err(ConfigError::because(format!(
                    "the secret of {HEADERS_SECRET} is wrong: {error}"
                )));
            }
        },
        Err(error) => {
            tracing::error!(
                error,
                secret = arn,
                "failed to read the collector's headers; no traces are sent from this process"
            );
            settings.traces_url = None;
            settings.metrics_url = None;
        }
    }
    Ok(settings)
}

async fn secret_text(aws: &SdkConfig, arn: &str) -> Result<String, String> {
    let client = aws_sdk_secretsmanager::Client::new(aws);
    let read = client.get_secret_value().secret_id(arn).send().await;
    let secret = read.map_err(|error| domain::chain(&error).to_string())?;
    secret
        .secret_string
        .ok_or_else(|| "the secret has no text in it".to_owned())
}

/// The headers that the collector requires, written as `name=value` pairs separated by commas. The
/// values are percent-encoded, as in OpenTelemetry's specification.
#[derive(Default)]
struct Headers(HeaderMap);

impl FromStr for Headers {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let header = |pair: &str| -> Option<(HeaderName, HeaderValue)> {
            let (name, value) = pair.split_once('=')?;
            let value: Vec<u8> = percent_decode_str(value.trim()).collect();
            let mut value = HeaderValue::from_bytes(&value).ok()?;
            value.set_sensitive(true);
            Some((name.trim().parse().ok()?, value))
        };
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        let headers: Option<HeaderMap> = pairs.map(header).collect();
        headers
            .map(Self)
            .ok_or("must be name=value pairs separated by commas")
    }
}

#[cfg(test)]
mod tests {
    use local_aws::{Caller, Engines, Options, Resources, SecretSpec, SecretValue};

    use super::*;

    const SECRET: &str = "waybill-Collector";
    const DISABLED: &str = "OTEL_SDK_DISABLED";
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    const METRICS: &str = "WAYBILL_METRICS";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter();
        variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn read_from(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        settings(&environment(variables), "api")
    }

    async fn with_secret(
        value: &str,
        arn: impl Fn(&str) -> String,
    ) -> Result<Settings, ConfigError> {
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
            (ENDPOINT, "http://collector.example:4318"),
            (HEADERS_SECRET, &arn),
        ];
        let read = settings_on_lambda(
            &environment(&variables),
            &engines.sdk_config(Caller::unlimited("test")),
            "api",
        )
        .await;
        engines.close().await;
        read
    }

    #[tokio::test]
    async fn the_collectors_headers_are_read_from_their_secret_at_start() {
        let settings = with_secret(
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
        let settings = with_secret("a=b", |arn| arn.replace("Collector", "gone"))
            .await
            .unwrap();
        assert!(!settings.has_collector() && settings.headers.is_empty());
    }

    #[test]
    fn nothing_is_sent_without_a_collector() {
        let settings = read_from(&[]).unwrap();
        assert!(!settings.has_collector() && !settings.emf);
    }

    #[test]
    fn nothing_is_sent_when_the_sdk_is_disabled() {
        for format in ["emf", "otlp"] {
            let variables = [
                (ENDPOINT, "http://c"),
                (DISABLED, "TRUE"),
                (METRICS, format),
            ];
            let settings = read_from(&variables).unwrap();
            assert!(!settings.has_collector() && !settings.emf, "{format}");
        }
    }

    #[test]
    fn the_standard_variables_are_understood() {
        let settings = read_from(&[
            (ENDPOINT, "http://c:4318/"),
            (HEADERS, "authorization=Basic%20abc, x-team = one"),
        ])
        .unwrap();
        assert_eq!(
            settings.traces_url.as_deref(),
            Some("http://c:4318/v1/traces")
        );
        assert_eq!(
            settings.metrics_url.as_deref(),
            Some("http://c:4318/v1/metrics")
        );
        assert_eq!(
            (
                &settings.headers["authorization"],
                &settings.headers["x-team"]
            ),
            (&"Basic abc".parse().unwrap(), &"one".parse().unwrap())
        );
        assert!(
            !format!("{settings:?}").contains("abc"),
            "credentials do not print"
        );
        let own = read_from(&[
            (ENDPOINT, "http://c"),
            (TRACES_ENDPOINT, "http://t/x"),
            (METRICS, "emf"),
        ])
        .unwrap();
        assert_eq!(
            (own.traces_url.as_deref(), own.metrics_url, own.emf),
            (Some("http://t/x"), None, true)
        );
    }

    #[test]
    fn an_unknown_value_is_refused_with_its_variable() {
        for (name, value) in [
            (PROTOCOL, "grpc"),
            (METRICS, "statsd"),
            (HEADERS, "novalue"),
        ] {
            let error = read_from(&[(name, value)]).unwrap_err().to_string();
            let expected = format!("the configuration cannot be used: {name} is wrong");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT as ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS as HEADERS,
    OTEL_EXPORTER_OTLP_PROTOCOL as PROTOCOL, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT as TRACES_ENDPOINT,
};

use crate::{Settings, SettingsError};

const DISABLED: &str = "OTEL_SDK_DISABLED";
const METRICS: &str = "WAYBILL_METRICS";

fn read(variables: &[(&str, &'static str)]) -> Result<Settings, SettingsError> {
    Settings::read("api", |name| {
        variables
            .iter()
            .find(|(given, _)| *given == name)
            .map(|(_, value)| *value)
    })
}

#[test]
fn nothing_is_sent_without_a_collector() {
    let settings = read(&[]).unwrap();
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
        let settings = read(&variables).unwrap();
        assert!(!settings.has_collector() && !settings.emf, "{format}");
    }
}

#[test]
fn the_standard_variables_are_understood() {
    let settings = read(&[
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
    let own = read(&[
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
        assert!(
            read(&[(name, value)])
                .unwrap_err()
                .to_string()
                .starts_with(name)
        );
    }
}

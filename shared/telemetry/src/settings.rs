//! Reads where telemetry is sent: OpenTelemetry's own variables, and `WAYBILL_METRICS`.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
};
use percent_encoding::percent_decode_str;

/// Where telemetry is sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the sender, `service.name`.
    pub service: String,
    /// The URL for traces, if they are sent.
    pub traces_url: Option<String>,
    /// The URL for metrics, if they are sent to a collector.
    pub metrics_url: Option<String>,
    /// Whether metrics are written in CloudWatch's embedded metric format.
    pub emf: bool,
    /// The headers that the collector requires, including its credentials.
    pub headers: HeaderMap,
}

/// A variable has an invalid value.
#[derive(Debug, thiserror::Error)]
#[error("{0} must be {1}")]
pub struct SettingsError(&'static str, &'static str);

impl Settings {
    /// Reads the variables. Without the address of a collector, nothing is sent to one.
    pub fn read<'e>(
        service: &str,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<Self, SettingsError> {
        let disabled = variable("OTEL_SDK_DISABLED").unwrap_or_default();
        let is_enabled = !disabled.eq_ignore_ascii_case("true");
        let protocol = variable(OTEL_EXPORTER_OTLP_PROTOCOL).unwrap_or("http/protobuf");
        if is_enabled && protocol != "http/protobuf" {
            let only = "http/protobuf, the only protocol that Waybill supports";
            return Err(SettingsError(OTEL_EXPORTER_OTLP_PROTOCOL, only));
        }
        let metrics = variable("WAYBILL_METRICS").unwrap_or("otlp");
        if !["emf", "otlp", "off"].contains(&metrics) {
            return Err(SettingsError("WAYBILL_METRICS", "emf, otlp or off"));
        }
        let url = |own: &str, path: &str| {
            let base = || Some(variable(OTEL_EXPORTER_OTLP_ENDPOINT)?.trim_end_matches('/'));
            let url = variable(own).map(str::to_owned);
            url.or_else(|| Some(format!("{}{path}", base()?)))
        };
        let traces_url = url(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, "/v1/traces");
        let metrics_url = url(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, "/v1/metrics");
        let settings = Self {
            service: variable("OTEL_SERVICE_NAME").unwrap_or(service).to_owned(),
            traces_url: traces_url.filter(|_| is_enabled),
            metrics_url: metrics_url.filter(|_| is_enabled && metrics == "otlp"),
            emf: is_enabled && metrics == "emf",
            headers: HeaderMap::new(),
        };
        settings.with_headers(variable(OTEL_EXPORTER_OTLP_HEADERS).unwrap_or_default())
    }

    /// Replaces the headers by those of `text`: `name=value` pairs separated by commas,
    /// percent-encoded.
    pub fn with_headers(self, text: &str) -> Result<Self, SettingsError> {
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        let expected = "name=value pairs separated by commas";
        let invalid = SettingsError(OTEL_EXPORTER_OTLP_HEADERS, expected);
        let headers = pairs.map(header).collect::<Option<_>>().ok_or(invalid)?;
        Ok(Self { headers, ..self })
    }

    /// Whether anything is sent to a collector.
    #[must_use]
    pub fn has_collector(&self) -> bool {
        self.traces_url.is_some() || self.metrics_url.is_some()
    }
}

/// Parses `name=value`, whose value is percent-encoded as in OpenTelemetry's specification.
fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let value: Vec<u8> = percent_decode_str(value.trim()).collect();
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

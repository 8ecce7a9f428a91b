//! Reads where telemetry is sent: OpenTelemetry's own variables, and `WAYBILL_METRICS`.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// The format in which metrics are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// No metrics are sent.
    Off,
    /// Lines of CloudWatch's embedded metric format on standard output, one for each set of
    /// attributes and flush.
    Emf,
    /// Requests to the collector.
    Otlp,
}

/// Where telemetry is sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the sender, `service.name`.
    pub service: String,
    /// The URL for traces, if they are sent.
    pub traces_url: Option<String>,
    /// The URL for metrics, if they are sent.
    pub metrics_url: Option<String>,
    /// The headers that the collector requires, including its credentials.
    pub headers: HeaderMap,
    /// The format in which metrics are sent.
    pub metrics: MetricsFormat,
}

/// A variable has an invalid value.
#[derive(Debug, thiserror::Error)]
#[error("{name} {problem}")]
pub struct SettingsError {
    name: &'static str,
    problem: &'static str,
}

pub(crate) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
pub(crate) const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
pub(crate) const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
pub(crate) const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
pub(crate) const DISABLED: &str = "OTEL_SDK_DISABLED";
pub(crate) const METRICS: &str = "WAYBILL_METRICS";

impl Settings {
    /// Reads the variables. Without the address of a collector, nothing is sent to one.
    pub fn read<'e>(
        service: &str,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<Self, SettingsError> {
        let disabled = variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let protocol_is_supported =
            variable(PROTOCOL).is_none_or(|protocol| protocol == "http/protobuf");
        if !protocol_is_supported && !disabled {
            return Err(SettingsError {
                name: PROTOCOL,
                problem: "must be http/protobuf, the only protocol that Waybill supports",
            });
        }
        let base = variable(ENDPOINT).map(|url| url.trim_end_matches('/'));
        let url = |own: &str, path: &str| {
            let url = variable(own)
                .map(str::to_owned)
                .or_else(|| base.map(|base| format!("{base}{path}")));
            url.filter(|_| !disabled)
        };
        let metrics = match variable(METRICS) {
            None => MetricsFormat::Otlp,
            Some("off") => MetricsFormat::Off,
            Some("emf") => MetricsFormat::Emf,
            Some("otlp") => MetricsFormat::Otlp,
            Some(_) => {
                return Err(SettingsError {
                    name: METRICS,
                    problem: "must be emf, otlp or off",
                });
            }
        };
        Ok(Self {
            service: variable("OTEL_SERVICE_NAME").unwrap_or(service).to_owned(),
            traces_url: url(TRACES_ENDPOINT, "/v1/traces"),
            metrics_url: url(METRICS_ENDPOINT, "/v1/metrics")
                .filter(|_| metrics == MetricsFormat::Otlp),
            headers: headers(variable(HEADERS).unwrap_or_default())?,
            metrics,
        })
    }
}

impl Settings {
    /// Replaces the headers by those of `text`: `name=value` pairs separated by commas,
    /// percent-encoded.
    pub fn with_headers(self, text: &str) -> Result<Self, SettingsError> {
        Ok(Self {
            headers: headers(text)?,
            ..self
        })
    }

    /// Whether anything is sent to a collector.
    #[must_use]
    pub fn has_collector(&self) -> bool {
        self.traces_url.is_some() || self.metrics_url.is_some()
    }

    /// Returns the collector's headers in the form that the exporters use.
    pub(crate) fn header_texts(&self) -> HashMap<String, String> {
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.to_string(), value.to_str().ok()?.to_owned()))
        };
        self.headers.iter().filter_map(text).collect()
    }
}

/// Parses `name=value,name=value`, with percent-encoded values as in OpenTelemetry's specification.
fn headers(text: &str) -> Result<HeaderMap, SettingsError> {
    let wrong = || SettingsError {
        name: HEADERS,
        problem: "must be name=value pairs separated by commas",
    };
    let mut headers = HeaderMap::new();
    for pair in text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value =
            HeaderValue::from_bytes(&percent_decode_str(value.trim()).collect::<Vec<u8>>())
                .map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

//! Where telemetry goes: OpenTelemetry's own variables, and `WAYBILL_METRICS`.

use http::{HeaderMap, HeaderName, HeaderValue};

/// In which form metrics leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// Not at all.
    Off,
    /// A line of CloudWatch's embedded metric format on standard output, for each set of attributes and flush.
    Emf,
    /// To the collector.
    Otlp,
}

/// Where telemetry goes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who speaks: `service.name`.
    pub service: String,
    /// Where traces are posted, if anywhere.
    pub traces_url: Option<String>,
    /// Where metrics are posted, if anywhere.
    pub metrics_url: Option<String>,
    /// What the collector asks for, its credentials among it.
    pub headers: HeaderMap,
    /// In which form metrics leave.
    pub metrics: MetricsFormat,
}

/// A variable is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{name} is wrong: {problem}")]
pub struct SettingsError {
    name: &'static str,
    problem: &'static str,
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const DISABLED: &str = "OTEL_SDK_DISABLED";
const METRICS: &str = "WAYBILL_METRICS";

impl Settings {
    /// Reads the variables; a collector that is not named gets nothing.
    pub fn read<'e>(service: &str, variable: impl Fn(&str) -> Option<&'e str>) -> Result<Self, SettingsError> {
        let disabled = variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let protocol_is_ours = variable(PROTOCOL).is_none_or(|protocol| protocol == "http/protobuf");
        if !protocol_is_ours && !disabled {
            return Err(SettingsError { name: PROTOCOL, problem: "only http/protobuf is spoken" });
        }
        let base = variable(ENDPOINT).map(|url| url.trim_end_matches('/'));
        let url = |own: &str, path: &str| {
            let url = variable(own).map(str::to_owned).or_else(|| base.map(|base| format!("{base}{path}")));
            url.filter(|_| !disabled)
        };
        let metrics = match variable(METRICS) {
            None => MetricsFormat::Otlp,
            Some("off") => MetricsFormat::Off,
            Some("emf") => MetricsFormat::Emf,
            Some("otlp") => MetricsFormat::Otlp,
            Some(_) => return Err(SettingsError { name: METRICS, problem: "must be emf, otlp or off" }),
        };
        Ok(Self {
            service: variable("OTEL_SERVICE_NAME").unwrap_or(service).to_owned(),
            traces_url: url(TRACES_ENDPOINT, "/v1/traces"),
            metrics_url: url(METRICS_ENDPOINT, "/v1/metrics").filter(|_| metrics == MetricsFormat::Otlp),
            headers: headers(variable(HEADERS).unwrap_or_default())?,
            metrics,
        })
    }
}

impl Settings {
    /// The same with what the collector asks for, from a text of its own: `name=value` pairs separated by commas, percent-encoded.
    pub fn with_headers(self, text: &str) -> Result<Self, SettingsError> {
        Ok(Self { headers: headers(text)?, ..self })
    }

    /// Whether anything is sent to a collector.
    #[must_use]
    pub fn has_collector(&self) -> bool {
        self.traces_url.is_some() || self.metrics_url.is_some()
    }
}

/// `name=value,name=value`, values percent-encoded as OpenTelemetry's specification says (after W3C Baggage).
fn headers(text: &str) -> Result<HeaderMap, SettingsError> {
    let wrong = || SettingsError { name: HEADERS, problem: "must be name=value pairs separated by commas" };
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_bytes(&decoded(value.trim())).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &'static str)]) -> Result<Settings, SettingsError> {
        Settings::read("api", |name| variables.iter().find(|(given, _)| *given == name).map(|(_, value)| *value))
    }

    #[test]
    fn nothing_goes_anywhere_until_a_collector_is_named() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.traces_url, settings.metrics_url), (None, None));
    }

    #[test]
    fn the_standard_variables_are_understood() {
        let settings = read(&[(ENDPOINT, "http://c:4318/"), (HEADERS, "authorization=Basic%20abc, x-team = one")]).unwrap();
        assert_eq!(settings.traces_url.as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(settings.metrics_url.as_deref(), Some("http://c:4318/v1/metrics"));
        assert_eq!(
            (&settings.headers["authorization"], &settings.headers["x-team"]),
            (&"Basic abc".parse().unwrap(), &"one".parse().unwrap())
        );
        assert!(!format!("{settings:?}").contains("abc"), "credentials do not print");
        let own = read(&[(ENDPOINT, "http://c"), (TRACES_ENDPOINT, "http://t/x"), (METRICS, "emf")]).unwrap();
        assert_eq!((own.traces_url.as_deref(), own.metrics_url), (Some("http://t/x"), None));
        assert!(read(&[(ENDPOINT, "http://c"), (DISABLED, "true")]).unwrap().traces_url.is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (name, value) in [(PROTOCOL, "grpc"), (METRICS, "statsd"), (HEADERS, "novalue")] {
            assert!(read(&[(name, value)]).unwrap_err().to_string().starts_with(name));
        }
    }
}

//! What has to be known to send telemetry. The `runtime` crate reads it from the environment.

use http::HeaderMap;

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

impl Settings {
    /// Whether anything is sent to a collector.
    #[must_use]
    pub fn has_collector(&self) -> bool {
        self.traces_url.is_some() || self.metrics_url.is_some()
    }
}

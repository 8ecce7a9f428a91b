//! The HTTP client with which the OTLP exporters send to the collector.

use std::time::Duration;

use bytes::Bytes;
use egress::{Client, Guard, Policy, Request, Schemes, Target, Tls};
use http::{HeaderMap, StatusCode};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{RetryPolicy, WithExportConfig, WithHttpConfig};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::Settings;
use crate::pipeline::BUDGET;

/// The time between two tries to reach a collector that is unavailable.
pub(crate) const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 30_000 });
/// How many bytes of an answer are read. An answer describes what the collector rejected.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Sends OTLP requests with Waybill's HTTP client.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    client: Client,
    headers: HeaderMap,
    /// The runtime of the client's connections. The SDK sends from threads of its own.
    runtime: Handle,
}

impl Collector {
    /// Creates a client for the collector of the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, HttpError> {
        // Loading the machine's root certificates dominates a cold start, and a collector without
        // TLS needs none.
        let mut tls = Tls::with_roots(rustls::RootCertStore::empty())?;
        for url in settings.traces_url.iter().chain(&settings.metrics_url) {
            if Target::parse(url, Schemes::with_plain_http(true))?.is_tls() {
                tls = Tls::native()?;
            }
        }
        // The operator chose the collector, so it may be in any network.
        let guard = Guard::new(Policy::parse("0.0.0.0/0,::/0")?);
        Ok(Self {
            client: Client::new(guard, tls),
            headers: settings.headers.clone(),
            runtime: Handle::try_current()?,
        })
    }

    /// Configures an exporter to send to `url`. While the collector is unavailable, the exporter
    /// keeps its request, pauses and sends it again.
    pub(crate) fn at<B: WithExportConfig + WithHttpConfig>(&self, url: &str, exporter: B) -> B {
        let policy = RetryPolicy::disabled().with_max_retries(usize::MAX);
        let policy = policy.with_initial_delay(PAUSE).with_max_delay(PAUSE);
        let exporter = exporter.with_endpoint(url).with_timeout(Duration::MAX);
        exporter
            .with_retry_policy(policy)
            .with_http_client(self.clone())
    }

    async fn send(self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let (mut head, body) = request.into_parts();
        head.headers.extend(self.headers);
        let request = Request {
            method: head.method,
            target: Target::parse(&head.uri.to_string(), Schemes::with_plain_http(true))?,
            headers: head.headers,
            body,
            deadline: Instant::now() + BUDGET,
        };
        let response = self.client.send(request).await?;
        let status = response.status;
        // OTLP's specification lets a sender repeat fewer statuses, but a collector that restarts
        // answers with others.
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Err(format!("the collector answered with {status}").into());
        }
        if !status.is_success() {
            tracing::warn!(%status, "the collector did not accept a request");
        }
        let body = response.read(ANSWER_BYTES_MAX).await.bytes;
        Ok(http::Response::builder().status(status).body(body)?)
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(self.clone().send(request)).await?;
        sent.inspect_err(|error| {
            tracing::warn!(error, "the collector is unavailable; trying again in 30 s");
        })
    }
}

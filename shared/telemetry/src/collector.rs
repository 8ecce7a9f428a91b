//! The HTTP client with which the OTLP exporters send to the collector.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use egress::{Client, Guard, Policy, Request, Schemes, Target, Tls};
use http::StatusCode;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use tokio::time::Instant;

use crate::Settings;

/// The time that one flush may take of its invocation.
const BUDGET: Duration = Duration::from_millis(300);
/// How long requests are paused after one failed, so that a failing collector delays few
/// invocations.
const PAUSE: Duration = Duration::from_secs(30);
/// How many bytes of an answer are read. An answer describes what the collector rejected.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Sends OTLP requests with Waybill's HTTP client, each once and within the budget of a flush.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    client: Client,
    paused_until: Arc<Mutex<Option<Instant>>>,
}

impl Collector {
    /// Creates a client for the collector of the settings. Returns `None` if they have none, or
    /// logs an error and returns `None` if its address or TLS configuration is invalid.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let mut is_tls = false;
        for url in settings.traces_url.iter().chain(&settings.metrics_url) {
            let target = Target::parse(url, Schemes::with_plain_http(true));
            is_tls |= target
                .inspect_err(|error| {
                    tracing::error!(%error, "the collector's address is invalid; \
                     nothing is sent to it")
                })
                .ok()?
                .is_tls();
        }
        if !settings.has_collector() {
            return None;
        }
        // Loading the machine's root certificates dominates a cold start, and a collector without
        // TLS needs none.
        let tls = if is_tls {
            Tls::native()
        } else {
            Tls::with_roots(rustls::RootCertStore::empty())
        };
        let tls = tls
            .inspect_err(|error| {
                tracing::error!(%error, "failed to set up TLS for the \
             collector; nothing is sent to it")
            })
            .ok()?;
        // The operator chose the collector, so it may be in any network.
        let policy = Policy::parse("0.0.0.0/0,::/0").ok()?;
        Some(Self {
            client: Client::new(Guard::new(policy), tls),
            paused_until: Arc::default(),
        })
    }

    /// Configures an OTLP exporter to send to `url` with this client.
    pub(crate) fn configure<B: WithExportConfig + WithHttpConfig>(
        &self,
        builder: B,
        url: &str,
        settings: &Settings,
    ) -> B {
        let builder = builder
            .with_http_client(self.clone())
            .with_endpoint(url)
            .with_protocol(Protocol::HttpBinary);
        builder
            .with_headers(settings.header_texts())
            .with_retry_policy(RetryPolicy::disabled())
    }

    /// Whether requests are sent, because no pause is in effect.
    pub(crate) fn is_available(&self) -> bool {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none_or(|until| until <= Instant::now())
    }

    /// Ends a pause early.
    #[cfg(test)]
    pub(crate) fn resume(&self) {
        *self
            .paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn pause(&self) {
        *self
            .paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let target = Target::parse(&head.uri.to_string(), Schemes::with_plain_http(true))?;
        let deadline = Instant::now() + BUDGET;
        let sent = self
            .client
            .send(Request {
                method: head.method,
                target,
                headers: head.headers,
                body,
                deadline,
            })
            .await;
        let response = sent.inspect_err(|failure| {
            tracing::warn!(
                error = failure.detail(),
                "failed to reach the collector; pausing exports for 30 s"
            );
            self.pause();
        })?;
        let status = response.status;
        if may_be_accepted_later(status) {
            tracing::warn!(
                status = status.as_u16(),
                "the collector is unavailable; pausing exports for 30 s"
            );
            self.pause();
        } else if !status.is_success() {
            tracing::warn!(
                status = status.as_u16(),
                "the collector rejected a request, which is not sent again"
            );
        }
        let body = response.read(ANSWER_BYTES_MAX).await.bytes;
        Ok(http::Response::builder().status(status).body(body)?)
    }
}

/// Whether a later request may be accepted: the statuses that OTLP's specification calls retryable,
/// and server errors, which a restarting collector sends.
fn may_be_accepted_later(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
}

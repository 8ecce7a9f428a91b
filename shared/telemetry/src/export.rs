//! Posting to a collector, within a budget that no invocation notices twice.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use egress::{Client, Guard, Policy, Request, Schemes, Target, Tls};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::Settings;

/// What one flush may cost its invocation (design.md §8).
const BUDGET: Duration = Duration::from_millis(300);
/// How long a collector that failed is left alone, so that it costs one invocation and not every one.
const LEFT_ALONE: Duration = Duration::from_secs(30);
/// Of a collector's answer, only its status is of interest.
const ANSWER_BYTES_MAX: usize = 1_024;

/// Posts to the collector.
pub(crate) struct Exporter {
    client: Client,
    traces: Option<Target>,
    metrics: Option<Target>,
    headers: HeaderMap,
    closed_until: Mutex<Option<Instant>>,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It was taken, or will never be.
    Done,
    /// It may be taken later.
    NotYet,
}

/// What became of both.
pub(crate) struct Outcome {
    pub(crate) traces: Sent,
    pub(crate) metrics: Sent,
}

impl Exporter {
    /// To the collector that the settings name.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let target = |url: &Option<String>| {
            let target = Target::parse(url.as_deref()?, Schemes::with_plain_http(true));
            target.inspect_err(|error| tracing::error!(%error, "the collector's address cannot be used")).ok()
        };
        let (traces, metrics) = (target(&settings.traces_url), target(&settings.metrics_url));
        let is_tls = traces.iter().chain(&metrics).any(Target::is_tls);
        if traces.is_none() && metrics.is_none() {
            return None;
        }
        // Loading the machine's roots is most of a cold start: a collector next to us needs none.
        let tls = if is_tls { Tls::native() } else { Tls::with_roots(rustls::RootCertStore::empty()) };
        let tls = tls.inspect_err(|error| tracing::error!(%error, "the collector cannot be reached")).ok()?;
        // The operator named the collector: it may stand in any network.
        let policy = Policy::parse("0.0.0.0/0,::/0").ok()?;
        let mut headers = settings.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Some(Self { client: Client::new(Guard::new(policy), tls), traces, metrics, headers, closed_until: Mutex::default() })
    }

    /// Is the collector to be tried?
    pub(crate) fn is_open(&self) -> bool {
        self.closed_until.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|until| until <= Instant::now())
    }

    /// Posts both at once, each at most once.
    pub(crate) async fn send(&self, traces: Option<Bytes>, metrics: Option<Bytes>) -> Outcome {
        let deadline = Instant::now() + BUDGET;
        let (traces, metrics) = tokio::join!(self.post(&self.traces, traces, deadline), self.post(&self.metrics, metrics, deadline));
        if [traces, metrics].contains(&Sent::NotYet) {
            *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + LEFT_ALONE);
        }
        Outcome { traces, metrics }
    }

    async fn post(&self, target: &Option<Target>, body: Option<Bytes>, deadline: Instant) -> Sent {
        let (Some(target), Some(body)) = (target.clone(), body) else { return Sent::Done };
        let request = Request { method: Method::POST, target, headers: self.headers.clone(), body, deadline };
        let answer = async {
            let response = self.client.send(request).await?;
            let status = response.status;
            response.read(ANSWER_BYTES_MAX).await;
            Ok::<StatusCode, egress::Failure>(status)
        };
        match timeout_at(deadline, answer).await {
            Ok(Ok(status)) if status.is_success() => Sent::Done,
            Ok(Ok(status)) if may_be_taken_later(status) => {
                tracing::warn!(status = status.as_u16(), "the collector takes nothing at the moment; it is left alone for a while");
                Sent::NotYet
            }
            Ok(Ok(status)) => {
                tracing::warn!(status = status.as_u16(), "the collector refused what it was sent");
                Sent::Done
            }
            Ok(Err(error)) => {
                tracing::warn!(error = error.detail(), "the collector was not reached; it is left alone for a while");
                Sent::NotYet
            }
            Err(_) => {
                tracing::warn!("the collector did not answer in time; it is left alone for a while");
                Sent::NotYet
            }
        }
    }
}

/// OTLP's specification, "Failures": 429, 502, 503, 504; a 500 is ours to forgive too.
fn may_be_taken_later(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

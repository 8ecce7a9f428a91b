//! Sets up the OpenTelemetry SDK, and flushes it at the end of an invocation.

use std::cell::Cell;
use std::sync::OnceLock;

use domain::trace::TraceId;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, trace};
use opentelemetry_aws::detector::LambdaResourceDetector;
use opentelemetry_aws::trace::XrayIdGenerator;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::{
    IdGenerator, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter as _,
};

use crate::collector::Collector;
use crate::finished::Finished;
use crate::instruments::Instruments;
use crate::names::Metric;
use crate::{MetricsFormat, Settings};

/// The largest number of spans that wait to be sent. If there are more, the oldest are dropped.
const WAITING_MAX: usize = 4_096;
/// The largest number of spans in one request to the collector.
const BATCH_MAX: usize = 1_024;
/// The largest number of spans that stay in memory for the console.
const RECENT_MAX: usize = 20_000;

static PIPELINE: OnceLock<Pipeline> = OnceLock::new();

/// Installs the process's telemetry. Later calls do nothing. With `remembers`, recent spans stay in
/// memory for [`recent`].
pub fn install(settings: &Settings, remembers: bool) {
    let wants_metrics = settings.metrics == MetricsFormat::Emf || settings.metrics_url.is_some();
    if wants_metrics || settings.traces_url.is_some() || remembers {
        drop(PIPELINE.set(Pipeline::new(settings, remembers)));
    }
}

/// Sends what ended since the last flush, within 300 ms. After a failure, sending is paused for 30
/// s, and what ended in the meantime is sent later.
pub async fn flush() {
    if let Some(pipeline) = installed() {
        pipeline.flush().await;
    }
}

/// Returns the spans of a trace that are still in memory, in the order in which they ended.
#[must_use]
pub fn recent(trace: TraceId) -> Vec<SpanData> {
    installed()
        .map(|pipeline| pipeline.recent(trace))
        .unwrap_or_default()
}

pub(crate) fn installed() -> Option<&'static Pipeline> {
    PIPELINE.get()
}

/// Adds a value of a metric. `values` are the values of its attributes in their order.
pub(crate) fn record(metric: Metric, values: &[&'static str], value: f64) {
    if let Some(pipeline) = installed() {
        pipeline.record(metric, values, value);
    }
}

/// Runs `start`. A trace that begins in it gets this id, which the request received before its
/// first span.
pub(crate) fn with_new_trace_id<T>(trace: TraceId, start: impl FnOnce() -> T) -> T {
    NEW_TRACE.set(Some(trace::TraceId::from_bytes(trace.to_bytes())));
    let started = start();
    NEW_TRACE.set(None);
    started
}

thread_local! {
    static NEW_TRACE: Cell<Option<trace::TraceId>> = const { Cell::new(None) };
}

/// Generates X-Ray's ids, except for a trace whose id is already known.
#[derive(Debug, Default)]
struct Ids(XrayIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> trace::TraceId {
        NEW_TRACE.get().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> trace::SpanId {
        self.0.new_span_id()
    }
}

/// The telemetry of a process.
pub(crate) struct Pipeline {
    pub(crate) tracer: SdkTracer,
    recent: Option<Finished>,
    pub(crate) traces: Option<(SpanExporter, Finished)>,
    metrics: Option<Instruments>,
    pub(crate) collector: Option<Collector>,
    /// Metrics that were collected but not sent. Locked during a flush.
    pub(crate) unsent: tokio::sync::Mutex<Option<ResourceMetrics>>,
}

impl Pipeline {
    pub(crate) fn new(settings: &Settings, remembers: bool) -> Self {
        let resource = Resource::builder()
            .with_detector(Box::new(LambdaResourceDetector))
            .with_service_name(settings.service.clone())
            .with_attribute(KeyValue::new("service.namespace", "waybill"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let collector = Collector::of(settings);
        let traces = collector
            .as_ref()
            .and_then(|collector| span_exporter(settings, collector, &resource));
        let traces = traces.map(|exporter| (exporter, Finished::at_most(WAITING_MAX)));
        let recent = remembers.then(|| Finished::at_most(RECENT_MAX));
        let metrics = Instruments::new(settings, collector.as_ref(), resource.clone());
        let mut provider = SdkTracerProvider::builder()
            .with_id_generator(Ids::default())
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource);
        for kept in traces.iter().map(|(_, waiting)| waiting).chain(&recent) {
            provider = provider.with_span_processor(kept.clone());
        }
        let tracer = provider.build().tracer("waybill");
        Self {
            tracer,
            recent,
            traces,
            metrics,
            collector,
            unsent: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn recent(&self, trace: TraceId) -> Vec<SpanData> {
        let trace = trace::TraceId::from_bytes(trace.to_bytes());
        let spans = self.recent.as_ref().map(Finished::spans);
        spans
            .iter()
            .flat_map(|spans| spans.iter())
            .filter(|span| span.span_context.trace_id() == trace)
            .cloned()
            .collect()
    }

    pub(crate) fn record(&self, metric: Metric, values: &[&'static str], value: f64) {
        if let Some(metrics) = &self.metrics {
            metrics.record(metric, values, value);
        }
    }

    pub(crate) async fn flush(&self) {
        // A second flush at the same time has nothing to send.
        let Ok(mut unsent) = self.unsent.try_lock() else {
            return;
        };
        tokio::join!(self.send_spans(), self.send_metrics(&mut unsent));
    }

    async fn send_spans(&self) {
        let Some((exporter, waiting)) = self.traces.as_ref().filter(|_| !self.is_paused()) else {
            return;
        };
        let batch = waiting.take(BATCH_MAX);
        if !batch.is_empty() && exporter.export(batch.clone()).await.is_err() && self.is_paused() {
            waiting.put_back(batch);
        }
    }

    async fn send_metrics(&self, unsent: &mut Option<ResourceMetrics>) {
        let is_open = |metrics: &&Instruments| !metrics.needs_collector() || !self.is_paused();
        let Some(metrics) = self.metrics.as_ref().filter(is_open) else {
            return;
        };
        for earlier in [unsent.take(), None] {
            let is_earlier = earlier.is_some();
            let Some(batch) = earlier.or_else(|| metrics.collect()) else {
                return;
            };
            if metrics.export(&batch).await.is_err() && self.is_paused() {
                *unsent = Some(batch);
                return;
            }
            if !is_earlier {
                return;
            }
        }
    }

    /// Whether the collector failed recently. What it did not accept is kept and sent later.
    fn is_paused(&self) -> bool {
        self.collector
            .as_ref()
            .is_some_and(|collector| !collector.is_available())
    }
}

fn span_exporter(
    settings: &Settings,
    collector: &Collector,
    resource: &Resource,
) -> Option<SpanExporter> {
    let builder = SpanExporter::builder().with_http();
    let exporter = collector
        .configure(builder, settings.traces_url.as_ref()?, settings)
        .build();
    let mut exporter = exporter
        .inspect_err(|error| {
            tracing::error!(%error, "failed to create the trace \
             exporter; no traces are sent")
        })
        .ok()?;
    exporter.set_resource(resource);
    Some(exporter)
}

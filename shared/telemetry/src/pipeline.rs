//! Sets up the OpenTelemetry SDK, and flushes it at the end of an invocation.

use std::collections::VecDeque;
use std::sync::{self, Arc, OnceLock, PoisonError};
use std::time::Duration;

use domain::trace::TraceId;
use futures_util::future::join_all;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{self, TraceContextExt as _, TracerProvider as _};
use opentelemetry_aws::detector::LambdaResourceDetector;
use opentelemetry_aws::trace::XrayIdGenerator;
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{
    self as sdk, BatchConfigBuilder, BatchSpanProcessor, IdGenerator, Sampler, SdkTracer,
    SdkTracerProvider, SpanData,
};
use tokio::sync::Mutex;

use crate::collector::{Collector, PAUSE};
use crate::emf::EmfExporter;
use crate::metrics::{Instruments, histograms};
use crate::{Settings, TraceContext};

/// The time that one flush may take of its invocation.
pub(crate) const BUDGET: Duration = Duration::from_millis(300);
/// The largest number of spans that wait to be sent. If there are more, the newest are dropped.
const WAITING_MAX: usize = 4_096;
/// The largest number of spans that stay in memory for the console.
pub(crate) const RECENT_MAX: usize = 20_000;

/// The telemetry of the process, if it is installed.
pub(crate) static PIPELINE: OnceLock<Pipeline> = OnceLock::new();

/// Installs the process's telemetry. Later calls do nothing. With `remembers`, recent spans stay in
/// memory for [`recent`]. A collector needs a Tokio runtime.
pub fn install(settings: &Settings, remembers: bool) {
    if remembers || settings.has_collector() || settings.emf {
        match Pipeline::new(settings, remembers) {
            Ok(pipeline) => drop(PIPELINE.set(pipeline)),
            Err(error) => tracing::error!(error, "failed to set up telemetry; none is sent"),
        }
    }
}

/// Sends what ended since the last flush, within 300 ms. While a collector is unavailable, sending
/// is tried every 30 s.
pub async fn flush() {
    if let Some(pipeline) = PIPELINE.get() {
        pipeline.flush().await;
    }
}

/// Returns the spans of a trace that are still in memory, in the order in which they ended.
#[must_use]
pub fn recent(trace: TraceId) -> Vec<SpanData> {
    let pipeline = PIPELINE.get();
    pipeline.map_or_else(Vec::new, |pipeline| pipeline.recent.of(trace))
}

/// The telemetry of a process.
pub(crate) struct Pipeline {
    pub(crate) tracer: SdkTracer,
    pub(crate) instruments: Instruments,
    pub(crate) recent: Recent,
    pub(crate) flushers: Vec<Flusher>,
}

impl Pipeline {
    pub(crate) fn new(settings: &Settings, remembers: bool) -> Result<Self, HttpError> {
        let resource = Resource::builder()
            .with_detector(Box::new(LambdaResourceDetector))
            .with_service_name(settings.service.clone())
            .with_attribute(KeyValue::new("service.namespace", "waybill"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let collector = settings.has_collector().then(|| Collector::new(settings));
        let collector = collector.transpose()?;
        let (recent, mut flushers) = (Recent::default(), Vec::new());
        let mut tracers = SdkTracerProvider::builder()
            .with_id_generator(Ids::default())
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource.clone());
        if let (Some(url), Some(collector)) = (&settings.traces_url, &collector) {
            let exporter = collector.at(url, SpanExporter::builder().with_http());
            let config = BatchConfigBuilder::default().with_max_queue_size(WAITING_MAX);
            let batches = BatchSpanProcessor::new(exporter.build()?, config.build());
            tracers = tracers.with_span_processor(batches);
        }
        if remembers {
            tracers = tracers.with_simple_exporter(recent.clone());
        }
        let tracers = tracers.build();
        let tracer = tracers.tracer("waybill");
        if settings.traces_url.is_some() {
            flushers.push(Flusher::of(move || tracers.force_flush()));
        }
        let mut meters = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_view(histograms(settings.emf));
        if let (Some(url), Some(collector)) = (&settings.metrics_url, &collector) {
            let exporter = MetricExporter::builder().with_temporality(Temporality::Delta);
            let exporter = collector.at(url, exporter.with_http()).build()?;
            meters = meters.with_periodic_exporter(exporter);
        }
        if settings.emf {
            meters = meters.with_periodic_exporter(EmfExporter(settings.service.clone()));
        }
        let meters = meters.build();
        let instruments = Instruments::new(&meters.meter("waybill"));
        flushers.push(Flusher::of(move || meters.force_flush()));
        Ok(Self {
            tracer,
            instruments,
            recent,
            flushers,
        })
    }

    pub(crate) async fn flush(&self) {
        let flushes = join_all(self.flushers.iter().map(Flusher::flush));
        drop(tokio::time::timeout(BUDGET, flushes).await);
    }
}

/// Flushes a provider until it succeeds. It is locked while a flush is in progress.
pub(crate) struct Flusher(pub(crate) Arc<Mutex<Box<dyn Fn() -> OTelSdkResult + Send>>>);

impl Flusher {
    fn of(flush: impl Fn() -> OTelSdkResult + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(flush))))
    }

    /// Waits for a flush, or returns at once if an earlier one has not ended. Each has a thread,
    /// because the SDK's own flush blocks as long as the collector is unavailable.
    async fn flush(&self) {
        if let Ok(flush) = Arc::clone(&self.0).try_lock_owned() {
            let thread = std::thread::Builder::new().spawn(move || {
                while flush().is_err() {
                    std::thread::sleep(PAUSE);
                }
            });
            drop((thread, self.0.lock().await));
        }
    }
}

/// Generates X-Ray's ids, except for a trace that has an id but no span yet.
#[derive(Debug, Default)]
struct Ids(XrayIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> trace::TraceId {
        match TraceContext::map_current(|context| context.span().span_context().trace_id()) {
            trace::TraceId::INVALID => self.0.new_trace_id(),
            current => current,
        }
    }

    fn new_span_id(&self) -> trace::SpanId {
        self.0.new_span_id()
    }
}

/// Keeps the spans that ended last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Arc<sync::Mutex<VecDeque<SpanData>>>);

impl Recent {
    pub(crate) fn of(&self, trace: TraceId) -> Vec<SpanData> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |span: &&SpanData| span.span_context.trace_id().to_bytes() == trace.to_bytes();
        spans.iter().filter(is_of).cloned().collect()
    }
}

impl sdk::SpanExporter for Recent {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.extend(batch);
        let excess = spans.len().saturating_sub(RECENT_MAX);
        spans.drain(..excess);
        Ok(())
    }
}

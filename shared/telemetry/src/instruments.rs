//! The SDK's instruments for the metrics of [`names`](crate::names), with their reader and
//! exporter.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider as _};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality,
};

use crate::collector::Collector;
use crate::emf::{self, EmfExporter};
use crate::names::{METRICS, Metric, Shape};
use crate::{MetricsFormat, Settings};

/// The upper bounds of a histogram's buckets in milliseconds, from a fast receiver to a day of
/// retries.
const BOUNDS_MS: [f64; 18] = [
    5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 6e5,
    3.6e6, 8.64e7,
];

/// The instruments of a process.
pub(crate) struct Instruments {
    instruments: HashMap<&'static str, Instrument>,
    reader: Reader,
    exporter: Exporter,
    /// The SDK stops its instruments when this is dropped.
    _provider: SdkMeterProvider,
}

enum Instrument {
    Counter(Counter<f64>),
    Histogram(Histogram<f64>),
    Gauge(Gauge<f64>),
}

pub(crate) enum Exporter {
    Otlp(Box<MetricExporter>),
    Emf(EmfExporter),
}

impl Instruments {
    /// Creates the instruments for these settings, or returns `None` if they send no metrics.
    pub(crate) fn new(
        settings: &Settings,
        collector: Option<&Collector>,
        resource: Resource,
    ) -> Option<Self> {
        let exporter = match settings.metrics {
            MetricsFormat::Off => return None,
            MetricsFormat::Emf => Exporter::Emf(EmfExporter::new(
                settings.service.clone(),
                Box::new(std::io::stdout()),
            )),
            MetricsFormat::Otlp => Exporter::Otlp(Box::new(metric_exporter(settings, collector?)?)),
        };
        Some(Self::with_exporter(exporter, resource))
    }

    pub(crate) fn with_exporter(exporter: Exporter, resource: Resource) -> Self {
        let reader = Reader(Arc::new(
            ManualReader::builder()
                .with_temporality(Temporality::Delta)
                .build(),
        ));
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone());
        if matches!(exporter, Exporter::Emf(_)) {
            provider = provider.with_view(emf::view);
        }
        let provider = provider.build();
        let meter = provider.meter("waybill");
        let instruments = METRICS
            .map(|metric| (metric.name, Instrument::new(metric, &meter)))
            .into();
        Self {
            instruments,
            reader,
            exporter,
            _provider: provider,
        }
    }

    /// Adds a value of a metric. `values` are the values of its attributes in their order.
    pub(crate) fn record(&self, metric: Metric, values: &[&'static str], value: f64) {
        debug_assert_eq!(
            values.len(),
            metric.attributes.len(),
            "{} has the attributes {:?}",
            metric.name,
            metric.attributes
        );
        let attributes = metric
            .attributes
            .iter()
            .zip(values)
            .map(|(name, value)| KeyValue::new(*name, *value));
        let attributes: Vec<KeyValue> = attributes.collect();
        match self.instruments.get(metric.name) {
            Some(Instrument::Counter(counter)) => counter.add(value, &attributes),
            Some(Instrument::Histogram(histogram)) => histogram.record(value, &attributes),
            Some(Instrument::Gauge(gauge)) => gauge.record(value, &attributes),
            None => {}
        }
    }

    /// Returns what was recorded since the last call, or `None` if nothing was.
    pub(crate) fn collect(&self) -> Option<ResourceMetrics> {
        let mut metrics = ResourceMetrics::default();
        let collected = self.reader.collect(&mut metrics);
        collected
            .inspect_err(|error| tracing::warn!(%error, "failed to collect metrics"))
            .ok()?;
        let is_empty = metrics.scope_metrics().next().is_none();
        (!is_empty).then_some(metrics)
    }

    /// Whether the metrics are sent to the collector.
    pub(crate) fn needs_collector(&self) -> bool {
        matches!(self.exporter, Exporter::Otlp(_))
    }

    pub(crate) async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        match &self.exporter {
            Exporter::Otlp(exporter) => exporter.export(metrics).await,
            Exporter::Emf(exporter) => exporter.export(metrics).await,
        }
    }
}

impl Instrument {
    fn new(metric: Metric, meter: &Meter) -> Self {
        match metric.shape {
            Shape::Counter => Self::Counter(
                meter
                    .f64_counter(metric.name)
                    .with_unit(metric.unit)
                    .build(),
            ),
            Shape::Gauge => {
                Self::Gauge(meter.f64_gauge(metric.name).with_unit(metric.unit).build())
            }
            Shape::Histogram => {
                let histogram = meter.f64_histogram(metric.name).with_unit(metric.unit);
                Self::Histogram(histogram.with_boundaries(BOUNDS_MS.to_vec()).build())
            }
        }
    }
}

fn metric_exporter(settings: &Settings, collector: &Collector) -> Option<MetricExporter> {
    let builder = MetricExporter::builder()
        .with_http()
        .with_temporality(Temporality::Delta);
    let exporter = collector
        .configure(builder, settings.metrics_url.as_ref()?, settings)
        .build();
    exporter
        .inspect_err(|error| {
            tracing::error!(%error, "failed to create the metric exporter; \
         no metrics are sent")
        })
        .ok()
}

/// The SDK's reader that collects on request. A periodic reader has a thread, which Lambda would
/// freeze.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

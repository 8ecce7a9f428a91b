//! Writes metrics as lines of CloudWatch's embedded metric format, which Lambda's log agent reads.
//! It needs no collector, no calls, and only the permission to write logs.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, ExponentialHistogramDataPoint, Metric, MetricData, ResourceMetrics,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream, Temporality};
use serde_json::{Map, Value, json};

/// The namespace that the alarms and the dashboard read.
const NAMESPACE: &str = "Waybill";
/// The largest number of values in one line.
const VALUES_MAX: usize = 100;
/// The largest number of values of a histogram that are written for one flush.
const HISTOGRAM_VALUES_MAX: usize = 1_000;
/// Enough buckets for values between a millisecond and a day with an error of half a percent.
const BUCKETS_MAX: u32 = 4_096;

/// Writes metrics as lines in CloudWatch's embedded metric format.
pub(crate) struct EmfExporter {
    service: String,
    out: Mutex<Box<dyn Write + Send>>,
}

/// Aggregates histograms in exponential buckets, so that CloudWatch receives values and can compute
/// percentiles.
pub(crate) fn view(instrument: &Instrument) -> Option<Stream> {
    let exponential = Aggregation::Base2ExponentialHistogram {
        max_size: BUCKETS_MAX,
        max_scale: 20,
        record_min_max: true,
    };
    let is_histogram = instrument.kind() == InstrumentKind::Histogram;
    is_histogram
        .then(|| Stream::builder().with_aggregation(exponential).build().ok())
        .flatten()
}

impl EmfExporter {
    pub(crate) fn new(service: String, out: Box<dyn Write + Send>) -> Self {
        Self {
            service,
            out: Mutex::new(out),
        }
    }

    /// Creates one line for each set of attributes. Each value is counted with its attributes and
    /// without them, so that an alarm can watch the total.
    fn lines(&self, metric: &Metric, lines: &mut Vec<String>) {
        let AggregatedMetrics::F64(data) = metric.data() else {
            return;
        };
        let is_seconds = metric.unit() == "s";
        let mut line = |unit, at, attributes: &mut dyn Iterator<Item = &KeyValue>, value: Value| {
            lines.push(self.line(metric.name(), unit, at, attributes, value));
        };
        match data {
            MetricData::Sum(sum) => sum.data_points().for_each(|point| {
                line(
                    "Count",
                    sum.time(),
                    &mut point.attributes(),
                    json!(point.value()),
                );
            }),
            MetricData::Gauge(gauge) => gauge.data_points().for_each(|point| {
                let unit = if is_seconds { "Seconds" } else { "Count" };
                line(
                    unit,
                    gauge.time(),
                    &mut point.attributes(),
                    json!(point.value()),
                );
            }),
            MetricData::ExponentialHistogram(histogram) => {
                histogram.data_points().for_each(|point| {
                    for values in values(point).chunks(VALUES_MAX) {
                        line(
                            "Milliseconds",
                            histogram.time(),
                            &mut point.attributes(),
                            json!(values),
                        );
                    }
                })
            }
            MetricData::Histogram(_) => {}
        }
    }

    fn line(
        &self,
        name: &str,
        unit: &str,
        at: SystemTime,
        attributes: &mut dyn Iterator<Item = &KeyValue>,
        value: Value,
    ) -> String {
        let mut attributes: Vec<(String, Value)> = attributes
            .map(|pair| (pair.key.to_string(), json!(pair.value.as_str())))
            .collect();
        attributes.sort_by(|one, other| one.0.cmp(&other.0));
        let dimensions: Vec<&String> = attributes.iter().map(|(name, _)| name).collect();
        let declared = json!({
            "Timestamp": u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE, "Dimensions": [dimensions, []],
                "Metrics": [{"Name": name, "Unit": unit}],
            }],
        });
        let mut line = Map::from_iter([
            ("_aws".to_owned(), declared),
            ("service".to_owned(), json!(self.service)),
        ]);
        line.extend(attributes);
        line.insert(name.to_owned(), value);
        Value::Object(line).to_string()
    }
}

/// Returns the values of a histogram, each at the middle of its bucket and rounded to a
/// microsecond. The bucket of a single value is so narrow that the value does not change.
fn values(point: &ExponentialHistogramDataPoint<f64>) -> Vec<f64> {
    let bucket = point.positive_bucket();
    let width = f64::from(-point.scale()).exp2();
    let (min, max) = (point.min().unwrap_or(0.0), point.max().unwrap_or(f64::MAX));
    let zeros = (0..point.zero_count()).map(|_| 0.0);
    let others = (bucket.offset()..)
        .zip(bucket.counts())
        .flat_map(|(index, count)| {
            let middle = ((f64::from(index) + 0.5) * width).exp2().clamp(min, max);
            (0..count).map(move |_| (middle * 1e3).round() / 1e3)
        });
    zeros.chain(others).take(HISTOGRAM_VALUES_MAX).collect()
}

impl PushMetricExporter for EmfExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut lines = Vec::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            self.lines(metric, &mut lines);
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let written = lines
            .iter()
            .try_for_each(|line| writeln!(out, "{line}"))
            .and_then(|()| out.flush());
        written.map_err(|error| {
            tracing::warn!(%error, "failed to write metrics");
            OTelSdkError::InternalFailure(error.to_string())
        })
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Delta
    }
}

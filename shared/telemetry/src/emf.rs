//! Writes metrics as lines of CloudWatch's embedded metric format, which Lambda's log agent reads.
//! It needs no collector, no calls, and only the permission to write logs.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics::F64, ExponentialHistogramDataPoint, MetricData, ResourceMetrics,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use serde_json::{Value, json};

/// The largest number of values in one line.
const VALUES_MAX: usize = 100;

/// Writes metrics to standard output, with the name of the service.
pub(crate) struct EmfExporter(pub(crate) String);

impl EmfExporter {
    /// Creates a line for each set of attributes. Each value is counted with its attributes and
    /// without them, so that an alarm can watch the total.
    pub(crate) fn lines(&self, metrics: &ResourceMetrics) -> String {
        let now = opentelemetry::time::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_millis();
        let mut lines = String::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let unit = match metric.unit() {
                "ms" => "Milliseconds",
                "s" => "Seconds",
                _ => "Count",
            };
            let mut line = |attributes: &mut dyn Iterator<Item = &KeyValue>, value: Value| {
                let mut line = json!({"service": self.0, (metric.name()): value});
                let mut dimensions = Vec::new();
                for pair in attributes {
                    line[pair.key.as_str()] = json!(pair.value.as_str());
                    dimensions.push(pair.key.as_str());
                }
                line["_aws"] = json!({"Timestamp": now, "CloudWatchMetrics": [{
                    "Namespace": "Waybill", "Dimensions": [dimensions, []],
                    "Metrics": [{"Name": metric.name(), "Unit": unit}],
                }]});
                lines.extend([line.to_string(), "\n".to_owned()]);
            };
            match metric.data() {
                F64(MetricData::Sum(sum)) => sum
                    .data_points()
                    .for_each(|point| line(&mut point.attributes(), json!(point.value()))),
                F64(MetricData::Gauge(gauge)) => gauge
                    .data_points()
                    .for_each(|point| line(&mut point.attributes(), json!(point.value()))),
                F64(MetricData::ExponentialHistogram(histogram)) => {
                    for point in histogram.data_points() {
                        for values in values(point).chunks(VALUES_MAX) {
                            line(&mut point.attributes(), json!(values));
                        }
                    }
                }
                _ => {}
            }
        }
        lines
    }
}

/// Returns the values of a histogram, each at the middle of its bucket and rounded to a
/// microsecond. The bucket of a single value is so narrow that the value does not change.
fn values(point: &ExponentialHistogramDataPoint<f64>) -> Vec<f64> {
    let bucket = point.positive_bucket();
    let width = f64::from(-point.scale()).exp2();
    let (min, max) = (point.min().unwrap_or(0.0), point.max().unwrap_or(f64::MAX));
    let zeros = (0..point.zero_count()).map(|_| 0.0);
    let buckets = (bucket.offset()..).zip(bucket.counts());
    let others = buckets.flat_map(|(index, count)| {
        let middle = ((f64::from(index) + 0.5) * width).exp2().clamp(min, max);
        (0..count).map(move |_| (middle * 1e3).round() / 1e3)
    });
    zeros.chain(others).collect()
}

impl PushMetricExporter for EmfExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(self.lines(metrics).as_bytes());
        let written = written.and_then(|()| out.flush());
        written.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
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

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use serde_json::{Value, json};

use crate::emf::EmfExporter;
use crate::metrics::{Instruments, histograms};

/// Keeps the lines of the exporter instead of printing them.
struct LineRecorder {
    exporter: EmfExporter,
    lines: Arc<Mutex<String>>,
}

impl PushMetricExporter for LineRecorder {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        *self.lines.lock().unwrap() += &self.exporter.lines(metrics);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// Returns the lines that CloudWatch receives for these values. They are flushed twice, so that a
/// value that is written twice is seen.
fn written(record: impl FnOnce(&Instruments)) -> Vec<Value> {
    let lines = Arc::<Mutex<String>>::default();
    let provider = SdkMeterProvider::builder()
        .with_view(histograms(true))
        .with_periodic_exporter(LineRecorder {
            exporter: EmfExporter("worker_webhook".to_owned()),
            lines: Arc::clone(&lines),
        })
        .build();
    record(&Instruments::new(&provider.meter("test")));
    provider.force_flush().unwrap();
    provider.force_flush().unwrap();
    let lines = lines.lock().unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn webhook() -> KeyValue {
    KeyValue::new("destination_type", "webhook")
}

#[test]
fn a_line_is_what_cloudwatch_reads() {
    let mut lines = written(|instruments| {
        let attributes = [webhook(), KeyValue::new("outcome", "delivered")];
        instruments.attempt_made.add(1.0, &attributes);
        instruments.attempt_made.add(1.0, &attributes);
    });
    let at = lines[0]["_aws"]["Timestamp"].take();
    assert!(
        at.as_u64().unwrap() > 1_700_000_000_000,
        "{at} is not a time in milliseconds"
    );
    let expected = json!({
        "_aws": {"Timestamp": null, "CloudWatchMetrics": [{
            "Namespace": "Waybill", "Dimensions": [["destination_type", "outcome"], []],
            "Metrics": [{"Name": "waybill.attempts", "Unit": "Count"}],
        }]},
        "service": "worker_webhook", "destination_type": "webhook", "outcome": "delivered",
        "waybill.attempts": 2.0,
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn a_histogram_is_written_as_its_values_for_percentiles() {
    let lines = written(|instruments| {
        (0..150).for_each(|n| instruments.delivered.record(f64::from(n), &[webhook()]));
    });
    let of_line = |line: &Value| line["waybill.delivery.latency"].as_array().unwrap().clone();
    assert_eq!(
        lines
            .iter()
            .map(|line| of_line(line).len())
            .collect::<Vec<_>>(),
        [100, 50],
        "a line takes a hundred"
    );
    let values: Vec<f64> = lines
        .iter()
        .flat_map(of_line)
        .map(|value| value.as_f64().unwrap())
        .collect();
    for (expected, value) in values.iter().enumerate() {
        let expected = f64::from(u32::try_from(expected).unwrap());
        assert!(
            (value - expected).abs() <= expected * 0.005,
            "{value} was recorded as {expected}"
        );
    }
    assert_eq!(
        lines[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"],
        "Milliseconds"
    );
}

#[test]
fn a_value_that_is_alone_is_exact() {
    let lines = written(|instruments| {
        let queue = [KeyValue::new("queue", "webhook")];
        instruments.delivered.record(12_345.678, &[webhook()]);
        instruments.queue_age.record(3.5, &queue);
        instruments.queue_age.record(2.5, &queue);
    });
    let value = |name: &str| lines.iter().find_map(|line| line.get(name)).unwrap();
    assert_eq!(value("waybill.delivery.latency"), &json!([12_345.678]));
    assert_eq!(
        value("waybill.queue.age"),
        &json!(2.5),
        "a gauge is its last value"
    );
}

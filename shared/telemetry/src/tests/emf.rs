use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::Resource;
use serde_json::{Value, json};

use crate::emf::EmfExporter;
use crate::instruments::{Exporter, Instruments};
use crate::names::{ATTEMPTS, DELIVERY_LATENCY, QUEUE_AGE};

#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines that CloudWatch receives for these values, by metric.
async fn written(record: impl FnOnce(&Instruments)) -> Vec<Value> {
    let out = Out::default();
    let exporter = EmfExporter::new("worker_webhook".to_owned(), Box::new(out.clone()));
    let instruments =
        Instruments::with_exporter(Exporter::Emf(exporter), Resource::builder_empty().build());
    record(&instruments);
    instruments
        .export(&instruments.collect().unwrap())
        .await
        .unwrap();
    assert!(instruments.collect().is_none(), "values are written once");
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_line_is_what_cloudwatch_reads() {
    let mut lines = written(|instruments| {
        instruments.record(ATTEMPTS, &["webhook", "delivered"], 1.0);
        instruments.record(ATTEMPTS, &["webhook", "delivered"], 1.0);
    })
    .await;
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

#[tokio::test]
async fn a_histogram_is_written_as_its_values_for_percentiles() {
    let lines = written(|instruments| {
        (0..150).for_each(|n| instruments.record(DELIVERY_LATENCY, &["webhook"], f64::from(n)));
    })
    .await;
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

#[tokio::test]
async fn a_value_that_is_alone_is_exact() {
    let lines = written(|instruments| {
        instruments.record(DELIVERY_LATENCY, &["webhook"], 12_345.678);
        instruments.record(QUEUE_AGE, &["webhook"], 3.5);
        instruments.record(QUEUE_AGE, &["webhook"], 2.5);
    })
    .await;
    let value = |name: &str| lines.iter().find_map(|line| line.get(name)).unwrap();
    assert_eq!(value("waybill.delivery.latency"), &json!([12_345.678]));
    assert_eq!(
        value("waybill.queue.age"),
        &json!(2.5),
        "a gauge is its last value"
    );
}

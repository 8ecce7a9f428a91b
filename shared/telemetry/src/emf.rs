//! Points as lines of CloudWatch's embedded metric format: no collector, no call, no permission but writing the log.

use std::io::Write as _;

use domain::Timestamp;
use serde_json::{Map, Value, json};

use crate::names::Shape;
use crate::points::Points;

/// The namespace the alarms and the dashboard read.
const NAMESPACE: &str = "Waybill";
/// A line takes at most a hundred values of a metric (CloudWatch, "Embedded metric format specification").
const VALUES_MAX: usize = 100;

/// A line for each point; a histogram's values are told one by one, so that CloudWatch can work out percentiles. Each is counted with its
/// attributes and without: alarms watch the whole.
pub(crate) fn lines(points: &Points, service: &str, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for ((metric, attributes), point) in &points.0 {
        let unit = match (metric.shape(), metric.unit()) {
            (Shape::Histogram, _) => "Milliseconds",
            (_, "s") => "Seconds",
            _ => "Count",
        };
        let dimensions = metric.attributes();
        let declared = json!({
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE, "Dimensions": [dimensions, []], "Metrics": [{"Name": metric.name(), "Unit": unit}],
            }],
        });
        let values: Vec<Value> = match metric.shape() {
            Shape::Counter => vec![json!(point.sum)],
            Shape::Gauge => vec![json!(point.last)],
            Shape::Histogram => point.values.chunks(VALUES_MAX).map(|chunk| json!(chunk)).collect(),
        };
        for value in values {
            let mut line = Map::from_iter([("_aws".to_owned(), declared.clone()), ("service".to_owned(), json!(service))]);
            line.extend(dimensions.iter().zip(attributes).map(|(key, value)| ((*key).to_owned(), json!(value))));
            line.insert(metric.name().to_owned(), value);
            lines.push(Value::Object(line).to_string());
        }
    }
    lines
}

/// Writes them where Lambda's log agent reads.
pub(crate) fn print(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    if let Err(error) = written {
        tracing::warn!(%error, "metrics could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Metric;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let mut points = Points::default();
        points.add(Metric::Attempts, vec!["webhook", "delivered"], 1.0);
        points.add(Metric::Attempts, vec!["webhook", "delivered"], 1.0);
        (0..150).for_each(|n| points.add(Metric::DeliveryLatency, vec!["webhook"], f64::from(n)));
        let lines: Vec<Value> =
            lines(&points, "worker_webhook", Timestamp::from_millis(5)).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3, "one, and 150 values in two");
        let expected = json!({
            "_aws": {"Timestamp": 5, "CloudWatchMetrics": [{
                "Namespace": "Waybill", "Dimensions": [["destination_type", "outcome"], []],
                "Metrics": [{"Name": "waybill.attempts", "Unit": "Count"}],
            }]},
            "service": "worker_webhook", "destination_type": "webhook", "outcome": "delivered", "waybill.attempts": 2.0,
        });
        assert_eq!(lines[0], expected);
        assert_eq!(lines[1]["waybill.delivery.latency"].as_array().unwrap().len(), 100);
    }
}

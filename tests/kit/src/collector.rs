//! An OpenTelemetry collector that stores what it receives. It decodes OTLP's protobuf with
//! OpenTelemetry's own definitions.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, number_data_point};
use prost::Message as _;

use crate::sink::Sink;

/// A collector. Its [`Sink`] determines how it responds.
pub struct Collector(Sink);

/// A span that the collector received.
#[derive(Debug, Clone)]
pub struct Span {
    /// The id of the trace, 32 hexadecimal digits.
    pub trace: String,
    /// The id of the span, 16 hexadecimal digits.
    pub id: String,
    /// The id of the parent span; empty if there is none.
    pub parent: String,
    /// The name of the span.
    pub name: String,
    /// The attributes of the span, with numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// The duration of the span.
    pub duration: Duration,
}

/// A metric point that the collector received.
#[derive(Debug, Clone)]
pub struct Point {
    /// The name of the metric.
    pub name: String,
    /// The attributes of the point.
    pub attributes: BTreeMap<String, String>,
    /// The value: a counter's increase, a gauge's value, or a histogram's count.
    pub value: f64,
}

impl Collector {
    /// Listens on a free port and accepts everything.
    pub async fn start() -> Self {
        Self(Sink::start().await)
    }

    /// Returns the value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// Returns every span that was received.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.path("/v1/traces").requests().into_iter();
        let requests = requests.map(|request| {
            ExportTraceServiceRequest::decode(request.body).expect("a request of spans")
        });
        let scopes = requests
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans);
        let span = |span: opentelemetry_proto::tonic::trace::v1::Span| Span {
            trace: hex::encode(&span.trace_id),
            id: hex::encode(&span.span_id),
            parent: hex::encode(&span.parent_span_id),
            name: span.name,
            attributes: texts(span.attributes),
            duration: Duration::from_nanos(
                span.end_time_unix_nano
                    .checked_sub(span.start_time_unix_nano)
                    .expect("no span ends before it starts"),
            ),
        };
        scopes.flat_map(|scope| scope.spans).map(span).collect()
    }

    /// Waits until a trace has this many spans of each name, and returns its spans.
    pub async fn trace(&self, trace: &str, expected: &[(&str, usize)]) -> Vec<Span> {
        for _ in 0..100 {
            let spans: Vec<Span> = self
                .spans()
                .into_iter()
                .filter(|span| span.trace == trace)
                .collect();
            if expected.iter().all(|(name, count)| {
                spans.iter().filter(|span| span.name == *name).count() >= *count
            }) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "of trace {trace} not all of {expected:?} came: {:#?}",
            self.spans()
        );
    }

    /// Returns every metric point that was received.
    pub fn points(&self) -> Vec<Point> {
        let requests = self.path("/v1/metrics").requests().into_iter();
        let requests = requests.map(|request| {
            ExportMetricsServiceRequest::decode(request.body).expect("a request of metrics")
        });
        let scopes = requests
            .flat_map(|request| request.resource_metrics)
            .flat_map(|resource| resource.scope_metrics);
        let number = |value: Option<number_data_point::Value>| match value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            other => panic!("{other:?} is no number"),
        };
        let mut points = Vec::new();
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let name = metric.name;
            let mut point = |attributes, value| {
                points.push(Point {
                    name: name.clone(),
                    attributes: texts(attributes),
                    value,
                })
            };
            match metric.data.expect("a metric has data") {
                Data::Sum(sum) => {
                    assert_eq!(
                        sum.aggregation_temporality,
                        i32::from(AggregationTemporality::Delta)
                    );
                    sum.data_points
                        .into_iter()
                        .for_each(|each| point(each.attributes, number(each.value)));
                }
                Data::Gauge(gauge) => gauge
                    .data_points
                    .into_iter()
                    .for_each(|each| point(each.attributes, number(each.value))),
                Data::Histogram(histogram) => {
                    assert_eq!(
                        histogram.aggregation_temporality,
                        i32::from(AggregationTemporality::Delta)
                    );
                    for each in histogram.data_points {
                        assert_eq!(each.bucket_counts.iter().sum::<u64>(), each.count);
                        point(
                            each.attributes,
                            u32::try_from(each.count).expect("few").into(),
                        );
                    }
                }
                other => panic!("{other:?} is not expected"),
            }
        }
        points
    }

    /// Returns the total of a counter so far.
    pub fn counted(&self, name: &str, attributes: &[(&str, &str)]) -> f64 {
        let wanted: BTreeMap<String, String> = attributes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.points()
            .iter()
            .filter(|point| point.name == name && point.attributes == wanted)
            .map(|point| point.value)
            .sum()
    }

    /// Waits until a counter has this total.
    pub async fn counts(&self, name: &str, attributes: &[(&str, &str)], expected: f64) {
        for _ in 0..100 {
            if self.counted(name, attributes) >= expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "{name} {attributes:?} did not come to {expected}: {:#?}",
            self.points()
        );
    }
}

impl Deref for Collector {
    type Target = Sink;

    fn deref(&self) -> &Sink {
        &self.0
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<any_value::Value>| match value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?} is neither text nor a number"),
    };
    attributes
        .into_iter()
        .map(|pair| (pair.key, text(pair.value.and_then(|value| value.value))))
        .collect()
}

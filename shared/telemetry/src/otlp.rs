//! Spans and points as OTLP's protobuf messages.

use std::sync::Arc;

use bytes::Bytes;
use domain::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric as Reported, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use prost::Message as _;

use crate::names::{Metric, Shape};
use crate::points::{BOUNDS_MS, Point, Points};
use crate::{Finished, Kind, Value};

/// A request to `/v1/traces`.
pub(crate) fn traces(spans: &[Arc<Finished>], service: &str) -> Bytes {
    let spans = spans.iter().map(|span| reported_span(span)).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource(service)), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

/// A request to `/v1/metrics`: what was counted between two times.
pub(crate) fn metrics(points: &Points, service: &str, since: Timestamp, now: Timestamp) -> Bytes {
    let span = (nanoseconds(since), nanoseconds(now));
    let metrics = Metric::ALL.iter().filter_map(|metric| reported_metric(*metric, points, span)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: Some(resource(service)), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()
}

fn reported_span(span: &Finished) -> Span {
    let kind = match span.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
    };
    let status = span.error.map(|error| Status { message: error.to_owned(), code: StatusCode::Error.into() });
    Span {
        trace_id: span.trace.to_bytes().to_vec(),
        span_id: span.id.to_bytes().to_vec(),
        parent_span_id: span.parent.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
        name: span.name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.started_ns,
        end_time_unix_nano: span.ended_ns,
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value.clone())).collect(),
        status,
        ..Span::default()
    }
}

fn reported_metric(metric: Metric, points: &Points, span: (u64, u64)) -> Option<Reported> {
    let of_metric: Vec<_> = points.0.iter().filter(|((of, _), _)| *of == metric).collect();
    if of_metric.is_empty() {
        return None;
    }
    let attributes = |values: &[&'static str]| -> Vec<KeyValue> {
        metric.attributes().iter().zip(values).map(|(key, value)| attribute(key, Value::from(*value))).collect()
    };
    let numbers = |value: fn(&Point) -> f64| {
        let number = |((_, values), point): &(&(Metric, Vec<&'static str>), &Point)| NumberDataPoint {
            attributes: attributes(values),
            start_time_unix_nano: span.0,
            time_unix_nano: span.1,
            value: Some(number_data_point::Value::AsDouble(value(point))),
            ..NumberDataPoint::default()
        };
        of_metric.iter().map(number).collect::<Vec<_>>()
    };
    let delta = AggregationTemporality::Delta.into();
    let data = match metric.shape() {
        Shape::Counter => Data::Sum(Sum { data_points: numbers(|point| point.sum), aggregation_temporality: delta, is_monotonic: true }),
        Shape::Gauge => Data::Gauge(Gauge { data_points: numbers(|point| point.last) }),
        Shape::Histogram => {
            let histogram = |((_, values), point): &(&(Metric, Vec<&'static str>), &Point)| HistogramDataPoint {
                attributes: attributes(values),
                start_time_unix_nano: span.0,
                time_unix_nano: span.1,
                count: point.count,
                sum: Some(point.sum),
                bucket_counts: point.buckets.clone(),
                explicit_bounds: BOUNDS_MS.to_vec(),
                ..HistogramDataPoint::default()
            };
            Data::Histogram(Histogram { data_points: of_metric.iter().map(histogram).collect(), aggregation_temporality: delta })
        }
    };
    Some(Reported { name: metric.name().to_owned(), unit: metric.unit().to_owned(), data: Some(data), ..Reported::default() })
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource(service: &str) -> Resource {
    let attributes = [("service.name", service), ("service.namespace", "waybill"), ("service.version", env!("CARGO_PKG_VERSION"))];
    Resource { attributes: attributes.map(|(key, value)| attribute(key, value.into())).to_vec(), ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "waybill".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), ..InstrumentationScope::default() }
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or_default().saturating_mul(1_000_000)
}

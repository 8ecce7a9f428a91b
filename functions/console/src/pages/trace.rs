//! Shows the spans of a delivery as a waterfall. The spans are those that a process without a
//! collector keeps in memory.

use std::time::{SystemTime, UNIX_EPOCH};

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use front::Front;
use telemetry::{SpanData, Status};

use crate::answer::{Answer, page};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/deliveries/{id}/trace", get(read))
}

/// A span as a bar of the waterfall.
struct Bar {
    name: String,
    /// The number of ancestors of the span.
    depth: u64,
    start_ms: u64,
    duration_us: u64,
    /// The start of the bar, in thousandths of the duration of the trace.
    left: u64,
    /// The width of the bar, in thousandths of the duration of the trace.
    width: u64,
    failed: bool,
    attributes: String,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct TracePage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    id: &'a str,
    trace: Option<String>,
    bars: &'a [Bar],
}

async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let d = front
        .operations()
        .await?
        .delivery(&v.ctx, &id, v.query(&[]))
        .await?;
    let trace = d.attempts.first().map(|attempt| attempt.trace_id);
    let bars = trace
        .map(|trace| bars(&telemetry::recent(trace), &id))
        .unwrap_or_default();
    page(&TracePage {
        page: Page::of(Some(&v), "deliveries"),
        v: &v,
        id: &id,
        trace: trace.map(|trace| trace.to_string()),
        bars: &bars,
    })
}

/// Returns the spans of a trace that are about this delivery or about no single delivery, ordered
/// by their start.
fn bars(spans: &[SpanData], delivery: &str) -> Vec<Bar> {
    let is_shown = |span: &&SpanData| {
        let mut of_deliveries = span
            .attributes
            .iter()
            .filter(|attribute| attribute.key.as_str() == "waybill.delivery");
        of_deliveries.all(|attribute| attribute.value.as_str() == delivery)
    };
    let mut spans: Vec<&SpanData> = spans.iter().filter(is_shown).collect();
    spans.sort_by_key(|span| span.start_time);
    let first = spans
        .iter()
        .map(|span| span.start_time)
        .min()
        .unwrap_or(UNIX_EPOCH);
    let last = spans
        .iter()
        .map(|span| span.end_time)
        .max()
        .unwrap_or(UNIX_EPOCH);
    let whole = microseconds(first, last).max(1);
    let depth_of = |span: &SpanData| {
        let (mut depth, mut parent) = (0, span.parent_span_id);
        while let Some(above) = spans
            .iter()
            .find(|span| span.span_context.span_id() == parent)
        {
            (depth, parent) = (depth + 1, above.parent_span_id);
            if depth > 20 {
                break;
            }
        }
        depth
    };
    let bar = |span: &&SpanData| {
        let (start, duration) = (
            microseconds(first, span.start_time),
            microseconds(span.start_time, span.end_time),
        );
        Bar {
            name: span.name.to_string(),
            depth: depth_of(span),
            start_ms: start / 1_000,
            duration_us: duration,
            left: start * 1_000 / whole,
            width: (duration * 1_000 / whole).max(2),
            failed: matches!(span.status, Status::Error { .. }),
            attributes: span
                .attributes
                .iter()
                .map(|pair| format!("{}={}", pair.key, pair.value))
                .collect::<Vec<_>>()
                .join("\n"),
        }
    };
    spans.iter().map(bar).collect()
}

fn microseconds(from: SystemTime, to: SystemTime) -> u64 {
    to.duration_since(from).map_or(0, |between| {
        u64::try_from(between.as_micros()).unwrap_or(u64::MAX)
    })
}

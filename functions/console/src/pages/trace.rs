//! A delivery's spans as a waterfall: what a process that has no collector still remembers.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use front::Front;
use telemetry::Finished;

use crate::answer::{Answer, page};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/deliveries/{id}/trace", get(read))
}

/// A span, as a bar.
struct Bar {
    name: &'static str,
    /// How many spans it is below.
    depth: u64,
    start_ms: u64,
    duration_us: u64,
    /// In thousandths of the whole.
    left: u64,
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
    let d = front.operations().await?.delivery(&v.ctx, &id, v.query(&[])).await?;
    let trace = d.attempts.first().map(|attempt| attempt.trace_id);
    let bars = trace.map(|trace| bars(&telemetry::recent(trace), &id)).unwrap_or_default();
    page(&TracePage { page: Page::of(Some(&v), "deliveries"), v: &v, id: &id, trace: trace.map(|trace| trace.to_string()), bars: &bars })
}

/// The spans of a trace, in the order they began. A trace is one of a request, which may be about other deliveries too: their attempts are
/// not shown.
fn bars(spans: &[Arc<Finished>], delivery: &str) -> Vec<Bar> {
    let mine = |span: &Finished| span.attributes.iter().all(|(name, value)| *name != "waybill.delivery.id" || said(value) == delivery);
    let mut spans: Vec<&Arc<Finished>> = spans.iter().filter(|span| mine(span)).collect();
    spans.sort_by_key(|span| span.started_ns);
    let first = spans.iter().map(|span| span.started_ns).min().unwrap_or(0);
    let last = spans.iter().map(|span| span.ended_ns).max().unwrap_or(1);
    let whole = (last - first).max(1);
    let depth_of = |span: &Finished| {
        let (mut depth, mut parent) = (0, span.parent);
        while let Some(above) = parent.and_then(|id| spans.iter().find(|span| span.id == id)) {
            (depth, parent) = (depth + 1, above.parent);
            if depth > 20 {
                break;
            }
        }
        depth
    };
    let bar = |span: &&Arc<Finished>| Bar {
        name: span.name,
        depth: depth_of(span),
        start_ms: (span.started_ns - first) / 1_000_000,
        duration_us: (span.ended_ns - span.started_ns) / 1_000,
        left: (span.started_ns - first) * 1000 / whole,
        width: ((span.ended_ns - span.started_ns) * 1000 / whole).max(2),
        failed: span.error.is_some(),
        attributes: span.attributes.iter().map(|(name, value)| format!("{name}={}", said(value))).collect::<Vec<_>>().join("\n"),
    };
    spans.iter().map(bar).collect()
}

fn said(value: &telemetry::Value) -> String {
    match value {
        telemetry::Value::Text(text) => text.clone(),
        telemetry::Value::Number(number) => number.to_string(),
    }
}

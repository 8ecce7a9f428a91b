//! Reads and writes trace contexts: W3C Trace Context, and X-Ray's header.

use std::collections::HashMap;

use domain::Random;
use domain::trace::{SpanId, TraceContext, TraceId};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use opentelemetry::{Context, trace};
use opentelemetry_aws::trace::{XrayIdGenerator, XrayPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::IdGenerator as _;

/// The header of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// X-Ray's header. SQS stores the same text in a message's `AWSTraceHeader`.
pub const XRAY_HEADER: &str = "x-amzn-trace-id";

/// Returns the trace context of these headers: from `traceparent`, or else from X-Ray's header.
#[must_use]
pub fn extract(header: impl Fn(&str) -> Option<String>) -> Option<TraceContext> {
    let carrier =
        [TRACEPARENT, XRAY_HEADER].map(|name| (name.to_owned(), header(name).unwrap_or_default()));
    let mut carrier = HashMap::from(carrier);
    // The propagator accepts ids of any length, but the standard does not.
    if !carrier.get(TRACEPARENT).is_some_and(|text| {
        text.trim()
            .split('-')
            .map(str::len)
            .take(4)
            .eq([2, 32, 16, 2])
    }) {
        carrier.remove(TRACEPARENT);
    }
    read(&TraceContextPropagator::new(), &carrier)
        .or_else(|| read(&XrayPropagator::new(), &carrier))
}

/// Starts a trace whose id X-Ray accepts, because it begins with the time.
#[must_use]
pub fn new_trace() -> TraceContext {
    TraceContext {
        trace: TraceId::from_bytes(XrayIdGenerator::default().new_trace_id().to_bytes()),
        span: None,
    }
}

/// Returns the `traceparent` for a request in the trace `trace`. Its parent is the current span, or
/// a new id if no span of this trace is current.
#[must_use]
pub fn traceparent(trace: TraceId, random: &Random) -> String {
    crate::current()
        .filter(|here| here.trace == trace)
        .and_then(traceparent_of)
        .unwrap_or_else(|| trace.traceparent(random))
}

/// Returns the `traceparent` that continues the current span, if there is one.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    crate::current().and_then(traceparent_of)
}

/// Returns the `traceparent` that continues this trace context, or `None` if it has no span.
#[must_use]
pub fn traceparent_of(context: TraceContext) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context_of(context, false), &mut carrier);
    carrier.remove(TRACEPARENT)
}

fn read(
    propagator: &dyn opentelemetry::propagation::TextMapPropagator,
    carrier: &dyn Extractor,
) -> Option<TraceContext> {
    let context = propagator.extract_with_context(&Context::new(), carrier);
    domain_context(context.span().span_context())
}

/// Converts a span context of the SDK. Returns `None` if it has no trace.
pub(crate) fn domain_context(context: &SpanContext) -> Option<TraceContext> {
    let (trace, span) = (context.trace_id(), context.span_id());
    (trace != trace::TraceId::INVALID).then(|| TraceContext {
        trace: TraceId::from_bytes(trace.to_bytes()),
        span: SpanId::from_bytes(span.to_bytes()),
    })
}

/// Converts a trace context to that of the SDK.
pub(crate) fn context_of(context: TraceContext, is_remote: bool) -> Context {
    let trace = trace::TraceId::from_bytes(context.trace.to_bytes());
    let span = context.span.map_or(trace::SpanId::INVALID, |span| {
        trace::SpanId::from_bytes(span.to_bytes())
    });
    let context = SpanContext::new(
        trace,
        span,
        TraceFlags::SAMPLED,
        is_remote,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(context)
}

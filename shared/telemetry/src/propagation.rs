//! Reads and writes trace contexts: W3C Trace Context, and X-Ray's header.

use std::collections::HashMap;

use domain::Random;
use domain::trace::TraceId;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{self, SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use opentelemetry_aws::trace::{XrayIdGenerator, XrayPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::IdGenerator as _;

use crate::TraceContext;

/// The header of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// X-Ray's header. SQS stores the same text in a message's `AWSTraceHeader`.
pub const XRAY_HEADER: &str = "x-amzn-trace-id";

/// Returns the trace context of these headers: from `traceparent`, or else from X-Ray's header.
#[must_use]
pub fn extract(header: impl Fn(&str) -> Option<String>) -> Option<TraceContext> {
    let text = |name: &str| (name.to_owned(), header(name).unwrap_or_default());
    let mut carrier = HashMap::from([text(TRACEPARENT), text(XRAY_HEADER)]);
    // The propagator accepts ids of any length, but the standard does not.
    let lengths = carrier[TRACEPARENT].trim().split('-').map(str::len);
    if !lengths.take(4).eq([2, 32, 16, 2]) {
        carrier.remove(TRACEPARENT);
    }
    let xray = XrayPropagator::new().extract_with_context(&TraceContext::new(), &carrier);
    let context = TraceContextPropagator::new().extract_with_context(&xray, &carrier);
    let span = context.span().span_context().clone();
    let is_known = span.trace_id() != trace::TraceId::INVALID;
    is_known.then(|| remote(span.trace_id(), span.span_id()))
}

/// Returns the id of a new trace. X-Ray accepts it, because it begins with the time.
#[must_use]
pub fn new_trace() -> TraceId {
    TraceId::from_bytes(XrayIdGenerator::default().new_trace_id().to_bytes())
}

/// Returns the `traceparent` for a request in the trace `trace`. Its parent is the current span, or
/// a new id if no span of this trace is current.
#[must_use]
pub fn traceparent(trace: TraceId, random: &Random) -> String {
    traceparent_of(&current_in(trace)).unwrap_or_else(|| trace.traceparent(random))
}

/// Returns the `traceparent` that continues this trace context, or `None` if it has no span.
#[must_use]
pub fn traceparent_of(context: &TraceContext) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Returns the id of the trace of this context. It is zero if the context has no trace.
#[must_use]
pub fn trace_of(context: &TraceContext) -> TraceId {
    TraceId::from_bytes(context.span().span_context().trace_id().to_bytes())
}

/// Returns the context of a trace of which no span is known.
#[must_use]
pub fn without_span(trace: TraceId) -> TraceContext {
    let trace = trace::TraceId::from_bytes(trace.to_bytes());
    remote(trace, trace::SpanId::INVALID)
}

/// Returns the current context if it belongs to this trace, or else the trace without a span.
#[must_use]
pub fn current_in(trace: TraceId) -> TraceContext {
    let current = Some(TraceContext::current()).filter(|current| trace_of(current) == trace);
    current.unwrap_or_else(|| without_span(trace))
}

/// Returns the context of another process's span. It counts as sampled, whatever its sender did.
fn remote(trace: trace::TraceId, span: trace::SpanId) -> TraceContext {
    let (flags, state) = (TraceFlags::SAMPLED, TraceState::NONE);
    let span = SpanContext::new(trace, span, flags, true, state);
    TraceContext::new().with_remote_span_context(span)
}

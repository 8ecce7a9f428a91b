//! Reads and writes trace contexts: W3C Trace Context, and X-Ray's header.

use std::collections::HashMap;

use domain::Random;
use domain::trace::{SpanId, TraceContext, TraceId};
use opentelemetry::propagation::TextMapPropagator as _;
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
    let text = |name: &str| (name.to_owned(), header(name).unwrap_or_default());
    let mut carrier = HashMap::from([text(TRACEPARENT), text(XRAY_HEADER)]);
    // The propagator accepts ids of any length, but the standard does not.
    let lengths = carrier[TRACEPARENT].trim().split('-').map(str::len);
    if !lengths.take(4).eq([2, 32, 16, 2]) {
        carrier.remove(TRACEPARENT);
    }
    let xray = XrayPropagator::new().extract_with_context(&Context::new(), &carrier);
    domain_context(&TraceContextPropagator::new().extract_with_context(&xray, &carrier))
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
    traceparent_of(crate::here(trace)).unwrap_or_else(|| trace.traceparent(random))
}

/// Returns the `traceparent` that continues this trace context, or `None` if it has no span.
#[must_use]
pub fn traceparent_of(context: TraceContext) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&sdk_context(context, false), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Converts the span of a context of the SDK. Returns `None` if it has no trace.
pub(crate) fn domain_context(context: &Context) -> Option<TraceContext> {
    let context = context.span().span_context().clone();
    (context.trace_id() != trace::TraceId::INVALID).then(|| TraceContext {
        trace: TraceId::from_bytes(context.trace_id().to_bytes()),
        span: SpanId::from_bytes(context.span_id().to_bytes()),
    })
}

/// Converts a trace context to that of the SDK.
pub(crate) fn sdk_context(context: TraceContext, is_remote: bool) -> Context {
    let trace = trace::TraceId::from_bytes(context.trace.to_bytes());
    let span = context.span.map_or([0; 8], SpanId::to_bytes);
    let span = trace::SpanId::from_bytes(span);
    let (flags, state) = (TraceFlags::SAMPLED, TraceState::NONE);
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, is_remote, state))
}

//! A span of work in progress.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use domain::trace::{TraceContext, TraceId};
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};

use crate::names::SpanName;
use crate::pipeline::{PIPELINE, Pipeline};
use crate::propagation::{domain_context, sdk_context};

/// A span in progress. It ends when it is dropped. Without telemetry, it does nothing.
#[derive(Debug)]
pub struct Span {
    context: Context,
    name: SpanName,
}

impl Span {
    /// Starts a span that begins now. A parent that is not the current span is of another process.
    #[must_use]
    pub fn start(name: SpanName, parent: TraceContext) -> Self {
        Self::open(PIPELINE.get(), name, parent, opentelemetry::time::now())
    }

    /// Starts a span for work that began earlier.
    #[must_use]
    pub fn since(name: SpanName, parent: TraceContext, began: Timestamp) -> Self {
        let began = Duration::from_millis(u64::try_from(began.as_millis()).unwrap_or_default());
        let began = (UNIX_EPOCH + began).min(opentelemetry::time::now());
        Self::open(PIPELINE.get(), name, parent, began)
    }

    pub(crate) fn open(
        pipeline: Option<&Pipeline>,
        name: SpanName,
        parent: TraceContext,
        began: SystemTime,
    ) -> Self {
        let context = pipeline.map_or_else(Context::new, |pipeline| {
            let builder = pipeline.tracer.span_builder(name.name);
            let builder = builder.with_kind(name.kind.clone()).with_start_time(began);
            // The generator of ids looks at the current context.
            let _parent = sdk_context(parent, current() != Some(parent)).attach();
            Context::new().with_span(pipeline.tracer.build(builder))
        });
        Self { context, name }
    }

    /// Sets an attribute, which has to be one that the span's name allows.
    pub fn set(&mut self, attribute: &'static str, value: impl Into<Value>) {
        let (name, is_declared) = (self.name.name, self.name.attributes.contains(&attribute));
        debug_assert!(is_declared, "{attribute} is no attribute of {name}");
        let pair = KeyValue::new(attribute, value);
        self.context.span().set_attribute(pair);
    }

    /// Sets an attribute to the text of a value, such as an id.
    pub fn set_text(&mut self, attribute: &'static str, value: impl Display) {
        self.set(attribute, value.to_string());
    }

    /// Marks the work as failed, with a short reason.
    pub fn fails(&mut self, reason: &'static str) {
        self.context.span().set_status(Status::error(reason));
    }

    /// Returns the trace context that work caused by this span continues.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        domain_context(&self.context)
    }

    /// Runs `work` with this span as the current one.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        within(self.context(), work).await
    }
}

/// Runs `work` with the span of `context` as the current one. The work is boxed because it is
/// usually a large future, which each wrapper would otherwise copy onto the stack.
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    let work = Box::pin(work);
    match context {
        Some(context) => work.with_context(sdk_context(context, false)).await,
        None => work.await,
    }
}

/// Returns the trace context of the current span.
#[must_use]
pub fn current() -> Option<TraceContext> {
    Context::map_current(domain_context)
}

/// Returns the current span if it belongs to this trace, or else the trace without a span.
#[must_use]
pub fn here(trace: TraceId) -> TraceContext {
    let here = current().filter(|here| here.trace == trace);
    here.unwrap_or(TraceContext { trace, span: None })
}

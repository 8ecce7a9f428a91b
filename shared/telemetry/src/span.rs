//! A span of work in progress.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{KeyValue, Value};

use crate::names::SpanName;
use crate::pipeline::{PIPELINE, Pipeline};
use crate::{FutureExt as _, TraceContext};

/// A span in progress. It ends when it is dropped. Without telemetry, it does nothing.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    name: SpanName,
}

impl Span {
    /// Starts a span that begins now.
    #[must_use]
    pub fn start(name: SpanName, parent: &TraceContext) -> Self {
        Self::open(PIPELINE.get(), name, parent, opentelemetry::time::now())
    }

    /// Starts a span for work that began earlier.
    #[must_use]
    pub fn since(name: SpanName, parent: &TraceContext, began: Timestamp) -> Self {
        let began = Duration::from_millis(u64::try_from(began.as_millis()).unwrap_or_default());
        let began = (UNIX_EPOCH + began).min(opentelemetry::time::now());
        Self::open(PIPELINE.get(), name, parent, began)
    }

    pub(crate) fn open(
        pipeline: Option<&Pipeline>,
        name: SpanName,
        parent: &TraceContext,
        began: SystemTime,
    ) -> Self {
        let context = pipeline.map_or_else(TraceContext::current, |pipeline| {
            let builder = pipeline.tracer.span_builder(name.name);
            let builder = builder.with_kind(name.kind.clone()).with_start_time(began);
            // The generator of ids looks at the current context.
            let _parent = parent.clone().attach();
            TraceContext::new().with_span(pipeline.tracer.build(builder))
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

    /// Marks the work as failed, with a short reason.
    pub fn fails(&mut self, reason: &'static str) {
        self.context.span().set_status(Status::error(reason));
    }

    /// Returns the trace context that work caused by this span continues.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.context.clone()
    }

    /// Runs `work` with this span as the current one. The work is boxed because it is usually a
    /// large future, which each wrapper would otherwise copy onto the stack.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        Box::pin(work).with_context(self.context()).await
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.context.span().end();
    }
}

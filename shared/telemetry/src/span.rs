//! A span of work in progress.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use domain::trace::{TraceContext, TraceId};
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};

use crate::names::SpanName;
use crate::pipeline::{installed, with_new_trace_id};
use crate::propagation::{context_of, domain_context};

/// The parent of a span.
#[derive(Clone, Copy, Debug)]
pub enum Parent {
    /// The current span if it belongs to this trace, or else the trace without a parent.
    Here(TraceId),
    /// A span of another process, or a trace of which no span is known.
    Remote(TraceContext),
}

/// A span in progress. It ends when it is dropped. Without telemetry, it does nothing.
#[derive(Debug)]
pub struct Span {
    context: Context,
    name: SpanName,
}

impl Span {
    /// Starts a span that begins now.
    #[must_use]
    pub fn start(name: SpanName, parent: Parent) -> Self {
        Self::open(name, parent, opentelemetry::time::now())
    }

    /// Starts a span for work that began earlier.
    #[must_use]
    pub fn since(name: SpanName, parent: Parent, began: Timestamp) -> Self {
        let began = UNIX_EPOCH
            + Duration::from_millis(u64::try_from(began.as_millis()).unwrap_or_default());
        Self::open(name, parent, began.min(opentelemetry::time::now()))
    }

    fn open(name: SpanName, parent: Parent, began: SystemTime) -> Self {
        let Some(pipeline) = installed() else {
            return Self {
                context: Context::new(),
                name,
            };
        };
        let (place, is_remote) = match parent {
            Parent::Here(trace) => {
                let here = current().filter(|here| here.trace == trace);
                (here.unwrap_or(TraceContext { trace, span: None }), false)
            }
            Parent::Remote(place) => (place, true),
        };
        let builder = pipeline
            .tracer
            .span_builder(name.name)
            .with_kind(name.kind.clone())
            .with_start_time(began);
        let parent = context_of(place, is_remote);
        let span = with_new_trace_id(place.trace, || {
            pipeline.tracer.build_with_context(builder, &parent)
        });
        Self {
            context: Context::new().with_span(span),
            name,
        }
    }

    /// Sets an attribute, which has to be one that the span's name allows.
    pub fn set(&mut self, attribute: &'static str, value: impl Into<Value>) {
        debug_assert!(
            self.name.attributes.contains(&attribute),
            "{attribute} is no attribute of {}",
            self.name.name
        );
        self.context
            .span()
            .set_attribute(KeyValue::new(attribute, value));
    }

    /// Sets an attribute to the text of a value, such as an id.
    pub fn set_text(&mut self, attribute: &'static str, value: impl Display) {
        if self.context.span().is_recording() {
            self.set(attribute, value.to_string());
        }
    }

    /// Marks the work as failed, with a short reason.
    pub fn fails(&mut self, reason: &'static str) {
        self.context.span().set_status(Status::error(reason));
    }

    /// Returns the trace context that work caused by this span continues.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        domain_context(self.context.span().span_context())
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
        Some(context) => work.with_context(context_of(context, false)).await,
        None => work.await,
    }
}

/// Returns the trace context of the current span.
#[must_use]
pub fn current() -> Option<TraceContext> {
    Context::map_current(|context| domain_context(context.span().span_context()))
}

//! A span: a piece of work with a beginning and an end, and who caused it.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use domain::trace::{SpanId, TraceContext, TraceId};
use domain::{Random, Timestamp};
use tokio::time::Instant;

use crate::hub::{self, Hub};
use crate::names::SpanName;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Which end of a conversation a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Neither.
    Internal,
    /// Answers a request.
    Server,
    /// Makes one.
    Client,
    /// Puts work into a queue.
    Producer,
    /// Takes it out.
    Consumer,
}

/// What caused a span.
#[derive(Clone, Copy, Debug)]
pub enum Parent {
    /// The span that runs here, or else something unknown in this trace.
    Here(TraceId),
    /// Work elsewhere.
    Remote(TraceContext),
}

/// What is said of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Value {
    /// Anything that prints: an id.
    pub fn of(id: impl Display) -> Self {
        Self::Text(id.to_string())
    }
}

/// A span that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What was done.
    pub name: &'static str,
    /// Which end it was.
    pub kind: Kind,
    /// The trace.
    pub trace: TraceId,
    /// Itself.
    pub id: SpanId,
    /// What caused it.
    pub parent: Option<SpanId>,
    /// Since the epoch.
    pub started_ns: u64,
    /// Since the epoch; never before it started.
    pub ended_ns: u64,
    /// All that is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong, in a word.
    pub error: Option<&'static str>,
}

/// A span under way. It ends when it is dropped. Where no telemetry is installed it is nothing.
#[derive(Debug)]
pub struct Span(Option<Open>);

#[derive(Debug)]
struct Open {
    hub: &'static Hub,
    attributes_allowed: &'static [&'static str],
    clock: Instant,
    finished: Finished,
}

impl Span {
    /// Starts a span now.
    #[must_use]
    pub fn start(name: SpanName, kind: Kind, parent: Parent) -> Self {
        Self(hub::installed().map(|hub| Open::new(hub, name, kind, parent, hub.now())))
    }

    /// A span of the past, which is over already; answers what continues it.
    #[must_use]
    pub fn past(
        name: SpanName,
        kind: Kind,
        parent: Parent,
        from: Timestamp,
        attributes: impl FnOnce() -> Vec<(&'static str, Value)>,
    ) -> Option<TraceContext> {
        let hub = hub::installed()?;
        let mut open = Open::new(hub, name, kind, parent, from);
        open.finished.ended_ns = nanoseconds(hub.now()).max(open.finished.started_ns);
        open.finished.attributes = attributes();
        let context = open.context();
        hub.keep(Arc::new(open.finished));
        Some(context)
    }

    /// Says something of it: one of its name's attributes.
    pub fn set(&mut self, attribute: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.0 {
            debug_assert!(open.attributes_allowed.contains(&attribute), "{attribute} is not among {}'s attributes", open.finished.name);
            open.finished.attributes.push((attribute, value.into()));
        }
    }

    /// The same for what prints, printed only when somebody listens.
    pub fn set_id(&mut self, attribute: &'static str, id: impl Display) {
        if self.0.is_some() {
            self.set(attribute, Value::of(id));
        }
    }

    /// It went wrong: why, in a word.
    pub fn fails(&mut self, error: &'static str) {
        if let Some(open) = &mut self.0 {
            open.finished.error = Some(error);
        }
    }

    /// What continues it.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(Open::context)
    }

    /// Does `work` inside it: spans started there are its children.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        within(self.context(), work).await
    }
}

impl Open {
    fn new(hub: &'static Hub, name: SpanName, kind: Kind, parent: Parent, from: Timestamp) -> Self {
        let parent = match parent {
            Parent::Remote(context) => context,
            Parent::Here(trace) => current().filter(|here| here.trace == trace).unwrap_or(TraceContext { trace, span: None }),
        };
        let finished = Finished {
            name: name.name,
            kind,
            trace: parent.trace,
            id: SpanId::generate(&hub.random),
            parent: parent.span,
            started_ns: nanoseconds(from),
            ended_ns: 0,
            attributes: Vec::with_capacity(name.attributes.len()),
            error: None,
        };
        Self { hub, attributes_allowed: name.attributes, clock: Instant::now(), finished }
    }

    fn context(&self) -> TraceContext {
        TraceContext { trace: self.finished.trace, span: Some(self.finished.id) }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut open) = self.0.take() {
            let took = u64::try_from(open.clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
            open.finished.ended_ns = open.finished.started_ns.saturating_add(took);
            open.hub.keep(Arc::new(open.finished));
        }
    }
}

/// Does `work` inside the span of this context, if any. On the heap: spans stand around the largest futures there are, and each would
/// otherwise hold its own copy of all below on a thread's stack.
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    let work = Box::pin(work);
    match context {
        Some(context) => CURRENT.scope(context, work).await,
        None => work.await,
    }
}

/// The span that runs here.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// The `traceparent` of a request made here under `trace`: its parent is the span that runs here, or a new one that nobody else knows.
#[must_use]
pub fn traceparent(trace: TraceId, random: &Random) -> String {
    match current() {
        Some(TraceContext { trace: here, span: Some(span) }) if here == trace => format!("00-{trace}-{span}-01"),
        _ => trace.traceparent(random),
    }
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or_default().saturating_mul(1_000_000)
}

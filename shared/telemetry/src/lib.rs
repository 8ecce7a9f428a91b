//! What is seen of Waybill from outside: spans and metrics (logs are `runtime`'s).
//!
//! - A [`Span`] is a piece of work with a beginning and an end, under the trace of the request that caused it. Work **starts** one, **runs**
//!   inside it, and the queue carries its [`TraceContext`](domain::trace::TraceContext) to the next function.
//! - [`metrics`] has a function for each thing that is counted or measured.
//! - The process's main **installs** both once, with [`Settings`]; where nobody did, starting a span and counting cost nothing and keep
//!   nothing. What ended is kept until the process **flushes**: to an OTLP collector, and as EMF lines on standard output.
//! - The last spans stay in memory, for a page that shows a delivery's: [`recent`].
//!
//! Nothing that a tenant sent is in a span or a metric: ids, kinds and counts only ([`names`] is the list).

mod emf;
mod export;
mod hub;
pub mod metrics;
pub mod names;
mod otlp;
mod points;
mod settings;
mod span;

pub use hub::{flush, install, recent};
pub use settings::{MetricsFormat, Settings, SettingsError};
pub use span::{Finished, Kind, Parent, Span, Value, current, traceparent, within};

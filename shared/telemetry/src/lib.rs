//! Creates and sends Waybill's spans and metrics with the OpenTelemetry SDK. The `runtime` crate
//! writes log lines.
//!
//! - A [`Span`] covers one piece of work in the trace of the request that caused it. The queue
//!   passes its [`TraceContext`] to the next function.
//! - [`metrics`] has one function for each value that is counted or measured.
//! - The main function of a process calls [`install`] once. Without it, spans and metrics record
//!   nothing and cost nothing.
//! - [`flush`] sends what ended since the last flush, before Lambda freezes the process: traces and
//!   metrics to an OTLP collector, or metrics as CloudWatch lines on standard output.
//!
//! Spans and metrics contain ids, kinds and counts, and no tenant data. [`names`] lists all of
//! them.

mod collector;
mod emf;
pub mod metrics;
pub mod names;
mod pipeline;
pub mod propagation;
mod settings;
mod span;
#[cfg(test)]
mod tests;

pub use opentelemetry::Context as TraceContext;
pub use opentelemetry::context::FutureExt;
pub use opentelemetry::trace::Status;
pub use opentelemetry_sdk::trace::SpanData;
pub use pipeline::{flush, install, recent};
pub use propagation::{current_in, trace_of, without_span};
pub use settings::Settings;
pub use span::Span;

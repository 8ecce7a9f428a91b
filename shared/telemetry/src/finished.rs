//! A span processor that keeps finished spans.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// Keeps the most recent finished spans. It starts no thread and sends nothing by itself, so that
/// Lambda can freeze the process at any time.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    spans: Arc<Mutex<VecDeque<SpanData>>>,
    max: usize,
}

impl Finished {
    pub(crate) fn at_most(max: usize) -> Self {
        Self {
            spans: Arc::default(),
            max,
        }
    }

    pub(crate) fn spans(&self) -> MutexGuard<'_, VecDeque<SpanData>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to `count` of the oldest spans.
    pub(crate) fn take(&self, count: usize) -> Vec<SpanData> {
        let mut spans = self.spans();
        let count = spans.len().min(count);
        spans.drain(..count).collect()
    }

    /// Returns spans that could not be sent. If there are too many, the oldest are dropped.
    pub(crate) fn put_back(&self, batch: Vec<SpanData>) {
        let mut spans = self.spans();
        batch
            .into_iter()
            .rev()
            .for_each(|span| spans.push_front(span));
        let excess = spans.len().saturating_sub(self.max);
        spans.drain(..excess);
    }
}

impl SpanProcessor for Finished {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut spans = self.spans();
        if spans.len() == self.max {
            spans.pop_front();
        }
        spans.push_back(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

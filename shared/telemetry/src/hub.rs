//! Where everything that ended waits to be sent, bounded.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use domain::trace::TraceId;
use domain::{Clock, Random, Timestamp};

use crate::export::{Exporter, Sent};
use crate::names::Metric;
use crate::points::Points;
use crate::{Finished, MetricsFormat, Settings, emf, otlp};

/// Spans that wait to be sent; beyond that the oldest go.
const WAITING_MAX: usize = 4_096;
/// Spans in one request to the collector.
const BATCH_MAX: usize = 1_024;
/// Spans that stay in memory to be looked at.
const RECENT_MAX: usize = 20_000;

static HUB: OnceLock<Hub> = OnceLock::new();

/// The process's telemetry.
pub(crate) struct Hub {
    pub(crate) random: Random,
    clock: Clock,
    settings: Settings,
    exporter: Option<Exporter>,
    remembers: bool,
    state: Mutex<State>,
    flushing: tokio::sync::Mutex<()>,
}

struct State {
    waiting: VecDeque<Arc<Finished>>,
    recent: VecDeque<Arc<Finished>>,
    points: Points,
    since: Timestamp,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Installs the process's telemetry; a second call does nothing. With `remembers`, the last spans can be looked at.
pub fn install(settings: Settings, remembers: bool, clock: Clock, random: Random) {
    let wants_metrics = settings.metrics == MetricsFormat::Emf || settings.metrics_url.is_some();
    if settings.traces_url.is_none() && !wants_metrics && !remembers {
        return;
    }
    drop(HUB.set(Hub::new(settings, remembers, clock, random)));
}

/// Sends what ended since the last time. Takes 300 ms at most; once a collector failed, nothing for half a minute: what ended waits.
pub async fn flush() {
    if let Some(hub) = installed() {
        hub.flush().await;
    }
}

/// The spans of a trace that are still remembered, in the order they ended.
#[must_use]
pub fn recent(trace: TraceId) -> Vec<Arc<Finished>> {
    installed().map(|hub| hub.state().recent.iter().filter(|span| span.trace == trace).cloned().collect()).unwrap_or_default()
}

pub(crate) fn installed() -> Option<&'static Hub> {
    HUB.get()
}

pub(crate) fn record(metric: Metric, attributes: Vec<&'static str>, value: f64) {
    if let Some(hub) = installed().filter(|hub| hub.wants_metrics()) {
        hub.state().points.add(metric, attributes, value);
    }
}

impl Hub {
    fn new(settings: Settings, remembers: bool, clock: Clock, random: Random) -> Self {
        let exporter = Exporter::of(&settings);
        let state = State { waiting: VecDeque::new(), recent: VecDeque::new(), points: Points::default(), since: clock.now() };
        Self { random, clock, settings, exporter, remembers, state: Mutex::new(state), flushing: tokio::sync::Mutex::new(()) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn keep(&self, span: Arc<Finished>) {
        let mut state = self.state();
        if self.remembers {
            bounded(&mut state.recent, RECENT_MAX, span.clone());
        }
        if self.settings.traces_url.is_some() {
            bounded(&mut state.waiting, WAITING_MAX, span);
        }
    }

    fn wants_metrics(&self) -> bool {
        self.settings.metrics == MetricsFormat::Emf || self.settings.metrics_url.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn flush(&self) {
        // Who comes while another flushes has nothing of its own to wait for.
        let Ok(_alone) = self.flushing.try_lock() else { return };
        let now = self.now();
        if self.settings.metrics == MetricsFormat::Emf {
            let points = std::mem::take(&mut self.state().points);
            emf::print(&emf::lines(&points, &self.settings.service, now));
        }
        let Some(exporter) = self.exporter.as_ref().filter(|exporter| exporter.is_open()) else { return };
        let (spans, points, since) = self.take(now);
        let traces = (!spans.is_empty()).then(|| otlp::traces(&spans, &self.settings.service));
        let metrics = (!points.0.is_empty()).then(|| otlp::metrics(&points, &self.settings.service, since, now));
        let sent = exporter.send(traces, metrics).await;
        let mut state = self.state();
        if sent.traces == Sent::NotYet {
            spans.into_iter().rev().for_each(|span| state.waiting.push_front(span));
            let beyond = state.waiting.len().saturating_sub(WAITING_MAX);
            state.waiting.drain(..beyond);
        }
        if sent.metrics == Sent::NotYet {
            state.points.merge(points);
            state.since = since;
        }
    }

    fn take(&self, now: Timestamp) -> (Vec<Arc<Finished>>, Points, Timestamp) {
        let mut state = self.state();
        let count = state.waiting.len().min(BATCH_MAX);
        let spans = state.waiting.drain(..count).collect();
        let since = std::mem::replace(&mut state.since, now);
        (spans, std::mem::take(&mut state.points), since)
    }
}

fn bounded<T>(queue: &mut VecDeque<T>, max: usize, item: T) {
    if queue.len() == max {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::trace::SpanId;
    use kit::collector::Collector;
    use tokio::time::Instant;

    use super::*;
    use crate::Kind;

    fn hub(endpoint: &str) -> Hub {
        let settings = Settings::read("test", |name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then_some(endpoint)).unwrap();
        let (clock, random) = (Clock::new(|| Timestamp::from_millis(1_000)), Random::new(|buffer| buffer.fill(7)));
        Hub::new(settings, true, clock, random)
    }

    fn finished() -> Arc<Finished> {
        let random = Random::new(|buffer| buffer.fill(7));
        Arc::new(Finished {
            name: "waybill.attempt",
            kind: Kind::Consumer,
            trace: TraceId::generate(&random),
            id: SpanId::generate(&random),
            parent: None,
            started_ns: 1,
            ended_ns: 2,
            attributes: Vec::new(),
            error: None,
        })
    }

    /// design.md §8: 300 ms, once, and what was observed waits for better times.
    #[tokio::test]
    async fn a_collector_in_trouble_costs_one_flush_its_budget_and_loses_nothing() {
        for trouble in ["down", "hanging", "failing"] {
            let collector = Collector::start().await;
            match trouble {
                "down" => collector.refuses().await,
                "hanging" => drop(collector.hangs()),
                _ => drop(collector.answers([500])),
            }
            let hub = hub(&collector.endpoint());
            hub.keep(finished());
            hub.state().points.add(Metric::QueueAge, vec!["webhook"], 3.0);
            let began = Instant::now();
            hub.flush().await;
            assert!(began.elapsed() < Duration::from_millis(600), "{trouble}: {:?}", began.elapsed());
            let began = Instant::now();
            hub.flush().await;
            assert!(began.elapsed() < Duration::from_millis(100), "{trouble}, the second time: {:?}", began.elapsed());
            let state = hub.state();
            assert_eq!((state.waiting.len(), state.points.0.len()), (1, 1), "{trouble}");
        }
    }

    #[tokio::test]
    async fn what_ended_is_sent_once_and_remembered() {
        let collector = Collector::start().await;
        let hub = hub(&collector.endpoint());
        hub.keep(finished());
        hub.state().points.add(Metric::QueueAge, vec!["webhook"], 3.0);
        hub.flush().await;
        hub.flush().await;
        assert_eq!(collector.spans().len(), 1);
        assert_eq!(collector.counted("waybill.queue.age", &[("queue", "webhook")]), 3.0);
        let state = hub.state();
        assert_eq!((state.waiting.len(), state.recent.len()), (0, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut queue = VecDeque::new();
        (0..10).for_each(|n| bounded(&mut queue, 3, n));
        assert_eq!(queue, [7, 8, 9]);
    }
}

use std::time::Duration;

use kit::collector::Collector;
use opentelemetry::KeyValue;
use tokio::time::{Instant, sleep};

use crate::names::ATTEMPT;
use crate::pipeline::{Pipeline, RECENT_MAX};
use crate::propagation::new_trace;
use crate::{Settings, Span, TraceContext, trace_of, without_span};

fn pipeline(endpoint: &str) -> Pipeline {
    let settings = Settings {
        service: "test".to_owned(),
        traces_url: Some(format!("{endpoint}/v1/traces")),
        metrics_url: Some(format!("{endpoint}/v1/metrics")),
        emf: false,
        headers: http::HeaderMap::new(),
    };
    Pipeline::new(&settings, true).unwrap()
}

/// Starts and ends a span with this parent.
fn span(pipeline: &Pipeline, parent: &TraceContext) -> TraceContext {
    let now = opentelemetry::time::now();
    Span::open(Some(pipeline), ATTEMPT, parent, now).context()
}

/// Starts and ends the first span of a trace.
fn root(pipeline: &Pipeline) -> TraceContext {
    span(pipeline, &without_span(new_trace()))
}

fn record_queue_age(pipeline: &Pipeline) {
    let attributes = [KeyValue::new("queue", "webhook")];
    pipeline.instruments.queue_age.record(3.0, &attributes);
}

fn is_idle(pipeline: &Pipeline) -> bool {
    let mut flushers = pipeline.flushers.iter();
    flushers.all(|flusher| flusher.0.try_lock().is_ok())
}

/// Waits until the collector has accepted everything that was flushed.
async fn accepted(pipeline: &Pipeline) {
    for _ in 0..100 {
        if is_idle(pipeline) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the collector has not accepted everything");
}

/// A flush takes 300 ms, the next ones do not wait, and what was not accepted is sent later.
#[tokio::test]
async fn a_failing_collector_costs_at_most_one_flush_budget_and_loses_nothing() {
    for trouble in ["down", "hanging", "failing"] {
        let collector = Collector::start().await;
        match trouble {
            "down" => collector.refuses().await,
            "hanging" => drop(collector.hangs()),
            _ => drop(collector.answers([500])),
        }
        let pipeline = pipeline(&collector.endpoint());
        let ended = root(&pipeline);
        record_queue_age(&pipeline);
        let began = Instant::now();
        pipeline.flush().await;
        assert!(
            began.elapsed() < Duration::from_millis(600),
            "{trouble}: {:?}",
            began.elapsed()
        );
        let began = Instant::now();
        pipeline.flush().await;
        assert!(
            began.elapsed() < Duration::from_millis(100),
            "{trouble}, the second time: {:?}",
            began.elapsed()
        );
        assert!(!is_idle(&pipeline), "{trouble}");
        let later = root(&pipeline);
        collector.forget();
        match trouble {
            "down" => collector.accepts().await,
            "hanging" => drop(collector.delays(Duration::ZERO)),
            _ => drop(collector.answers([200])),
        }
        accepted(&pipeline).await;
        pipeline.flush().await;
        accepted(&pipeline).await;
        let traces: Vec<String> = collector
            .spans()
            .into_iter()
            .map(|span| span.trace)
            .collect();
        assert_eq!(
            traces,
            [trace_of(&ended).to_string(), trace_of(&later).to_string()],
            "{trouble}"
        );
        assert_eq!(
            collector.counted("waybill.queue.age", &[("queue", "webhook")]),
            3.0,
            "{trouble}"
        );
    }
}

#[tokio::test]
async fn metrics_that_a_failing_collector_refused_are_sent_with_the_later_ones() {
    let collector = Collector::start().await;
    collector.path("/v1/metrics").answers([503, 200]);
    let pipeline = pipeline(&collector.endpoint());
    let attributes = ["destination_type", "outcome"].map(|name| KeyValue::new(name, "x"));
    pipeline.instruments.attempt_took.record(7.0, &attributes);
    pipeline.flush().await;
    pipeline.instruments.attempt_took.record(200.0, &attributes);
    accepted(&pipeline).await;
    pipeline.flush().await;
    accepted(&pipeline).await;
    let of = [("destination_type", "x"), ("outcome", "x")];
    assert_eq!(
        collector.counted("waybill.attempt.duration", &of),
        3.0,
        "one is sent twice, one once"
    );
}

/// A request that the collector rejects would be rejected again.
#[tokio::test]
async fn a_request_that_the_collector_rejects_is_sent_once() {
    let collector = Collector::start().await;
    collector.answers([400, 200]);
    let pipeline = pipeline(&collector.endpoint());
    root(&pipeline);
    pipeline.flush().await;
    accepted(&pipeline).await;
    let later = root(&pipeline);
    pipeline.flush().await;
    accepted(&pipeline).await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[1].trace, trace_of(&later).to_string());
}

#[tokio::test]
async fn an_ended_span_is_sent_once_and_stays_in_memory() {
    let collector = Collector::start().await;
    let pipeline = pipeline(&collector.endpoint());
    let ended = root(&pipeline);
    record_queue_age(&pipeline);
    pipeline.flush().await;
    accepted(&pipeline).await;
    pipeline.flush().await;
    assert_eq!(
        collector.requests().len(),
        2,
        "one request with the span and one with the metric"
    );
    assert_eq!(collector.spans().len(), 1);
    assert_eq!(collector.spans()[0].trace, trace_of(&ended).to_string());
    assert_eq!(
        collector.counted("waybill.queue.age", &[("queue", "webhook")]),
        3.0
    );
    assert_eq!(pipeline.recent.of(trace_of(&ended)).len(), 1);
}

/// The trace id of a request is known before its first span, and a retry continues a trace of which
/// no span is known.
#[tokio::test]
async fn a_span_takes_the_trace_that_it_is_given_with_and_without_a_parent() {
    let collector = Collector::start().await;
    let pipeline = pipeline(&collector.endpoint());
    let given = new_trace();
    let root = span(&pipeline, &without_span(given));
    let child = span(&pipeline, &root);
    assert_eq!((trace_of(&root), trace_of(&child)), (given, given));
    pipeline.flush().await;
    accepted(&pipeline).await;
    let spans = collector.spans();
    assert_eq!(
        (spans[0].parent.as_str(), &spans[1].parent),
        ("", &spans[0].id)
    );
}

#[tokio::test]
async fn memory_is_bounded() {
    let pipeline = pipeline("http://127.0.0.1:9");
    let first = root(&pipeline);
    let others: Vec<_> = (0..RECENT_MAX).map(|_| root(&pipeline)).collect();
    assert!(
        pipeline.recent.of(trace_of(&first)).is_empty(),
        "the oldest goes"
    );
    for recorded in [others.first(), others.last()] {
        assert_eq!(pipeline.recent.of(trace_of(recorded.unwrap())).len(), 1);
    }
}

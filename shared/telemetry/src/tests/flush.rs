use std::time::Duration;

use domain::trace::TraceContext;
use kit::collector::Collector;
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _};
use tokio::time::Instant;

use crate::Settings;
use crate::names::{ATTEMPT_DURATION, QUEUE_AGE};
use crate::pipeline::{Pipeline, with_new_trace_id};
use crate::propagation::{context_of, domain_context, new_trace};

fn pipeline(endpoint: &str) -> Pipeline {
    let endpoint_only = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then_some(endpoint);
    Pipeline::new(&Settings::read("test", endpoint_only).unwrap(), true)
}

/// Starts and ends a span at this place of a trace.
fn span(pipeline: &Pipeline, place: TraceContext) -> TraceContext {
    let builder = pipeline
        .tracer
        .span_builder("waybill.attempt")
        .with_kind(SpanKind::Consumer);
    let parent = context_of(place, true);
    let span = with_new_trace_id(place.trace, || {
        pipeline.tracer.build_with_context(builder, &parent)
    });
    let context = opentelemetry::Context::new().with_span(span);
    domain_context(context.span().span_context()).unwrap()
}

/// A flush takes 300 ms, tries once, and keeps what was not accepted.
#[tokio::test]
async fn a_collector_in_trouble_costs_one_flush_its_budget_and_loses_nothing() {
    for trouble in ["down", "hanging", "failing"] {
        let collector = Collector::start().await;
        match trouble {
            "down" => collector.refuses().await,
            "hanging" => drop(collector.hangs()),
            _ => drop(collector.answers([500])),
        }
        let pipeline = pipeline(&collector.endpoint());
        span(&pipeline, new_trace());
        pipeline.record(QUEUE_AGE, &["webhook"], 3.0);
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
        assert_eq!(pipeline.waiting(), (1, 1), "{trouble}");
    }
}

#[tokio::test]
async fn metrics_that_a_failing_collector_refused_are_sent_with_the_later_ones() {
    let collector = Collector::start().await;
    collector.answers([503, 503, 200]);
    let pipeline = pipeline(&collector.endpoint());
    pipeline.record(ATTEMPT_DURATION, &["webhook", "delivered"], 7.0);
    span(&pipeline, new_trace());
    pipeline.flush().await;
    pipeline.record(ATTEMPT_DURATION, &["webhook", "delivered"], 200.0);
    span(&pipeline, new_trace());
    pipeline.collector_works_again();
    pipeline.flush().await;
    let of = [("destination_type", "webhook"), ("outcome", "delivered")];
    assert_eq!(
        collector.counted("waybill.attempt.duration", &of),
        3.0,
        "one is sent twice, one once"
    );
    assert_eq!(pipeline.waiting(), (0, 0));
}

#[tokio::test]
async fn what_ended_is_sent_once_and_stays_in_memory() {
    let collector = Collector::start().await;
    let pipeline = pipeline(&collector.endpoint());
    let ended = span(&pipeline, new_trace());
    pipeline.record(QUEUE_AGE, &["webhook"], 3.0);
    pipeline.flush().await;
    pipeline.flush().await;
    assert_eq!(
        collector.requests().len(),
        2,
        "one request with the span and one with the metric"
    );
    assert_eq!(collector.spans().len(), 1);
    assert_eq!(collector.spans()[0].trace, ended.trace.to_string());
    assert_eq!(
        collector.counted("waybill.queue.age", &[("queue", "webhook")]),
        3.0
    );
    assert_eq!(pipeline.recent(ended.trace).len(), 1);
}

/// The trace id of a request is known before its first span, and a retry continues a trace of which
/// no span is known.
#[tokio::test]
async fn a_span_takes_the_trace_that_it_is_given_with_and_without_a_parent() {
    let collector = Collector::start().await;
    let pipeline = pipeline(&collector.endpoint());
    let given = new_trace();
    let root = span(&pipeline, given);
    let child = span(&pipeline, root);
    assert_eq!((root.trace, child.trace), (given.trace, given.trace));
    pipeline.flush().await;
    let spans = collector.spans();
    assert_eq!(
        (spans[0].parent.as_str(), &spans[1].parent),
        ("", &spans[0].id)
    );
}

#[test]
fn memory_is_bounded() {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    let kept = crate::finished::Finished::at_most(3);
    let tracer = SdkTracerProvider::builder()
        .with_span_processor(kept.clone())
        .build()
        .tracer("test");
    (0..10).for_each(|n| drop(tracer.start(n.to_string())));
    let names = || {
        kept.spans()
            .iter()
            .map(|span| span.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(), ["7", "8", "9"]);
    let batch = kept.take(2);
    assert_eq!(names(), ["9"]);
    drop(tracer.start("10"));
    kept.put_back(batch);
    assert_eq!(names(), ["8", "9", "10"], "the oldest go");
}

impl Pipeline {
    /// Returns how many spans and how many batches of metrics wait to be sent.
    fn waiting(&self) -> (usize, usize) {
        let (_, spans) = self.traces.as_ref().unwrap();
        (
            spans.spans().len(),
            self.unsent.try_lock().unwrap().iter().count(),
        )
    }

    fn collector_works_again(&self) {
        self.collector.as_ref().unwrap().resume();
    }
}

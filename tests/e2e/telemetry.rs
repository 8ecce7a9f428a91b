//! The telemetry of the running process: one trace, the metrics, and no data of tenants.

use std::time::Duration;

use kit::collector::{Collector, Span};
use kit::sink::Sink;
use kit::stack::Stack;
use serde_json::json;

use crate::stage;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENTS_SPAN: &str = "00f067aa0ba902b7";
const SOON: Duration = Duration::from_secs(20);

async fn observed_by(collector: &Collector) -> Stack {
    stage::launch()
        .environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())
        .environment("LOG_LEVEL", "debug")
        .start()
        .await
}

fn one<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    spans
        .iter()
        .find(|span| span.name == name)
        .unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

/// The collector and the log receive only ids, kinds, counts and times.
#[tokio::test]
async fn a_collector_sees_one_trace_from_the_client_to_the_receiver_and_no_secret() {
    let (collector, sink) = (Collector::start().await, Sink::start().await);
    let stack = observed_by(&collector).await;
    let acme = stack.organization("Acme").await;
    let token = "planted-token-0123456789";
    let (good, bad) = (sink.path("/good"), sink.path("/bad"));
    let destination = acme
        .destination()
        .webhook(&good)
        .credentials(json!({"kind": "bearer", "token": token}))
        .create()
        .await;
    let failing = acme
        .destination()
        .webhook(&bad)
        .retry(json!({"initial_seconds": 1, "jitter": 0}))
        .create()
        .await;
    bad.answers([500, 200]);
    let request = json!({
        "event_type": "report.ready", "payload": {"note": "planted-payload-0123456789"},
        "destination_ids": [destination.id, failing.id],
        "metadata": {"who": "planted-metadata-0123456789"},
    });
    let header = format!("00-{TRACE}-{CLIENTS_SPAN}-01");
    let accepted = acme
        .call(http::Method::POST, "/v1/messages")
        .header("traceparent", &header)
        .json(&request)
        .send()
        .await;
    let message = acme.message(accepted.ok(202));
    message.settles().await;

    let expected = [
        ("waybill.request", 1),
        ("waybill.submit", 1),
        ("waybill.queue", 3),
        ("waybill.attempt", 3),
        ("waybill.settle", 3),
    ];
    let spans = collector.trace(TRACE, &expected).await;
    let (request, submit) = (
        one(&spans, "waybill.request"),
        one(&spans, "waybill.submit"),
    );
    assert_eq!(request.parent, CLIENTS_SPAN);
    assert_eq!(
        (
            request.attributes["http.request.method"].as_str(),
            request.attributes["http.response.status_code"].as_str()
        ),
        ("POST", "202")
    );
    assert_eq!(submit.parent, request.id);
    assert_eq!(submit.attributes["waybill.message"], message.id);
    let queued = spans
        .iter()
        .filter(|span| span.name == "waybill.queue")
        .collect::<Vec<_>>();
    assert!(
        queued.iter().all(|span| span.parent == submit.id),
        "{spans:#?}"
    );
    let received = good.requests();
    let sent = received
        .iter()
        .filter_map(|request| request.header("traceparent"))
        .find(|sent| sent.contains(TRACE))
        .expect("the same trace");
    let send = spans
        .iter()
        .find(|span| sent == format!("00-{TRACE}-{}-01", span.id))
        .expect("the receiver's parent is a span of ours");
    assert_eq!(send.name, "waybill.send");
    let attempt = spans
        .iter()
        .find(|span| span.id == send.parent)
        .expect("the attempt");
    assert_eq!(
        (
            attempt.name.as_str(),
            attempt.attributes["waybill.outcome"].as_str()
        ),
        ("waybill.attempt", "delivered")
    );
    assert_eq!(attempt.attributes["waybill.destination"], destination.id);
    assert!(queued.iter().any(|span| span.id == attempt.parent));
    let delivery = message.delivery(0).read().await;
    assert_eq!(delivery["attempts"][0]["trace_id"], TRACE);

    let webhook = |outcome| [("destination_type", "webhook"), ("outcome", outcome)];
    collector
        .counts("waybill.deliveries", &webhook("succeeded"), 2.0)
        .await;
    collector
        .counts("waybill.attempts", &webhook("delivered"), 2.0)
        .await;
    collector
        .counts("waybill.attempts", &webhook("retry"), 1.0)
        .await;
    collector
        .counts("waybill.attempt.duration", &webhook("delivered"), 2.0)
        .await;
    collector
        .counts(
            "waybill.delivery.latency",
            &[("destination_type", "webhook")],
            2.0,
        )
        .await;
    collector
        .counts(
            "waybill.failures",
            &[("destination_type", "webhook"), ("reason", "server_error")],
            1.0,
        )
        .await;

    let exported: Vec<u8> = collector
        .requests()
        .iter()
        .flat_map(|request| request.body.to_vec())
        .chain(stack.log().into_bytes())
        .collect();
    let exported = String::from_utf8_lossy(&exported);
    for planted in [
        token,
        "planted-payload",
        "planted-metadata",
        acme.plain_key(),
        destination.signing_secret(),
    ] {
        assert!(
            !exported.contains(planted),
            "{planted} is in a span, a metric or a log line"
        );
    }
    assert!(
        stack.log().contains(&message.id),
        "log lines say which message they are about"
    );
}

/// Thresholds that are exceeded are counted by a metric.
#[tokio::test]
async fn refusals_for_security_reasons_are_counted() {
    let collector = Collector::start().await;
    let stack = observed_by(&collector).await;
    let acme = stack.organization("Acme").await;
    let mut key = acme.plain_key().to_owned();
    let last = if key.ends_with('A') { 'B' } else { 'A' };
    key.pop();
    key.push(last);
    assert_eq!(
        stack
            .anonymous()
            .with_key(&key)
            .get("/v1/organization")
            .await
            .status,
        401
    );
    collector
        .counts(
            "waybill.security.events",
            &[("event", "authentication_failed")],
            1.0,
        )
        .await;
}

/// A collector that fails delays no delivery and no request.
#[tokio::test]
async fn a_collector_that_is_down_hangs_or_fails_costs_no_delivery() {
    for trouble in ["down", "hanging", "failing"] {
        let (collector, sink) = (Collector::start().await, Sink::start().await);
        match trouble {
            "down" => collector.refuses().await,
            "hanging" => drop(collector.hangs()),
            _ => drop(collector.answers([500])),
        }
        let mut stack = observed_by(&collector).await;
        let acme = stack.organization("Acme").await;
        let destination = acme.destination().webhook(&sink).create().await;
        for n in 0..5 {
            acme.send([&destination], json!(n))
                .await
                .settles_within(SOON)
                .await;
        }
        assert_eq!(sink.count(), 5, "{trouble}");
        let (code, took) = stack.stop().await;
        assert_eq!(code, Some(0), "{trouble}");
        assert!(
            took < Duration::from_secs(10),
            "{trouble}: stopped after {took:?}"
        );
    }
}

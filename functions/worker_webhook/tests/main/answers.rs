use std::time::Duration;

use domain::Reason;
use domain::destination::Destination;
use domain::receipt::Receipt;
use domain::settle::Outcome;
use kit::sink::{Reply, Sink};
use kit::tls::Authority;
use tokio::time::Instant;

use crate::Bench;

async fn impatient(bench: &Bench) -> Destination {
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).timeout_seconds = 1;
    destination
}

#[tokio::test]
async fn a_2xx_is_delivered_and_recorded_as_it_was() {
    let bench = Bench::new().await;
    let destination = bench.destination().await;
    bench.sink.answers_with(
        201,
        &[("x-request-id", "req_7"), ("location", "/reports/7")],
        "taken",
    );
    let attempted = bench.deliver(&destination).await;
    assert_eq!(
        attempted.outcome,
        Outcome::delivered(Receipt::HttpResponse {
            id: Some("req_7".to_owned()),
            status: 201
        })
    );
    assert_eq!(attempted.detail, "the receiver answered 201 Created");
    let request = attempted.request.unwrap();
    assert_eq!(
        (request.method.as_str(), request.url, request.size_bytes),
        ("POST", bench.sink.url(), 24)
    );
    assert_eq!(
        request.body_sha256,
        "c4a165632e12309db27e42855f9fa9c1bac75ddc68326018301284668222ad38"
    );
    let response = attempted.response.unwrap();
    assert_eq!(
        (response.status, response.body.as_str(), response.truncated),
        (201, "taken", false)
    );
    assert!(
        response
            .headers
            .contains(&("location".to_owned(), "/reports/7".to_owned()))
    );
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_its_target_is_never_contacted() {
    let (bench, elsewhere) = (Bench::new().await, Sink::start().await);
    bench.sink.redirects_to(&elsewhere.url());
    let attempted = bench.deliver(&bench.destination().await).await;
    assert_eq!(attempted.outcome, Outcome::ClientError(Reason::Rejected));
    assert_eq!(attempted.response.unwrap().status, 302);
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn retry_after_is_read_off_the_answer() {
    let bench = Bench::new().await;
    let destination = bench.destination().await;
    bench.sink.replies([
        Reply::status(503).header("retry-after", "90"),
        Reply::status(429),
        Reply::status(410),
    ]);
    let throttled = bench.deliver(&destination).await;
    assert_eq!(
        throttled.outcome,
        Outcome::Throttled(Reason::RateLimited, Duration::from_secs(90))
    );
    assert_eq!(
        throttled.detail,
        "the receiver answered 503 Service Unavailable and asked for 90 s of rest"
    );
    assert_eq!(
        bench.deliver(&destination).await.outcome,
        Outcome::Throttled(Reason::RateLimited, Duration::ZERO)
    );
    assert_eq!(
        bench.deliver(&destination).await.outcome,
        Outcome::Gone(Reason::Rejected)
    );
}

#[tokio::test]
async fn a_response_that_drips_or_never_ends_costs_a_bounded_time_and_memory() {
    let bench = Bench::new().await;
    let destination = impatient(&bench).await;
    bench.sink.replies([
        Reply::drip(1000, Duration::from_millis(50)),
        Reply::endless(),
    ]);
    for _ in 0..2 {
        let started = Instant::now();
        let attempted = bench.deliver(&destination).await;
        assert!(
            matches!(attempted.outcome, Outcome::Delivered(_)),
            "the status line decided"
        );
        let response = attempted.response.unwrap();
        assert!(
            response.truncated
                && response.body.len() <= 4096
                && started.elapsed() < Duration::from_secs(3)
        );
    }
}

#[tokio::test]
async fn no_answer_is_a_failure_by_its_kind_with_the_request_on_record() {
    let bench = Bench::new().await;
    let destination = impatient(&bench).await;
    let fails = async |destination: &Destination| {
        let attempted = bench.deliver(destination).await;
        assert!(
            attempted.request.is_some()
                && attempted.response.is_none()
                && !attempted.detail.is_empty()
        );
        attempted.outcome
    };
    bench.sink.drops();
    assert_eq!(fails(&destination).await, Outcome::Retry(Reason::Protocol));
    bench.sink.hangs();
    assert_eq!(fails(&destination).await, Outcome::Retry(Reason::Timeout));
    bench.sink.refuses().await;
    assert_eq!(fails(&destination).await, Outcome::Retry(Reason::Connect));
    let at = async |url: &str| {
        let mut destination = destination.clone();
        samples::settings(&mut destination).url = Some(url.to_owned());
        fails(&destination).await
    };
    assert_eq!(
        at("http://name.invalid/").await,
        Outcome::Retry(Reason::Dns)
    );
    assert_eq!(
        at("http://127.0.0.3/").await,
        Outcome::Reject(Reason::BlockedAddress)
    );
    assert_eq!(
        at("http://169.254.169.254/latest/meta-data").await,
        Outcome::Reject(Reason::BlockedAddress)
    );
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_tls() {
    let trusted = Authority::new();
    let good = Bench::with(
        Sink::start_tls(trusted.server(&["127.0.0.1"], &["h2"])).await,
        trusted.roots(),
    );
    assert!(matches!(
        good.deliver(&good.destination().await).await.outcome,
        Outcome::Delivered(_)
    ));
    let stranger = Bench::with(
        Sink::start_tls(Authority::new().server(&["127.0.0.1"], &[])).await,
        trusted.roots(),
    );
    assert_eq!(
        stranger
            .deliver(&stranger.destination().await)
            .await
            .outcome,
        Outcome::Retry(Reason::Tls)
    );
    assert_eq!(stranger.sink.count(), 0);
}

#[tokio::test]
async fn an_address_that_the_deployment_does_not_allow_any_more_is_misconfigured() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).url = Some("ftp://receiver.example/".to_owned());
    let attempted = bench.deliver(&destination).await;
    assert_eq!(
        (attempted.outcome, attempted.request),
        (Outcome::Reject(Reason::Misconfigured), None)
    );
}

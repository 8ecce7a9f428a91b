//! The cases of the connector contract.

use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::check::StepName;
use domain::delivery::Delivery;
use domain::settle::Outcome;
use futures_util::{StreamExt as _, stream};
use kit::line::{Line, LineBehaviour};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use worker::{Payload, Unavailable};

use crate::test_services::{merged, within};
use crate::trial::{Trial, delivery, noise, pieces, streamed};
use crate::{STREAMED_BYTES, ServerAddress, Subject};

const MIB: usize = 1 << 20;
/// The time limit of attempts that are meant to time out.
const IMPATIENT_SECONDS: u64 = 2;
/// How much longer than its time limit an attempt may take on a loaded machine.
const MARGIN: Duration = Duration::from_secs(8);

fn delivery_of<S: Subject>(_: &Trial<S>, bytes: &Bytes) -> Delivery {
    delivery(S::DESTINATION, bytes)
}

pub(crate) async fn delivered<S: Subject>(trial: &Trial<S>) {
    let destination = trial.destination().await;
    for size in [0, 1, MIB] {
        let bytes = noise(size);
        let arrived = trial
            .delivers(&destination, &delivery_of(trial, &bytes), &bytes)
            .await;
        assert_eq!(arrived.len(), 1, "{size} bytes arrived once");
    }
}

pub(crate) async fn large<S: Subject>(trial: &Trial<S>) {
    let destination = trial.destination().await;
    let bytes = noise(large_bytes::<S>());
    assert_eq!(
        trial
            .delivers(&destination, &delivery_of(trial, &bytes), &bytes)
            .await
            .len(),
        1
    );
}

/// Returns the size of the large payload. 1 GiB needs a release build, so it must be requested.
#[allow(
    clippy::disallowed_methods,
    reason = "whoever runs a test chooses its size"
)]
fn large_bytes<S: Subject>() -> usize {
    match std::env::var("WAYBILL_TEST_LARGE_MIB") {
        Ok(mib) if S::LARGE_BYTES == STREAMED_BYTES => {
            mib.parse::<usize>().expect("a number of MiB") << 20
        }
        _ => S::LARGE_BYTES,
    }
}

pub(crate) async fn delivered_again<S: Subject>(trial: &Trial<S>) {
    let destination = trial.destination().await;
    let bytes = noise(100_000);
    let delivery = delivery_of(trial, &bytes);
    let first = trial.delivers(&destination, &delivery, &bytes).await;
    let again = trial.delivers(&destination, &delivery, &bytes).await;
    assert!(
        again.iter().all(|arrival| *arrival == first[0]),
        "both have one identity: {first:?} {again:?}"
    );
    if S::IS_IDEMPOTENT {
        assert_eq!(again.len(), 1, "one copy: {again:?}");
    }
}

pub(crate) async fn refused<S: Subject>(trial: &Trial<S>) {
    for mistake in trial.subject.mistakes() {
        let settings = merged(trial.subject.settings(&trial.address()), &mistake.settings);
        let destination = trial
            .destination_of(within(settings, 20), &mistake.login)
            .await;
        let bytes = noise(1000);
        let delivery = delivery_of(trial, &bytes);
        let attempted = trial
            .attempt(&destination, &delivery, streamed(&bytes))
            .await
            .unwrap();
        assert_eq!(
            attempted.outcome.reason(),
            Some(mistake.reason),
            "{}: {}",
            mistake.name,
            attempted.detail
        );
        trial.nothing_arrived(&delivery, mistake.name).await;
    }
}

pub(crate) async fn unreachable<S: Subject>(trial: &Trial<S>) {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = ("127.0.0.1", port, Reason::Connect, StepName::Connect);
    let unresolvable = (
        "no-such-host.invalid",
        trial.subject.port(),
        Reason::Dns,
        StepName::Resolve,
    );
    for (host, port, reason, step) in [refused, unresolvable] {
        let destination = trial
            .destination_at(
                &ServerAddress {
                    host: host.to_owned(),
                    port,
                },
                10,
            )
            .await;
        let bytes = noise(10);
        let attempted = trial
            .attempt(&destination, &delivery_of(trial, &bytes), streamed(&bytes))
            .await
            .unwrap();
        assert_eq!(
            attempted.outcome,
            Outcome::Retry(reason),
            "{host}: {}",
            attempted.detail
        );
        let report = trial.check(&destination).await;
        assert_eq!(
            report.failed_step().map(|step| step.name),
            Some(step),
            "{host}: {report:?}"
        );
    }
}

pub(crate) async fn silent_server<S: Subject>(trial: &Trial<S>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let address = ServerAddress {
        port,
        ..trial.address()
    };
    times_out(trial, &address, 10, Reason::Timeout).await;
    let destination = trial.destination_at(&address, IMPATIENT_SECONDS).await;
    let report = trial.check(&destination).await;
    assert!(!report.ok, "the check does not pass either: {report:?}");
    accepting.abort();
}

pub(crate) async fn time_limit<S: Subject>(trial: &Trial<S>) {
    let line = Line::to(trial.subject.port(), LineBehaviour::Silent(400_000)).await;
    let address = ServerAddress {
        port: line.port,
        ..trial.address()
    };
    times_out(trial, &address, 4 * MIB, S::time_limit_reason()).await;
}

async fn times_out<S: Subject>(
    trial: &Trial<S>,
    address: &ServerAddress,
    size: usize,
    reason: Reason,
) {
    let destination = trial.destination_at(address, IMPATIENT_SECONDS).await;
    let bytes = noise(size);
    let delivery = delivery_of(trial, &bytes);
    let started = Instant::now();
    let attempted = trial
        .attempt(&destination, &delivery, streamed(&bytes))
        .await
        .unwrap();
    assert_eq!(
        attempted.outcome,
        Outcome::Retry(reason),
        "{}",
        attempted.detail
    );
    let most = Duration::from_secs(IMPATIENT_SECONDS) + MARGIN;
    assert!(started.elapsed() < most, "{:?}", started.elapsed());
    trial.nothing_arrived(&delivery, "the time limit").await;
}

pub(crate) async fn blocked_address<S: Subject>(trial: &Trial<S>) {
    let line = Line::to(trial.subject.port(), LineBehaviour::Delayed(Duration::ZERO)).await;
    // The guard allows only the first loopback address.
    for host in ["127.0.0.2", "10.0.0.1", "169.254.169.254", "0.0.0.0"] {
        let destination = trial
            .destination_at(
                &ServerAddress {
                    host: host.to_owned(),
                    port: line.port,
                },
                10,
            )
            .await;
        let bytes = noise(10);
        let attempted = trial
            .attempt(&destination, &delivery_of(trial, &bytes), streamed(&bytes))
            .await
            .unwrap();
        assert_eq!(
            attempted.outcome,
            Outcome::Reject(Reason::BlockedAddress),
            "{host}: {}",
            attempted.detail
        );
        let report = trial.check(&destination).await;
        assert_eq!(
            report.failed_step().map(|step| step.name),
            Some(StepName::Resolve),
            "{host}: {report:?}"
        );
    }
    assert_eq!(line.open_connections(), 0);
}

pub(crate) async fn cancelled<S: Subject>(trial: &Trial<S>) {
    let destination = trial.destination().await;
    let bytes = noise(2 * MIB);
    let started = Instant::now();
    trial
        .delivers(&destination, &delivery_of(trial, &bytes), &bytes)
        .await;
    let whole = started.elapsed();
    for part in 1..=8_u32 {
        let delivery = delivery_of(trial, &bytes);
        let attempt = trial.attempt(&destination, &delivery, streamed(&bytes));
        drop(timeout(whole * part / 8, attempt).await);
        tokio::time::sleep(S::WORKS_ON).await;
        for arrival in trial.subject.arrived(&delivery).await {
            assert_eq!(
                arrival.sha256,
                crate::trial::sha256(&bytes),
                "after {part}/8: half of it is visible"
            );
        }
        let arrived = trial.delivers(&destination, &delivery, &bytes).await;
        assert!(
            !S::IS_IDEMPOTENT || arrived.len() == 1,
            "after {part}/8: {arrived:?}"
        );
    }
}

/// Runs with a payload store that fails after `sent` bytes of a payload.
pub(crate) async fn payload_store_down<S: Subject>(trial: &Trial<S>, sent: usize) {
    let destination = trial.destination().await;
    let bytes = noise(4 * MIB);
    for ends_early in [false, true] {
        let delivery = delivery_of(trial, &bytes);
        let mut pieces = pieces(&bytes.slice(..sent));
        if !ends_early {
            pieces.push(Err(Unavailable::new("the payload store is down")));
        }
        let payload = Payload::streamed(bytes.len() as u64, stream::iter(pieces));
        let attempted = trial.attempt(&destination, &delivery, payload).await;
        assert!(
            attempted.is_err(),
            "after {sent} bytes it counts as an attempt: {attempted:?}"
        );
        trial
            .nothing_arrived(&delivery, "the payload store failed")
            .await;
    }
}

pub(crate) async fn payload_store_down_midway<S: Subject>(trial: &Trial<S>) {
    for sent in [1, 100_000, 3 * MIB, 4 * MIB - 1] {
        payload_store_down(trial, sent).await;
    }
}

pub(crate) async fn payload_store_stalls<S: Subject>(trial: &Trial<S>) {
    let destination = trial
        .destination_at(&trial.address(), IMPATIENT_SECONDS)
        .await;
    let bytes = noise(4 * MIB);
    for sent in [0, 100_000, 3 * MIB] {
        let delivery = delivery_of(trial, &bytes);
        let pieces = stream::iter(pieces(&bytes.slice(..sent))).chain(stream::pending());
        let payload = Payload::streamed(bytes.len() as u64, pieces);
        let attempted = trial.attempt(&destination, &delivery, payload).await;
        assert!(
            attempted.is_err(),
            "after {sent} bytes it counts as an attempt: {attempted:?}"
        );
        trial
            .nothing_arrived(&delivery, "the payload store stopped answering")
            .await;
    }
}

pub(crate) async fn secret_store_down<S: Subject>(trial: &Trial<S>) {
    let destination = trial.destination().await;
    trial.services.secret_store_is_down();
    is_ours(trial, &destination).await;
    let report = trial.check(&destination).await;
    let failed = report.failed_step().expect("the check does not pass");
    assert!(failed.detail.contains("try again"), "{}", failed.detail);
}

pub(crate) async fn secret_store_stalls<S: Subject>(trial: &Trial<S>) {
    let destination = trial
        .destination_at(&trial.address(), IMPATIENT_SECONDS)
        .await;
    trial.services.secret_store_stalls();
    is_ours(trial, &destination).await;
}

async fn is_ours<S: Subject>(trial: &Trial<S>, destination: &domain::destination::Destination) {
    let bytes = noise(1000);
    let delivery = delivery_of(trial, &bytes);
    let attempted = trial
        .attempt(destination, &delivery, streamed(&bytes))
        .await;
    assert!(attempted.is_err(), "it counts as an attempt: {attempted:?}");
    trial
        .nothing_arrived(&delivery, "the secrets were not opened")
        .await;
}

pub(crate) async fn check_agrees_with_delivery<S: Subject>(trial: &Trial<S>) {
    let destination = trial.destination().await;
    let report = trial.check(&destination).await;
    assert!(report.ok, "{report:?}");
    let bytes = noise(1000);
    trial
        .delivers(&destination, &delivery_of(trial, &bytes), &bytes)
        .await;
    for mistake in trial.subject.mistakes() {
        let settings = merged(trial.subject.settings(&trial.address()), &mistake.settings);
        let destination = trial
            .destination_of(within(settings, 20), &mistake.login)
            .await;
        let report = trial.check(&destination).await;
        assert!(!report.ok, "{}: the check passes: {report:?}", mistake.name);
        let attempted = trial
            .attempt(&destination, &delivery_of(trial, &bytes), streamed(&bytes))
            .await
            .unwrap();
        assert!(
            attempted.outcome.reason().is_some(),
            "{}: it is delivered",
            mistake.name
        );
    }
}

//! Tests Amazon SES. It has no idempotency: a message that was sent once and not confirmed may have
//! been delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use domain::Reason;
use domain::settle::Outcome;
use local_aws::Fault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::bench::{Bench, small};

const MINUTE: Duration = Duration::from_secs(60);

/// Makes SES accept every message and answer no request. Returns the number of requests.
fn takes_and_never_answers(bench: &Bench) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    bench
        .engines
        .install_faults(move |call| match call.operation.as_str() {
            "SendEmail" => {
                counter.fetch_add(1, Ordering::SeqCst);
                Fault::HangAfter
            }
            _ => Fault::None,
        });
    asked
}

#[tokio::test]
async fn a_message_that_ses_did_not_confirm_is_sent_once_and_again_at_a_mail_servers_pace() {
    let call_max = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(300))
        .build();
    // In the first case the attempt's deadline passes first, in the second the SDK's own time
    // limit.
    for (timeout_seconds, limit, expected) in [
        (1, None, Reason::Timeout),
        (20, Some(call_max), Reason::Protocol),
    ] {
        let bench = Bench::of_ses(timeout_seconds, |aws| match limit {
            Some(limit) => aws.to_builder().timeout_config(limit).build(),
            None => aws,
        });
        let bench = bench.await;
        let asked = takes_and_never_answers(&bench);
        let attempted = bench.deliver(&small(), "{}").await;
        let Outcome::Throttled(reason, wait) = attempted.outcome else {
            panic!("{attempted:?}")
        };
        assert_eq!(reason, expected, "{}", attempted.detail);
        assert!(wait >= 10 * MINUTE, "{wait:?}");
        assert!(
            attempted.detail.contains("the outcome is not known"),
            "{}",
            attempted.detail
        );
        assert_eq!(
            (
                asked.load(Ordering::SeqCst),
                bench.engines.mails(10).unwrap().len()
            ),
            (1, 1),
            "it is sent once"
        );
    }
}

#[tokio::test]
async fn a_connection_that_ses_closes_over_the_message_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let closing = tokio::spawn(async move {
        let mut requests = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = vec![0; 1 << 16];
            let _ = stream.read(&mut read).await;
            requests += 1;
            if requests > 1 {
                panic!("the message is sent a second time");
            }
            let _ = stream.shutdown().await;
        }
    });
    let bench = Bench::of_ses(20, |aws| elsewhere(&aws, &endpoint)).await;
    let attempted = bench.deliver(&small(), "{}").await;
    assert!(
        matches!(attempted.outcome,
            Outcome::Throttled(Reason::Protocol, wait) if wait >= 10 * MINUTE),
        "{attempted:?}"
    );
    assert!(!closing.is_finished());
}

#[tokio::test]
async fn a_message_that_never_reached_ses_is_no_attempt() {
    let endpoint = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let bench = Bench::of_ses(20, |aws| elsewhere(&aws, &endpoint)).await;
    let attempted = bench
        .attempt(&small(), worker::Payload::in_memory("{}"))
        .await;
    assert!(
        attempted.is_err(),
        "nothing was sent, so it uses up no retry: {attempted:?}"
    );
}

/// Returns the same credentials with an HTTP endpoint of this test.
fn elsewhere(aws: &aws_config::SdkConfig, endpoint: &str) -> aws_config::SdkConfig {
    let platform = runtime::Platform::lambda(&runtime::Environment::default());
    let mut elsewhere = platform
        .aws
        .to_builder()
        .region(aws.region().cloned())
        .endpoint_url(endpoint);
    elsewhere.set_credentials_provider(aws.credentials_provider());
    elsewhere.build()
}

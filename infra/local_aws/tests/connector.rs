//! The connector's additions to the engines: observers, faults, functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use bytes::Bytes;
use local_aws::{Fault, InvokeError, Options, Service};

use crate::setup::{KEY, Local, TABLE};

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn put(
    client: &aws_sdk_dynamodb::Client,
) -> aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder {
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", text("p"))
        .item("sk", text("s"))
}

#[tokio::test]
async fn observers_see_units_that_the_caller_did_not_ask_for() {
    let local = Local::new();
    let recorder = local.engines.record();
    let client = aws_sdk_dynamodb::Client::new(&local.config());
    let answer = put(&client)
        .item("bd_pk", text("d"))
        .item("bd_sk", text("1"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.consumed_capacity, None);
    let keys = KeysAndAttributes::builder()
        .keys([("pk".into(), text("p")), ("sk".into(), text("s"))].into())
        .consistent_read(true);
    client
        .batch_get_item()
        .request_items(TABLE, keys.build().unwrap())
        .send()
        .await
        .unwrap();
    aws_sdk_kms::Client::new(&local.config())
        .describe_key()
        .key_id(local.engines.key_id(KEY).unwrap())
        .send()
        .await
        .unwrap();

    let calls = recorder.take();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.service, call.operation.as_str(), call.status))
        .collect();
    let expected = [
        (Service::DynamoDb, "PutItem", 200),
        (Service::DynamoDb, "BatchGetItem", 200),
        (Service::Kms, "DescribeKey", 200),
    ];
    assert_eq!(seen, expected);
    assert_eq!((calls[0].write_units(), calls[0].read_units()), (2.0, 0.0));
    assert_eq!(calls[0].consumed[0].indexes["by_destination"], 1.0);
    assert_eq!((calls[1].write_units(), calls[1].read_units()), (0.0, 1.0));
    assert_eq!(calls[0].caller, "test");
    assert!(recorder.calls().is_empty());
}

#[tokio::test]
async fn a_throttled_call_is_retried_by_the_sdk() {
    let local = Local::new();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    local.engines.install_faults(move |call| {
        assert_eq!(call.operation, "PutItem");
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            Fault::throttled()
        } else {
            Fault::None
        }
    });
    put(&aws_sdk_dynamodb::Client::new(&local.config()))
        .send()
        .await
        .unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    local.engines.install_faults(|_| Fault::unavailable());
    let error = aws_sdk_sqs::Client::new(&local.config())
        .list_queues()
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ServiceUnavailable"));
}

#[tokio::test(start_paused = true)]
async fn a_call_hangs_before_or_after_its_work() {
    let local = Local::with(Options::simulated(Options::local().now));
    let client = aws_sdk_dynamodb::Client::new(&local.config());
    let stored = || {
        client
            .get_item()
            .table_name(TABLE)
            .key("pk", text("p"))
            .key("sk", text("s"))
            .send()
    };
    for (fault, done) in [(Fault::HangBefore, false), (Fault::HangAfter, true)] {
        let chosen = fault.clone();
        local.engines.install_faults(move |_| chosen.clone());
        let hangs = tokio::time::timeout(Duration::from_secs(3600), put(&client).send()).await;
        assert!(hangs.is_err(), "{fault:?}");
        local.engines.clear_faults();
        assert_eq!(stored().await.unwrap().item.is_some(), done, "{fault:?}");
    }
    local
        .engines
        .install_faults(|_| Fault::Delay(Duration::from_secs(2)));
    let before = tokio::time::Instant::now();
    stored().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn functions_are_invoked_by_name() {
    let local = Local::new();
    let lambda = aws_sdk_lambda::Client::new(&local.config());
    let unknown = lambda
        .invoke()
        .function_name("echo")
        .send()
        .await
        .unwrap_err();
    assert!(
        unknown
            .into_service_error()
            .is_resource_not_found_exception()
    );

    local
        .engines
        .functions()
        .register("echo", |payload| Box::pin(async move { Ok(payload) }));
    local.engines.functions().register("broken", |_: Bytes| {
        Box::pin(async {
            Err(InvokeError {
                kind: "Panic".into(),
                message: "it broke".into(),
            })
        })
    });
    let arn = local.engines.function_arn("echo");
    let echoed = lambda
        .invoke()
        .function_name(arn)
        .payload(Blob::new("{\"a\":1}"))
        .send()
        .await
        .unwrap();
    assert_eq!((echoed.status_code(), echoed.function_error()), (200, None));
    assert_eq!(echoed.payload().unwrap().as_ref(), b"{\"a\":1}");
    let broken = lambda
        .invoke()
        .function_name("broken")
        .payload(Blob::new("{}"))
        .send()
        .await
        .unwrap();
    assert_eq!(broken.function_error(), Some("Unhandled"));
    assert_eq!(
        broken.payload().unwrap().as_ref(),
        br#"{"errorMessage":"it broke","errorType":"Panic"}"#
    );
    let event = lambda
        .invoke()
        .function_name("echo")
        .invocation_type(InvocationType::Event)
        .send()
        .await
        .unwrap();
    assert_eq!(event.status_code(), 202);
}

#[tokio::test]
async fn expired_items_are_swept() {
    let local = Local::new();
    let client = aws_sdk_dynamodb::Client::new(&local.config());
    put(&client)
        .item("ttl", AttributeValue::N("1".into()))
        .send()
        .await
        .unwrap();
    assert_eq!(local.engines.sweep().await, 1);
    assert_eq!(local.engines.sweep().await, 0);
}

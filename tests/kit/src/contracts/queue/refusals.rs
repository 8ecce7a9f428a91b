//! Refusals, by the code that a caller can act on.

use std::sync::Arc;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatchError, SendMessageBatchOutput};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};

use super::Backend;
use super::fixture::{QueueFixture, entry, handle};

const MEBIBYTE: usize = 1024 * 1024;

fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    let error = result.err().expect("the call is refused");
    error.code().expect("a refusal has a code").to_owned()
}

pub(super) async fn an_unknown_queue(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let nowhere = format!("{}-not", fixture.url);
    let sent = fixture
        .client
        .send_message()
        .queue_url(&nowhere)
        .message_body("x")
        .send()
        .await;
    assert!(
        sent.expect_err("refused")
            .into_service_error()
            .is_queue_does_not_exist()
    );
    let received = fixture
        .client
        .receive_message()
        .queue_url(&nowhere)
        .send()
        .await;
    assert!(
        received
            .expect_err("refused")
            .into_service_error()
            .is_queue_does_not_exist()
    );
    let found = fixture
        .client
        .get_queue_url()
        .queue_name("not-a-queue")
        .send()
        .await;
    assert!(
        found
            .expect_err("refused")
            .into_service_error()
            .is_queue_does_not_exist()
    );
}

pub(super) async fn receipt_handles_that_are_none(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let deleted = fixture
        .client
        .delete_message()
        .queue_url(&fixture.url)
        .receipt_handle("not a handle")
        .send()
        .await;
    assert!(
        deleted
            .expect_err("refused")
            .into_service_error()
            .is_receipt_handle_is_invalid()
    );
    let changed = fixture
        .client
        .change_message_visibility()
        .queue_url(&fixture.url)
        .receipt_handle("not a handle")
        .visibility_timeout(1)
        .send()
        .await;
    assert!(
        changed
            .expect_err("refused")
            .into_service_error()
            .is_receipt_handle_is_invalid()
    );
}

/// The service and its imitations use different codes, so Waybill relies only on the refusal.
pub(super) async fn a_deleted_messages_visibility(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("gone").await;
    let message = fixture.receive_one().await;
    fixture.delete(&message).await;
    code(
        fixture
            .client
            .change_message_visibility()
            .queue_url(&fixture.url)
            .receipt_handle(handle(&message))
            .visibility_timeout(1)
            .send()
            .await,
    );
}

pub(super) async fn visibility_beyond_twelve_hours(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("long").await;
    let message = fixture.receive_one().await;
    let change = fixture
        .client
        .change_message_visibility()
        .queue_url(&fixture.url)
        .receipt_handle(handle(&message));
    assert_eq!(
        code(change.clone().visibility_timeout(43_201).send().await),
        "InvalidParameterValue"
    );
    assert_eq!(
        code(
            fixture
                .client
                .receive_message()
                .queue_url(&fixture.url)
                .visibility_timeout(43_201)
                .send()
                .await
        ),
        "InvalidParameterValue"
    );
}

pub(super) async fn a_delay_beyond_fifteen_minutes(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    assert_eq!(
        code(fixture.sending("x").delay_seconds(901).send().await),
        "InvalidParameterValue"
    );
    fixture
        .sending("x")
        .delay_seconds(900)
        .send()
        .await
        .expect("fifteen minutes are fine");
}

pub(super) async fn receives_out_of_range(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let receive = fixture.client.receive_message().queue_url(&fixture.url);
    for count in [0, 11] {
        assert_eq!(
            code(receive.clone().max_number_of_messages(count).send().await),
            "InvalidParameterValue"
        );
    }
    assert_eq!(
        code(receive.clone().wait_time_seconds(21).send().await),
        "InvalidParameterValue"
    );
}

pub(super) async fn a_batch_of_none(backend: Arc<impl Backend>) {
    let error = send(&backend.plain().await, vec![])
        .await
        .expect_err("refused")
        .into_service_error();
    assert!(error.is_empty_batch_request(), "{error:?}");
}

pub(super) async fn a_batch_of_eleven(backend: Arc<impl Backend>) {
    let entries = (0..11)
        .map(|number| entry(&number.to_string(), "x"))
        .collect();
    let error = send(&backend.plain().await, entries)
        .await
        .expect_err("refused")
        .into_service_error();
    assert!(error.is_too_many_entries_in_batch_request(), "{error:?}");
}

pub(super) async fn a_batch_with_an_id_twice(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let error = send(&fixture, vec![entry("same", "x"), entry("same", "y")])
        .await
        .expect_err("refused")
        .into_service_error();
    assert!(error.is_batch_entry_ids_not_distinct(), "{error:?}");
    assert!(
        fixture.is_empty().await,
        "nothing of a refused batch is sent"
    );
}

pub(super) async fn a_batch_with_an_ill_formed_id(backend: Arc<impl Backend>) {
    let error = send(&backend.plain().await, vec![entry("no spaces", "x")])
        .await
        .expect_err("refused")
        .into_service_error();
    assert!(error.is_invalid_batch_entry_id(), "{error:?}");
}

pub(super) async fn a_batch_beyond_a_mebibyte(backend: Arc<impl Backend>) {
    let half = "x".repeat(MEBIBYTE / 2 + 1);
    let error = send(
        &backend.plain().await,
        vec![entry("a", &half), entry("b", &half)],
    )
    .await
    .expect_err("refused")
    .into_service_error();
    assert!(error.is_batch_request_too_long(), "{error:?}");
}

pub(super) async fn a_message_beyond_a_mebibyte(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    assert_eq!(
        code(fixture.sending(&"x".repeat(MEBIBYTE + 1)).send().await),
        "InvalidParameterValue"
    );
}

pub(super) async fn an_unknown_attribute(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let asked = fixture
        .client
        .get_queue_attributes()
        .queue_url(&fixture.url)
        .attribute_names(QueueAttributeName::from("Colour"))
        .send()
        .await;
    assert!(
        asked
            .expect_err("refused")
            .into_service_error()
            .is_invalid_attribute_name()
    );
}

async fn send(
    fixture: &QueueFixture,
    entries: Vec<SendMessageBatchRequestEntry>,
) -> Result<SendMessageBatchOutput, SdkError<SendMessageBatchError>> {
    fixture
        .client
        .send_message_batch()
        .queue_url(&fixture.url)
        .set_entries(Some(entries))
        .send()
        .await
}

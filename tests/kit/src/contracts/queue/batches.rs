//! Batches of ten: success and failure are reported for each entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};

use super::Backend;
use super::fixture::{bodies, entry, pass, system};

pub(super) async fn ten_messages_at_once(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let entries = (0..10)
        .map(|number| entry(&format!("e-{number}"), &format!("body {number}")))
        .collect();
    let result = fixture
        .client
        .send_message_batch()
        .queue_url(&fixture.url)
        .set_entries(Some(entries))
        .send()
        .await
        .expect("sends");
    assert!(result.failed().is_empty());
    let ids: BTreeMap<_, _> = result
        .successful()
        .iter()
        .map(|sent| (sent.message_id().to_owned(), sent.id().to_owned()))
        .collect();
    assert_eq!(ids.len(), 10);
    for message in fixture.receive().await {
        let id = &ids[message.message_id().expect("has an id")];
        assert_eq!(
            message
                .body()
                .map(|body| body.replace("body ", "e-"))
                .as_ref(),
            Some(id)
        );
    }
}

pub(super) async fn a_bad_entry_fails_alone(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let bad = SendMessageBatchRequestEntry::builder()
        .id("bad")
        .message_body("x")
        .delay_seconds(901)
        .build()
        .expect("id and body are set");
    let batch = fixture
        .client
        .send_message_batch()
        .queue_url(&fixture.url)
        .entries(entry("good", "a"))
        .entries(bad)
        .entries(entry("fine", "b"));
    let result = batch
        .send()
        .await
        .expect("a batch with a bad entry is answered");
    assert_eq!(
        result
            .successful()
            .iter()
            .map(|sent| sent.id())
            .collect::<Vec<_>>(),
        ["good", "fine"]
    );
    let [failed] = result.failed() else {
        panic!("one entry failed: {result:?}")
    };
    assert_eq!(
        (failed.id(), failed.code(), failed.sender_fault()),
        ("bad", "InvalidParameterValue", true)
    );
    assert_eq!(bodies(&fixture.receive().await), ["a", "b"]);
}

pub(super) async fn entries_have_their_own_delays(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let later = SendMessageBatchRequestEntry::builder()
        .id("later")
        .message_body("later")
        .delay_seconds(1)
        .build()
        .expect("id and body are set");
    fixture
        .client
        .send_message_batch()
        .queue_url(&fixture.url)
        .entries(entry("now", "now"))
        .entries(later)
        .send()
        .await
        .expect("sends");
    assert_eq!(bodies(&fixture.receive().await), ["now"]);
    pass(1.1).await;
    assert_eq!(bodies(&fixture.receive().await), ["later"]);
}

pub(super) async fn entries_have_their_own_groups_and_attributes(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let grouped = |group: &str| {
        let parent = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(format!("of {group}"))
            .build()
            .expect("a type is set");
        let entry = SendMessageBatchRequestEntry::builder()
            .id(group)
            .message_body(group)
            .message_group_id(group);
        entry
            .message_attributes("traceparent", parent)
            .build()
            .expect("id and body are set")
    };
    fixture
        .client
        .send_message_batch()
        .queue_url(&fixture.url)
        .entries(grouped("one"))
        .entries(grouped("two"))
        .send()
        .await
        .expect("sends");
    let messages = fixture.receive().await;
    assert_eq!(bodies(&messages), ["one", "two"]);
    for message in &messages {
        let group = message.body().expect("has a body");
        assert_eq!(
            system(message, MessageSystemAttributeName::MessageGroupId),
            Some(group)
        );
        let parent = message
            .message_attributes()
            .and_then(|all| all.get("traceparent"))
            .and_then(|value| value.string_value());
        assert_eq!(parent, Some(format!("of {group}").as_str()));
    }
}

//! Message attributes are stored with the message and returned when requested.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{Message, MessageAttributeValue};

use super::Backend;
use super::fixture::QueueFixture;

/// MD5 of the attributes [`send_all_types`] sends, by the algorithm of the SQS Developer Guide,
/// computed outside this project (Python, hashlib).
const DIGEST_OF_ALL: &str = "2827746cb23a1443a9b2bb402f7df887";
/// The same for `trace.parent` alone.
const DIGEST_OF_PARENT: &str = "181c70f3879fd177ef856f744ea4176c";

pub(super) async fn every_type_comes_back(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    send_all_types(&fixture).await;
    let message = fixture.receive_one().await;
    let attributes = message.message_attributes().expect("has attributes");
    assert_eq!(
        attributes["trace.parent"].string_value(),
        Some("00-ab-cd-01")
    );
    assert_eq!(
        (
            attributes["attempt"].data_type(),
            attributes["attempt"].string_value()
        ),
        ("Number", Some("7"))
    );
    assert_eq!(
        attributes["raw"].binary_value().map(AsRef::as_ref),
        Some(&[0u8, 1, 255][..])
    );
    assert_eq!(attributes.len(), 3);
}

pub(super) async fn none_unless_asked(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    send_all_types(&fixture).await;
    let message = receive_with(&fixture, &[]).await;
    assert!(
        message
            .message_attributes()
            .is_none_or(|attributes| attributes.is_empty())
    );
    assert!(
        message
            .attributes()
            .is_none_or(|attributes| attributes.is_empty())
    );
}

pub(super) async fn asked_by_name_or_prefix(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    for wanted in ["trace.parent", "trace.*"] {
        send_all_types(&fixture).await;
        let message = receive_with(&fixture, &[wanted]).await;
        let names: BTreeSet<_> = message
            .message_attributes()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            names,
            BTreeSet::from(["trace.parent"]),
            "asked for {wanted}"
        );
        assert_eq!(
            message.md5_of_message_attributes(),
            Some(DIGEST_OF_PARENT),
            "the digest is of what came"
        );
    }
}

pub(super) async fn digests_of_attributes_are_right(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    assert_eq!(
        send_all_types(&fixture).await.as_deref(),
        Some(DIGEST_OF_ALL)
    );
    assert_eq!(
        fixture.receive_one().await.md5_of_message_attributes(),
        Some(DIGEST_OF_ALL)
    );
}

async fn send_all_types(fixture: &QueueFixture) -> Option<String> {
    let text = |kind: &str, value: &str| {
        MessageAttributeValue::builder()
            .data_type(kind)
            .string_value(value)
            .build()
            .expect("a type is set")
    };
    let raw = MessageAttributeValue::builder()
        .data_type("Binary")
        .binary_value(Blob::new([0, 1, 255]))
        .build()
        .expect("a type is set");
    let message = fixture
        .sending("with attributes")
        .message_attributes("trace.parent", text("String", "00-ab-cd-01"));
    let message = message
        .message_attributes("attempt", text("Number", "7"))
        .message_attributes("raw", raw);
    message
        .send()
        .await
        .expect("sends")
        .md5_of_message_attributes
}

async fn receive_with(fixture: &QueueFixture, names: &[&str]) -> Message {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let received = fixture
        .client
        .receive_message()
        .queue_url(&fixture.url)
        .set_message_attribute_names(Some(names))
        .send()
        .await
        .expect("receives");
    received
        .messages
        .and_then(|mut messages| messages.pop())
        .expect("a message is there")
}

//! A message is received as it was sent.

use std::sync::Arc;

use aws_sdk_sqs::types::{
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};

use super::fixture::{pass, system};
use super::{Backend, Shape};

const MEBIBYTE: usize = 1024 * 1024;

pub(super) async fn a_message_arrives_as_it_was_sent(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let body = "{\"v\":1,\"text\":\"zażółć \\u0000 gęślą 🚚\"}\n\t<&>";
    let id = fixture.send(body).await;
    let message = fixture.receive_one().await;
    assert_eq!(message.body(), Some(body));
    assert_eq!(message.message_id(), Some(id.as_str()));
    assert_ne!(
        fixture.send("another").await,
        id,
        "each message has its own id"
    );
}

pub(super) async fn digests_of_bodies_are_right(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let sent = fixture.sending("hello").send().await.expect("sends");
    assert_eq!(
        sent.md5_of_message_body(),
        Some("5d41402abc4b2a76b9719d911017c592")
    );
    assert_eq!(sent.md5_of_message_attributes(), None);
    assert_eq!(
        fixture.receive_one().await.md5_of_body(),
        Some("5d41402abc4b2a76b9719d911017c592")
    );
}

pub(super) async fn a_delayed_message_waits(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture
        .sending("later")
        .delay_seconds(1)
        .send()
        .await
        .expect("sends");
    assert!(fixture.receive().await.is_empty());
    pass(1.1).await;
    assert_eq!(fixture.receive_one().await.body(), Some("later"));
}

pub(super) async fn the_queues_delay_applies(backend: Arc<impl Backend>) {
    let fixture = backend
        .fixture(Shape {
            delay_seconds: 1,
            ..Shape::default()
        })
        .await;
    fixture.send("later").await;
    assert!(fixture.receive().await.is_empty());
    pass(1.1).await;
    assert_eq!(fixture.receive_one().await.body(), Some("later"));
}

pub(super) async fn no_delay_overrides_the_queues(backend: Arc<impl Backend>) {
    let fixture = backend
        .fixture(Shape {
            delay_seconds: 60,
            ..Shape::default()
        })
        .await;
    fixture
        .sending("now")
        .delay_seconds(0)
        .send()
        .await
        .expect("sends");
    assert_eq!(fixture.receive_one().await.body(), Some("now"));
}

pub(super) async fn a_group_is_kept(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    for body in ["first", "second"] {
        fixture
            .sending(body)
            .message_group_id("dst_01ARZ3NDEKTSV4RRFFQ69G5FAV")
            .send()
            .await
            .expect("a standard queue takes a group");
    }
    let messages = fixture.receive().await;
    assert_eq!(
        messages.len(),
        2,
        "a group on a standard queue does not serialise its messages"
    );
    for message in &messages {
        assert_eq!(
            system(message, MessageSystemAttributeName::MessageGroupId),
            Some("dst_01ARZ3NDEKTSV4RRFFQ69G5FAV")
        );
    }
}

pub(super) async fn a_trace_header_is_kept(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(header)
        .build()
        .expect("a type is set");
    fixture
        .sending("traced")
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value)
        .send()
        .await
        .expect("sends");
    assert_eq!(
        system(
            &fixture.receive_one().await,
            MessageSystemAttributeName::AwsTraceHeader
        ),
        Some(header)
    );
}

pub(super) async fn a_mebibyte_is_taken(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let body = "x".repeat(MEBIBYTE);
    fixture.send(&body).await;
    assert_eq!(
        fixture.receive_one().await.body().map(str::len),
        Some(MEBIBYTE)
    );
}

//! The attributes of queues.

use std::sync::Arc;

use aws_sdk_sqs::types::QueueAttributeName;

use super::Backend;
use super::fixture::QueueFixture;

pub(super) async fn its_url_by_name(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let found = fixture
        .client
        .get_queue_url()
        .queue_name(&fixture.name)
        .send()
        .await
        .expect("the queue exists");
    assert_eq!(found.queue_url(), Some(fixture.url.as_str()));
    assert!(fixture.url.ends_with(&fixture.name));
}

pub(super) async fn listed_by_prefix(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let listed = fixture
        .client
        .list_queues()
        .queue_name_prefix(&fixture.name)
        .send()
        .await
        .expect("lists");
    assert!(listed.queue_urls().contains(&fixture.url));
    let none = fixture
        .client
        .list_queues()
        .queue_name_prefix("nothing-starts-like-this")
        .send()
        .await
        .expect("lists");
    assert!(none.queue_urls().is_empty());
}

pub(super) async fn counts_say_where_messages_are(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    fixture.send("a").await;
    fixture.receive_one().await;
    fixture.send("b").await;
    fixture.send("c").await;
    fixture
        .sending("d")
        .delay_seconds(600)
        .send()
        .await
        .expect("sends");
    assert_eq!(
        attribute(&fixture, QueueAttributeName::ApproximateNumberOfMessages).await,
        "2"
    );
    assert_eq!(
        attribute(
            &fixture,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible
        )
        .await,
        "1"
    );
    assert_eq!(
        attribute(
            &fixture,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed
        )
        .await,
        "1"
    );
}

pub(super) async fn attributes_describe_it(backend: Arc<impl Backend>) {
    let fixture = backend.plain().await;
    let arn = attribute(&fixture, QueueAttributeName::QueueArn).await;
    assert!(
        arn.starts_with("arn:aws:sqs:us-east-1:") && arn.ends_with(&fixture.name),
        "{arn}"
    );
    assert_eq!(
        attribute(&fixture, QueueAttributeName::VisibilityTimeout).await,
        "30"
    );
    let redrive = attribute(&fixture, QueueAttributeName::RedrivePolicy).await;
    assert!(
        redrive.contains("deadLetterTargetArn") && redrive.contains("maxReceiveCount"),
        "{redrive}"
    );
}

/// Returns one attribute, requested by name and among all.
async fn attribute(fixture: &QueueFixture, name: QueueAttributeName) -> String {
    let ask = |asked: QueueAttributeName| {
        fixture
            .client
            .get_queue_attributes()
            .queue_url(&fixture.url)
            .attribute_names(asked)
            .send()
    };
    let read = async |asked| {
        ask(asked)
            .await
            .expect("answers")
            .attributes
            .and_then(|mut all| all.remove(&name))
    };
    let alone = read(name.clone()).await.expect("the attribute is there");
    assert_eq!(read(QueueAttributeName::All).await.as_ref(), Some(&alone));
    alone
}

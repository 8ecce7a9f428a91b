//! The attributes of queues.

use std::sync::Arc;

use aws_sdk_sqs::types::QueueAttributeName;

use super::Backend;
use super::bed::Bed;

pub(super) async fn its_url_by_name(backend: Arc<impl Backend>) {
    let bed = backend.plain().await;
    let found = bed
        .client
        .get_queue_url()
        .queue_name(&bed.name)
        .send()
        .await
        .expect("the queue exists");
    assert_eq!(found.queue_url(), Some(bed.url.as_str()));
    assert!(bed.url.ends_with(&bed.name));
}

pub(super) async fn listed_by_prefix(backend: Arc<impl Backend>) {
    let bed = backend.plain().await;
    let listed = bed
        .client
        .list_queues()
        .queue_name_prefix(&bed.name)
        .send()
        .await
        .expect("lists");
    assert!(listed.queue_urls().contains(&bed.url));
    let none = bed
        .client
        .list_queues()
        .queue_name_prefix("nothing-starts-like-this")
        .send()
        .await
        .expect("lists");
    assert!(none.queue_urls().is_empty());
}

pub(super) async fn counts_say_where_messages_are(backend: Arc<impl Backend>) {
    let bed = backend.plain().await;
    bed.send("a").await;
    bed.receive_one().await;
    bed.send("b").await;
    bed.send("c").await;
    bed.sending("d")
        .delay_seconds(600)
        .send()
        .await
        .expect("sends");
    assert_eq!(
        attribute(&bed, QueueAttributeName::ApproximateNumberOfMessages).await,
        "2"
    );
    assert_eq!(
        attribute(
            &bed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible
        )
        .await,
        "1"
    );
    assert_eq!(
        attribute(&bed, QueueAttributeName::ApproximateNumberOfMessagesDelayed).await,
        "1"
    );
}

pub(super) async fn attributes_describe_it(backend: Arc<impl Backend>) {
    let bed = backend.plain().await;
    let arn = attribute(&bed, QueueAttributeName::QueueArn).await;
    assert!(
        arn.starts_with("arn:aws:sqs:us-east-1:") && arn.ends_with(&bed.name),
        "{arn}"
    );
    assert_eq!(
        attribute(&bed, QueueAttributeName::VisibilityTimeout).await,
        "30"
    );
    let redrive = attribute(&bed, QueueAttributeName::RedrivePolicy).await;
    assert!(
        redrive.contains("deadLetterTargetArn") && redrive.contains("maxReceiveCount"),
        "{redrive}"
    );
}

/// Returns one attribute, requested by name and among all.
async fn attribute(bed: &Bed, name: QueueAttributeName) -> String {
    let ask = |asked: QueueAttributeName| {
        bed.client
            .get_queue_attributes()
            .queue_url(&bed.url)
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

//! Fair queueing: a group with many messages in flight never delays the others.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, SendMessageBatchRequestEntry};
use kit::contracts::queue::{Backend as _, QueueFixture, Shape};
use local_aws::Mode;

use super::embedded::Embedded;

struct Fixture(QueueFixture);

impl Fixture {
    async fn new() -> Self {
        Self(Embedded::new(Mode::Thread).fixture(Shape::default()).await)
    }

    async fn send(&self, group: &str, count: usize) {
        for first in (0..count).step_by(10) {
            let entries = (first..count.min(first + 10)).map(|number| {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(number.to_string())
                    .message_body("x");
                entry
                    .set_message_group_id((!group.is_empty()).then(|| group.to_owned()))
                    .build()
                    .unwrap()
            });
            self.0
                .client
                .send_message_batch()
                .queue_url(&self.0.url)
                .set_entries(Some(entries.collect()))
                .send()
                .await
                .unwrap();
        }
    }

    async fn receive(&self, count: i32) -> Vec<Message> {
        let receive = self
            .0
            .client
            .receive_message()
            .queue_url(&self.0.url)
            .max_number_of_messages(count);
        receive
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default()
    }
}

fn groups(messages: &[Message]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        let group = message
            .attributes()
            .and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId));
        *counts.entry(group.map_or("", String::as_str)).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_group_with_few_messages_is_served_before_the_backlog_of_another() {
    let queue = Fixture::new().await;
    queue.send("loud", 1_000).await;
    for _ in 0..5 {
        assert_eq!(
            groups(&queue.receive(10).await),
            BTreeMap::from([("loud", 10)])
        );
    }
    queue.send("quiet", 3).await;
    assert_eq!(
        groups(&queue.receive(10).await),
        BTreeMap::from([("loud", 7), ("quiet", 3)])
    );
}

#[tokio::test]
async fn groups_share_a_receive_evenly() {
    let queue = Fixture::new().await;
    for group in ["a", "b", "c", "d", "e"] {
        queue.send(group, 50).await;
    }
    assert_eq!(
        groups(&queue.receive(10).await),
        BTreeMap::from([("a", 2), ("b", 2), ("c", 2), ("d", 2), ("e", 2)])
    );
}

#[tokio::test]
async fn a_group_is_quiet_again_once_its_messages_are_deleted() {
    let queue = Fixture::new().await;
    queue.send("a", 20).await;
    let taken = queue.receive(10).await;
    queue.send("b", 1).await;
    let b = queue.receive(1).await;
    assert_eq!(groups(&b), BTreeMap::from([("b", 1)]));
    for message in &taken {
        queue
            .0
            .client
            .delete_message()
            .queue_url(&queue.0.url)
            .set_receipt_handle(message.receipt_handle.clone())
            .send()
            .await
            .unwrap();
    }
    queue.send("b", 1).await;
    assert_eq!(
        groups(&queue.receive(1).await),
        BTreeMap::from([("a", 1)]),
        "b has one in flight, a none"
    );
}

#[tokio::test]
async fn messages_without_a_group_are_served_in_order_among_themselves() {
    let queue = Fixture::new().await;
    queue.send("", 3).await;
    queue.send("a", 1).await;
    assert_eq!(
        groups(&queue.receive(2).await),
        BTreeMap::from([("", 1), ("a", 1)])
    );
}

//! A queue to test, and helpers for the rows.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, SendMessageBatchRequestEntry,
};

/// The properties of a queue.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The queue's visibility timeout.
    pub visibility_seconds: u32,
    /// The delay of the queue, in seconds.
    pub delay_seconds: u32,
    /// The queue's receive wait.
    pub wait_seconds: u32,
    /// How often a message is received before it goes to the dead-letter queue.
    pub max_receives: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            visibility_seconds: 30,
            delay_seconds: 0,
            wait_seconds: 0,
            max_receives: 100,
        }
    }
}

/// A queue with its dead-letter queue, and a client for both.
#[derive(Debug, Clone)]
pub struct QueueFixture {
    /// The client of SQS.
    pub client: Client,
    /// The name of the queue.
    pub name: String,
    /// The URL of the queue.
    pub url: String,
    /// The dead-letter queue's URL.
    pub dead_letters_url: String,
}

impl QueueFixture {
    pub(super) fn dead_letters(&self) -> Self {
        Self {
            url: self.dead_letters_url.clone(),
            ..self.clone()
        }
    }

    pub(super) fn sending(&self, body: &str) -> SendMessageFluentBuilder {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
    }

    /// Sends a message and returns its id.
    pub(super) async fn send(&self, body: &str) -> String {
        self.sending(body)
            .send()
            .await
            .expect("sends")
            .message_id
            .expect("has an id")
    }

    /// Receives up to ten messages with all attributes, without waiting.
    pub(super) async fn receive(&self) -> Vec<Message> {
        self.receive_hiding(None).await
    }

    /// Receives up to ten messages and hides them for this long.
    pub(super) async fn receive_hiding(&self, seconds: impl Into<Option<i32>>) -> Vec<Message> {
        self.client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .wait_time_seconds(0)
            .set_visibility_timeout(seconds.into())
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .expect("receives")
            .messages
            .unwrap_or_default()
    }

    /// Receives exactly one message.
    pub(super) async fn receive_one(&self) -> Message {
        self.receive_one_hiding(None).await
    }

    pub(super) async fn receive_one_hiding(&self, seconds: impl Into<Option<i32>>) -> Message {
        let mut messages = self.receive_hiding(seconds).await;
        assert_eq!(messages.len(), 1, "one message is there: {messages:?}");
        messages.remove(0)
    }

    pub(super) async fn is_empty(&self) -> bool {
        self.receive_hiding(0).await.is_empty()
    }

    pub(super) async fn delete(&self, message: &Message) {
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(handle(message))
            .send()
            .await
            .expect("deletes");
    }

    pub(super) async fn hide(&self, message: &Message, seconds: i32) {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(handle(message))
            .visibility_timeout(seconds)
            .send()
            .await
            .expect("changes the visibility");
    }
}

pub(super) fn handle(message: &Message) -> &str {
    message
        .receipt_handle()
        .expect("a received message has a handle")
}

/// Returns a system attribute of a received message.
pub(super) fn system(message: &Message, name: MessageSystemAttributeName) -> Option<&str> {
    message.attributes()?.get(&name).map(String::as_str)
}

pub(super) fn receives(message: &Message) -> u32 {
    let count = system(message, MessageSystemAttributeName::ApproximateReceiveCount)
        .expect("has a receive count");
    count.parse().expect("a receive count is a number")
}

pub(super) fn bodies(messages: &[Message]) -> Vec<&str> {
    let mut bodies: Vec<_> = messages.iter().filter_map(Message::body).collect();
    bodies.sort_unstable();
    bodies
}

pub(super) fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .message_body(body)
        .build()
        .expect("id and body are set")
}

pub(super) fn deletion(id: &str, handle: &str) -> DeleteMessageBatchRequestEntry {
    DeleteMessageBatchRequestEntry::builder()
        .id(id)
        .receipt_handle(handle)
        .build()
        .expect("id and handle are set")
}

pub(super) fn change(
    id: &str,
    handle: &str,
    seconds: i32,
) -> ChangeMessageVisibilityBatchRequestEntry {
    ChangeMessageVisibilityBatchRequestEntry::builder()
        .id(id)
        .receipt_handle(handle)
        .visibility_timeout(seconds)
        .build()
        .expect("id and handle are set")
}

pub(super) async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

//! The receiving side of a queue: what a worker can do with a task besides delivering it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use domain::Timestamp;
use telemetry::TraceContext;
use telemetry::propagation::{self, TRACEPARENT, XRAY_HEADER};

use crate::outbox::{SUBGROUP, text};
use crate::{QueueError, Task, UnreadableTask};

/// The longest time for which SQS hides a message: 12 h.
const LONGEST_HOLD_SECONDS: u64 = 43_200;

/// A message that a worker received.
#[derive(Debug)]
pub struct Received {
    /// The message id of SQS, which a partial batch failure names.
    pub message_id: String,
    /// The receipt handle, with which the message is held.
    pub receipt_handle: String,
    /// How often the message was received, including this time.
    pub receives: u32,
    /// The message group in which it was sent.
    pub group: Option<String>,
    /// When the message was sent.
    pub sent_at: Option<Timestamp>,
    /// The trace that it continues: from the sender's own attribute, or else from X-Ray's.
    pub cause: Option<TraceContext>,
    /// The body as received.
    pub body: String,
    /// The task that the body contains.
    pub task: Result<Task, UnreadableTask>,
}

impl From<SqsMessage> for Received {
    fn from(message: SqsMessage) -> Self {
        let body = message.body.unwrap_or_default();
        let attribute = |name: &str| message.attributes.get(name).cloned();
        let header = |name: &str| match name {
            XRAY_HEADER => attribute("AWSTraceHeader"),
            name => message.message_attributes.get(name)?.string_value.clone(),
        };
        Self {
            sent_at: attribute("SentTimestamp")
                .and_then(|millis| millis.parse().ok())
                .map(Timestamp::from_millis),
            cause: propagation::extract(header),
            message_id: message.message_id.unwrap_or_default(),
            receipt_handle: message.receipt_handle.unwrap_or_default(),
            receives: attribute("ApproximateReceiveCount")
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
            group: attribute("MessageGroupId"),
            task: Task::from_body(&body),
            body,
        }
    }
}

/// The queue of a worker and its dead-letter queue.
#[derive(Clone, Debug)]
pub struct Inbox {
    client: Client,
    queue_url: String,
    dead_letter_url: String,
}

impl Inbox {
    /// Creates an inbox for the queues with these URLs.
    #[must_use]
    pub fn new(aws: &SdkConfig, queue_url: String, dead_letter_url: String) -> Self {
        Self {
            client: Client::new(aws),
            queue_url,
            dead_letter_url,
        }
    }

    /// Hides a received message for this time, rounded down to whole seconds.
    pub async fn hold(&self, receipt_handle: &str, wait: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(wait.as_secs().min(LONGEST_HOLD_SECONDS)).unwrap_or(i32::MAX);
        let call = self
            .client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt_handle);
        call.visibility_timeout(seconds)
            .send()
            .await
            .map_err(QueueError::of("hold a task"))?;
        Ok(())
    }

    /// Sends a task again, so that its receive count starts at zero. `cause` is the trace that the
    /// received task continues, and so does the new one. The caller then acknowledges the old one.
    pub async fn send_again(
        &self,
        task: &Task,
        cause: Option<&TraceContext>,
        wait: Duration,
    ) -> Result<(), QueueError> {
        let seconds = i32::try_from(wait.as_secs().min(u64::from(crate::LONGEST_DELAY_SECONDS)))
            .unwrap_or(i32::MAX);
        let subgroup =
            text(task.destination.to_string()).map_err(QueueError::of("describe a task"))?;
        let call = self
            .client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(task.to_body())
            .delay_seconds(seconds);
        let mut call = call
            .message_group_id(task.group())
            .message_attributes(SUBGROUP, subgroup);
        if let Some(traceparent) = cause.and_then(propagation::traceparent_of) {
            let traceparent = text(traceparent).map_err(QueueError::of("describe a task"))?;
            call = call.message_attributes(TRACEPARENT, traceparent);
        }
        call.send().await.map_err(QueueError::of("accept a task"))?;
        Ok(())
    }

    /// Puts a body that cannot be parsed into the dead-letter queue.
    pub async fn move_to_dead_letters(&self, body: &str) -> Result<(), QueueError> {
        let call = self
            .client
            .send_message()
            .queue_url(&self.dead_letter_url)
            .message_body(body);
        call.send()
            .await
            .map_err(QueueError::of("accept a dead letter"))?;
        Ok(())
    }
}

//! Sending tasks: in batches, with partial failures told apart.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use domain::settings::{DestinationType, Lane, PerLane};
use futures_util::{StreamExt, stream};
use telemetry::propagation::TRACEPARENT;

use crate::{QueueError, Task};

/// SQS takes at most this many messages in one call.
const BATCH_MAX: usize = 10;
/// Calls under way at once for one fan-out.
const CALLS_AT_ONCE: usize = 8;
/// The message attribute that names a task's place among its organization's: its destination. SQS ignores it; the embedded queue
/// serves the places of an organization evenly.
pub(crate) const PLACE: &str = "place";
/// SQS delays a message at most this long.
pub const LONGEST_DELAY_SECONDS: u32 = 900;

/// A task on its way to its queue.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Which queue: that of this destination type.
    pub destination_type: DestinationType,
    /// The task.
    pub task: Task,
    /// Not received before this long; at most [`LONGEST_DELAY_SECONDS`].
    pub delay_seconds: u32,
}

/// The queues that tasks are sent to, one for each destination type's worker.
#[derive(Clone, Debug)]
pub struct Queues {
    client: Client,
    urls: PerLane<String>,
}

impl Queues {
    /// The queues behind these URLs.
    #[must_use]
    pub fn new(aws: &SdkConfig, urls: PerLane<String>) -> Self {
        Self { client: Client::new(aws), urls }
    }

    /// Sends tasks; answers the positions of those that no queue accepted. Each is in its destination's fair-queue group, so that one slow
    /// destination never holds up its own organization's others.
    pub async fn send(&self, outgoing: &[Outgoing]) -> Vec<usize> {
        let mut batches: Vec<(Lane, Vec<usize>)> = Vec::new();
        for (position, item) in outgoing.iter().enumerate() {
            let lane = item.destination_type.lane();
            match batches.iter_mut().find(|(other, batch)| *other == lane && batch.len() < BATCH_MAX) {
                Some((_, batch)) => batch.push(position),
                None => batches.push((lane, vec![position])),
            }
        }
        let calls = batches.into_iter().map(|(lane, positions)| self.send_batch(self.urls.of(lane), positions, outgoing));
        let refused: Vec<Vec<usize>> = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE).collect().await;
        refused.into_iter().flatten().collect()
    }

    /// Is nothing waiting in any queue? `false` also when that cannot be told. Approximate, as SQS's counts are.
    pub async fn are_empty(&self) -> bool {
        let queues = self.urls.all().map(|(_, url)| self.is_empty(url));
        futures_util::future::join_all(queues).await.into_iter().all(|empty| empty)
    }

    /// How many tasks wait to be received, in all queues; `None` when that cannot be told. Approximate.
    pub async fn waiting(&self) -> Option<u64> {
        let counts = self.urls.all().map(|(_, url)| self.waiting_in(url));
        futures_util::future::join_all(counts).await.into_iter().sum()
    }

    async fn waiting_in(&self, url: &str) -> Option<u64> {
        use aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
        let call = self.client.get_queue_attributes().queue_url(url).attribute_names(ApproximateNumberOfMessages);
        let answer = call.send().await.ok()?;
        answer.attributes()?.get(&ApproximateNumberOfMessages)?.parse().ok()
    }

    async fn is_empty(&self, url: &str) -> bool {
        use aws_sdk_sqs::types::QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed};
        let call = self.client.get_queue_attributes().queue_url(url);
        let call = call.attribute_names(ApproximateNumberOfMessages).attribute_names(ApproximateNumberOfMessagesDelayed);
        let answer = call.send().await.map_err(QueueError::of("be counted"));
        answer.is_ok_and(|answer| answer.attributes().is_some_and(|counts| counts.values().all(|count| count == "0")))
    }

    async fn send_batch(&self, url: &str, positions: Vec<usize>, outgoing: &[Outgoing]) -> Vec<usize> {
        let entries: Result<Vec<_>, _> = positions.iter().map(|&position| entry(position, &outgoing[position])).collect();
        let sent = match entries {
            Err(error) => Err(QueueError::of("describe a task")(error)),
            Ok(entries) => {
                let call = self.client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
                call.map_err(QueueError::of("take tasks"))
            }
        };
        match sent {
            Ok(answer) => answer.failed().iter().filter_map(|failed| failed.id().parse().ok()).collect(),
            Err(error) => {
                tracing::warn!(%error, tasks = positions.len(), "tasks were not sent; the due index will bring their deliveries back");
                positions
            }
        }
    }
}

fn entry(position: usize, item: &Outgoing) -> Result<SendMessageBatchRequestEntry, aws_sdk_sqs::error::BuildError> {
    let delay_seconds = item.delay_seconds.min(LONGEST_DELAY_SECONDS);
    let traceparent = telemetry::propagation::current_traceparent();
    let mut attributes = HashMap::from([(PLACE.to_owned(), text(item.task.destination.to_string())?)]);
    if let Some(traceparent) = traceparent {
        attributes.insert(TRACEPARENT.to_owned(), text(traceparent)?);
    }
    SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(item.task.to_body())
        .message_group_id(item.task.group())
        .set_message_attributes(Some(attributes))
        .set_delay_seconds((delay_seconds > 0).then(|| i32::try_from(delay_seconds).unwrap_or(i32::MAX)))
        .build()
}

/// The value of a message attribute.
pub(crate) fn text(value: String) -> Result<MessageAttributeValue, aws_sdk_sqs::error::BuildError> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build()
}

//! Sends tasks in batches, and reports an outcome for each.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use coalesce::Coalescer;
use domain::settings::{DestinationType, Lane, PerLane};
use futures_util::future::join_all;
use telemetry::TraceContext;
use telemetry::propagation::{self, TRACEPARENT};

use crate::{QueueError, Task};

/// SQS accepts at most this many messages in one call.
const BATCH_MAX: usize = 10;
/// The message attribute with a task's subgroup, which is its destination. SQS ignores it; the
/// embedded queue serves the subgroups of an organization evenly.
pub(crate) const SUBGROUP: &str = "place";
/// The longest delay of a message in SQS.
pub const LONGEST_DELAY_SECONDS: u32 = 900;

/// A task to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The destination type, which decides the queue.
    pub destination_type: DestinationType,
    /// The task to send.
    pub task: Task,
    /// The delay before the task can be received, at most [`LONGEST_DELAY_SECONDS`].
    pub delay_seconds: u32,
}

/// The queues to which tasks are sent, one for each destination type's worker.
#[derive(Clone, Debug)]
pub struct Queues {
    client: Client,
    urls: PerLane<String>,
    /// The senders of each queue. `true` means that the queue accepted the task.
    senders: PerLane<Coalescer<Message, bool>>,
}

/// A message that is ready to be sent.
#[derive(Debug)]
struct Message {
    body: String,
    group: String,
    subgroup: String,
    traceparent: Option<String>,
    delay_seconds: u32,
}

impl Queues {
    /// Creates the queues with these URLs.
    #[must_use]
    pub fn new(aws: &SdkConfig, urls: PerLane<String>) -> Self {
        let client = Client::new(aws);
        let senders = PerLane::each(|lane| {
            let (client, url) = (client.clone(), urls.of(lane).clone());
            Coalescer::new(BATCH_MAX, move |messages| {
                let (client, url) = (client.clone(), url.clone());
                async move { send_batch(&client, &url, messages).await }
            })
        });
        Self {
            client,
            urls,
            senders,
        }
    }

    /// Sends tasks, and returns the positions of those that no queue accepted. Each is in the
    /// message group of its destination, so that a slow destination does not delay the
    /// organization's other destinations.
    pub async fn send(&self, outgoing: &[Outgoing]) -> Vec<usize> {
        let sending = Lane::ALL.map(|lane| {
            let of_lane = outgoing
                .iter()
                .enumerate()
                .filter(|(_, item)| item.destination_type.lane() == lane);
            let (positions, messages): (Vec<usize>, Vec<Message>) =
                of_lane.map(|(at, item)| (at, Message::of(item))).unzip();
            async move {
                let taken = self.senders.of(lane).run_all(messages).await;
                positions
                    .into_iter()
                    .zip(taken)
                    .filter(|(_, taken)| !taken)
                    .map(|(position, _)| position)
                    .collect::<Vec<_>>()
            }
        });
        join_all(sending).await.concat()
    }

    /// Whether no task waits in any queue, not counting those that workers are processing. Returns
    /// `false` if that cannot be determined. Approximate, like the counts of SQS.
    pub async fn are_empty(&self) -> bool {
        let queues = self.urls.all().map(|(_, url)| self.is_empty(url));
        futures_util::future::join_all(queues)
            .await
            .into_iter()
            .all(|empty| empty)
    }

    /// Returns how many tasks can be received in all queues, or `None` if that cannot be
    /// determined. Approximate, like the counts of SQS.
    pub async fn waiting(&self) -> Option<u64> {
        let counts = self.urls.all().map(|(_, url)| self.waiting_in(url));
        futures_util::future::join_all(counts)
            .await
            .into_iter()
            .sum()
    }

    async fn waiting_in(&self, url: &str) -> Option<u64> {
        use aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
        let call = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(ApproximateNumberOfMessages);
        let answer = call.send().await.ok()?;
        answer
            .attributes()?
            .get(&ApproximateNumberOfMessages)?
            .parse()
            .ok()
    }

    async fn is_empty(&self, url: &str) -> bool {
        use aws_sdk_sqs::types::QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
        };
        let call = self.client.get_queue_attributes().queue_url(url);
        let call = call
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesDelayed);
        let answer = call.send().await.map_err(QueueError::of("be counted"));
        answer.is_ok_and(|answer| {
            answer
                .attributes()
                .is_some_and(|counts| counts.values().all(|count| count == "0"))
        })
    }
}

/// Sends messages in one call, and returns for each whether the queue accepted it.
async fn send_batch(client: &Client, url: &str, messages: Vec<Message>) -> Vec<bool> {
    let mut taken = vec![true; messages.len()];
    let entries: Result<Vec<_>, _> = messages
        .into_iter()
        .enumerate()
        .map(|(position, message)| message.entry(position))
        .collect();
    let sent = match entries {
        Err(error) => Err(QueueError::of("describe a task")(error)),
        Ok(entries) => {
            let call = client
                .send_message_batch()
                .queue_url(url)
                .set_entries(Some(entries))
                .send()
                .await;
            call.map_err(QueueError::of("accept tasks"))
        }
    };
    match sent {
        Ok(answer) => {
            for position in answer
                .failed()
                .iter()
                .filter_map(|failed| failed.id().parse::<usize>().ok())
            {
                taken[position] = false;
            }
        }
        Err(error) => {
            tracing::warn!(
                error = %domain::chain(&error),
                tasks = taken.len(),
                "failed to send tasks; the due index returns their deliveries"
            );
            taken.fill(false);
        }
    }
    taken
}

impl Message {
    /// Creates the message of a task, which continues the current trace.
    fn of(item: &Outgoing) -> Self {
        Self {
            body: item.task.to_body(),
            group: item.task.group(),
            subgroup: item.task.destination.to_string(),
            traceparent: propagation::traceparent_of(&TraceContext::current()),
            delay_seconds: item.delay_seconds.min(LONGEST_DELAY_SECONDS),
        }
    }

    fn entry(
        self,
        position: usize,
    ) -> Result<SendMessageBatchRequestEntry, aws_sdk_sqs::error::BuildError> {
        let mut attributes = HashMap::from([(SUBGROUP.to_owned(), text(self.subgroup)?)]);
        if let Some(traceparent) = self.traceparent {
            attributes.insert(TRACEPARENT.to_owned(), text(traceparent)?);
        }
        let delay_seconds =
            (self.delay_seconds > 0).then(|| i32::try_from(self.delay_seconds).unwrap_or(i32::MAX));
        SendMessageBatchRequestEntry::builder()
            .id(position.to_string())
            .message_body(self.body)
            .message_group_id(self.group)
            .set_message_attributes(Some(attributes))
            .set_delay_seconds(delay_seconds)
            .build()
    }
}

/// Returns the value of a message attribute.
pub(crate) fn text(value: String) -> Result<MessageAttributeValue, aws_sdk_sqs::error::BuildError> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
}

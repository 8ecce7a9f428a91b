//! Invokes a function with the messages of a queue, as Lambda's event source mappings do.
//!
//! The poller receives a batch when there is room for another invocation, invokes the function with
//! it and deletes the messages that are done. Messages that the function reports as failed stay in
//! the queue, hidden for as long as the function or the queue sets. If an invocation fails, panics
//! or times out, its whole batch stays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use coalesce::Coalescer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::batch;
use crate::capacity::Capacity;
use crate::function::Function;
use crate::template::Mapping;

const LONG_POLL_SECONDS: i32 = 20;
/// The most messages that one call deletes.
const DELETE_MAX: usize = 10;
/// The most messages that one call receives, whatever the batch size.
const RECEIVE_MAX: u32 = 10;
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The room for concurrent invocations and messages.
struct Room {
    invocations: Arc<Semaphore>,
    messages: Arc<Semaphore>,
}

/// The permits that a batch holds while it is in progress.
struct BatchPermits {
    _invocation: OwnedSemaphorePermit,
    _messages: OwnedSemaphorePermit,
}

/// Invokes one function with the messages of one queue.
pub struct Poller {
    mapping: Mapping,
    queue_url: String,
    client: Client,
    function: Arc<Function>,
    capacity: Capacity,
    /// Deletes messages by their receipt handles, in calls that concurrent invocations share.
    deletions: Coalescer<String, ()>,
}

impl Poller {
    /// Creates a poller. `client` has the permissions of the function, as it receives and deletes
    /// on its behalf.
    pub fn new(mapping: Mapping, client: Client, function: Arc<Function>) -> Self {
        let capacity = Capacity::of(&mapping);
        let queue_url = mapping.queue_url();
        let deletions = {
            let (client, queue_url) = (client.clone(), queue_url.clone());
            Coalescer::new(DELETE_MAX, move |handles| {
                let (client, queue_url) = (client.clone(), queue_url.clone());
                async move { delete(&client, &queue_url, handles).await }
            })
        };
        Self {
            queue_url,
            mapping,
            client,
            function,
            capacity,
            deletions,
        }
    }

    /// Replaces the capacity that the mapping gives.
    #[must_use]
    pub fn with(self, capacity: Capacity) -> Self {
        Self { capacity, ..self }
    }

    /// Polls until `stop`, then waits for the invocations in progress.
    pub async fn run(self, stop: CancellationToken) {
        let semaphore =
            |permits: u32| Arc::new(Semaphore::new(usize::try_from(permits).unwrap_or(1)));
        let room = Room {
            invocations: semaphore(self.capacity.invocations),
            messages: semaphore(self.capacity.messages),
        };
        let poller = Arc::new(self);
        let mut invocations = JoinSet::new();
        while let Some(Some((permits, messages))) =
            stop.run_until_cancelled(poller.next(&room)).await
        {
            while invocations.try_join_next().is_some() {}
            let poller = poller.clone();
            invocations.spawn(async move {
                poller.work(messages).await;
                drop(permits);
            });
        }
        while invocations.join_next().await.is_some() {}
    }

    /// Receives the next batch once there is room for it.
    async fn next(&self, room: &Room) -> Option<(BatchPermits, Vec<Message>)> {
        let invocation = room.invocations.clone().acquire_owned().await.ok()?;
        let size = self.batch_size(room);
        let mut permits = room.messages.clone().acquire_many_owned(size).await.ok()?;
        loop {
            let messages = self.receive(size).await;
            if !messages.is_empty() {
                drop(permits.split(permits.num_permits().saturating_sub(messages.len())));
                return Some((
                    BatchPermits {
                        _invocation: invocation,
                        _messages: permits,
                    },
                    messages,
                ));
            }
        }
    }

    /// Returns how many messages the next batch may have. A batch occupies its share until its last
    /// message is done. If half of the capacity is in use, which only slow receivers cause, each
    /// message becomes a batch of its own.
    fn batch_size(&self, room: &Room) -> u32 {
        let is_busy = room.messages.available_permits()
            < usize::try_from(self.capacity.messages / 2).unwrap_or(0);
        match self.capacity.are_instances {
            false if is_busy => 1,
            _ => self
                .mapping
                .batch_size
                .min(RECEIVE_MAX)
                .min(self.capacity.messages),
        }
    }

    async fn receive(&self, size: u32) -> Vec<Message> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(i32::try_from(size).unwrap_or(1))
            .wait_time_seconds(LONG_POLL_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await;
        match received {
            Ok(output) => output.messages.unwrap_or_default(),
            Err(error) => {
                tracing::error!(
                    queue = self.queue_url,
                    error = %domain::chain(&error),
                    "failed to receive messages"
                );
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                Vec::new()
            }
        }
    }

    async fn work(&self, messages: Vec<Message>) {
        let ids: BTreeSet<&str> = messages.iter().filter_map(Message::message_id).collect();
        let done = match self
            .function
            .invoke(batch::event(&messages, &self.mapping.queue_arn))
            .await
        {
            Ok(answer) if self.mapping.reports_item_failures => batch::done(&answer, &ids),
            Ok(_) => ids,
            Err(error) => {
                tracing::error!(
                    function = self.function.name(),
                    messages = messages.len(),
                    error = %domain::chain(&error),
                    "an invocation failed"
                );
                return;
            }
        };
        let done = messages
            .iter()
            .filter(|message| message.message_id().is_some_and(|id| done.contains(id)));
        self.deletions
            .run_all(done.filter_map(Message::receipt_handle).map(str::to_owned))
            .await;
    }
}

/// Deletes messages in one call. A message that cannot be deleted is received again, as may happen
/// on AWS.
async fn delete(client: &Client, queue_url: &str, handles: Vec<String>) -> Vec<()> {
    let count = handles.len();
    let entry = |(index, handle): (usize, String)| {
        DeleteMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .receipt_handle(handle)
            .build()
    };
    if let Ok(entries) = handles
        .into_iter()
        .enumerate()
        .map(entry)
        .collect::<Result<Vec<_>, _>>()
    {
        match client
            .delete_message_batch()
            .queue_url(queue_url)
            .set_entries(Some(entries))
            .send()
            .await
        {
            Ok(output) if output.failed.is_empty() => {}
            Ok(output) => tracing::warn!(
                queue = queue_url,
                count = output.failed.len(),
                "messages could not be deleted"
            ),
            Err(error) => {
                tracing::warn!(
                    queue = queue_url,
                    count,
                    error = %domain::chain(&error),
                    "messages could not be deleted"
                )
            }
        }
    }
    vec![(); count]
}

//! The operations, with one function each: parse, check, call the engine, serialize.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::attributes::{self, Attributes};
use super::engine::Delivered;
use super::receipt::{Receipt, md5_hex};
use super::send::{Digests, Outgoing};
use super::spec::Queue;
use super::wire::{
    self, Batch, BatchResult, ChangeVisibility, Deleting, Done, FailedEntry, Message, QueueRequest,
    ReceiveMessage, Received, SendRequest, Sent,
};
use super::{QueueId, Refusal, Sqs, limits};

impl Sqs {
    pub(super) async fn answer(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        match operation {
            "SendMessage" => self.send_message(wire::read(body)?).await,
            "SendMessageBatch" => self.send_message_batch(wire::read(body)?).await,
            "ReceiveMessage" => self.receive_message(wire::read(body)?).await,
            "DeleteMessage" => self.delete_message(wire::read(body)?).await,
            "DeleteMessageBatch" => self.delete_message_batch(wire::read(body)?).await,
            "ChangeMessageVisibility" => self.change_message_visibility(wire::read(body)?).await,
            "ChangeMessageVisibilityBatch" => {
                self.change_message_visibility_batch(wire::read(body)?)
                    .await
            }
            "GetQueueUrl" => self.get_queue_url(wire::read(body)?),
            "GetQueueAttributes" => self.get_queue_attributes(wire::read(body)?).await,
            "ListQueues" => self.list_queues(wire::read(body)?),
            "PurgeQueue" => self.purge_queue(wire::read(body)?).await,
            other => Err(Refusal::UnknownOperation(other.to_owned())),
        }
    }

    async fn send_message(&self, request: SendRequest) -> Result<Vec<u8>, Refusal> {
        let queue = self.directory.at_url(request.queue_url.as_deref())?;
        let (message, digests) = Outgoing::check(request)?;
        let keys = self
            .host
            .run(move |engine| engine.send(queue, &[message]))
            .await?;
        let message_id = keys.first().map(|key| key.message_id()).unwrap_or_default();
        wire::write(&sent(None, message_id, digests))
    }

    async fn send_message_batch(&self, request: Batch<SendRequest>) -> Result<Vec<u8>, Refusal> {
        let queue = self.directory.at_url(request.queue_url.as_deref())?;
        limits::batch(
            "SendMessageBatchRequestEntry",
            request.entries.iter().map(|entry| entry.id.as_str()),
        )?;
        let bytes = request.entries.iter().map(size_bytes).sum();
        if bytes > limits::REQUEST_BYTES_MAX {
            return Err(Refusal::BatchRequestTooLong(bytes));
        }
        let (mut failed, mut messages, mut sent_as) = (Vec::new(), Vec::new(), Vec::new());
        for mut entry in request.entries {
            let id = std::mem::take(&mut entry.id);
            match Outgoing::check(entry) {
                Ok((message, digests)) => {
                    messages.push(message);
                    sent_as.push((id, digests));
                }
                Err(refusal) => failed.push(FailedEntry::new(id, &refusal)),
            }
        }
        let keys = self
            .host
            .run(move |engine| engine.send(queue, &messages))
            .await?;
        let successful = sent_as
            .into_iter()
            .zip(keys)
            .map(|((id, digests), key)| sent(Some(id), key.message_id(), digests))
            .collect();
        wire::write(&BatchResult { successful, failed })
    }

    async fn receive_message(&self, request: ReceiveMessage) -> Result<Vec<u8>, Refusal> {
        let id = self.directory.at_url(request.queue_url.as_deref())?;
        let queue = self.directory.get(id);
        let count = request
            .max_number_of_messages
            .map_or(Ok(1), limits::receive_count)?;
        let visibility = request.visibility_timeout.map_or(
            Ok(queue.spec.visibility_timeout_seconds),
            limits::visibility_seconds,
        )?;
        let wait = request
            .wait_time_seconds
            .map_or(Ok(queue.spec.receive_wait_seconds), limits::wait_seconds)?;
        let delivered = self
            .poll(id, count, visibility, Duration::from_secs(wait.into()))
            .await?;
        let system_names = [
            request.message_system_attribute_names,
            request.attribute_names,
        ]
        .concat();
        let messages = delivered
            .into_iter()
            .map(|message| {
                self.message(
                    queue,
                    message,
                    &system_names,
                    &request.message_attribute_names,
                )
            })
            .collect::<Result<_, _>>()?;
        wire::write(&Received { messages })
    }

    /// Long polling: reads the queue, and sleeps until there may be a message.
    async fn poll(
        &self,
        id: QueueId,
        count: usize,
        visibility_seconds: u32,
        wait: Duration,
    ) -> Result<Vec<Delivered>, Refusal> {
        let deadline = Instant::now() + wait;
        loop {
            // The notification is registered before reading, so that no message is missed in
            // between.
            let rung = self.directory.get(id).bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let found = self
                .host
                .run(move |engine| engine.receive(id, count, visibility_seconds))
                .await?;
            if !found.messages.is_empty() || Instant::now() >= deadline {
                return Ok(found.messages);
            }
            let wake = found.next_in_ms.map_or(deadline, |in_ms| {
                deadline.min(Instant::now() + Duration::from_millis(in_ms))
            });
            tokio::select! {
                biased;
                () = rung => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn message(
        &self,
        queue: &Queue,
        message: Delivered,
        system_names: &[String],
        attribute_names: &[String],
    ) -> Result<Message, Refusal> {
        let all: Attributes = message
            .content
            .attributes
            .as_deref()
            .map_or(Ok(Attributes::new()), |json| wire::read(json.as_bytes()))?;
        let message_attributes = attributes::select(all, attribute_names);
        Ok(Message {
            message_id: message.receipt.key.message_id(),
            receipt_handle: message.receipt.handle(&queue.spec.name),
            md5_of_body: md5_hex(message.content.body.as_bytes()),
            attributes: self.system_attributes(&message, system_names),
            md5_of_message_attributes: attributes::digest(&message_attributes),
            message_attributes,
            body: message.content.body,
        })
    }

    fn system_attributes(
        &self,
        message: &Delivered,
        names: &[String],
    ) -> BTreeMap<&'static str, String> {
        let group = (!message.group.is_empty()).then(|| message.group.to_string());
        let source = message
            .content
            .source
            .as_deref()
            .and_then(|name| self.queue_arn(name))
            .map(str::to_owned);
        [
            (
                "ApproximateFirstReceiveTimestamp",
                Some(message.content.first_received_at_ms.to_string()),
            ),
            (
                "ApproximateReceiveCount",
                Some(message.receipt.receives.to_string()),
            ),
            ("AWSTraceHeader", message.content.trace_header.clone()),
            ("DeadLetterQueueSourceArn", source),
            ("MessageGroupId", group),
            ("SenderId", Some(self.directory.account.clone())),
            ("SentTimestamp", Some(message.sent_at_ms.to_string())),
        ]
        .into_iter()
        .filter(|(name, _)| names.iter().any(|wanted| wanted == "All" || wanted == name))
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    async fn delete_message(&self, request: Deleting) -> Result<Vec<u8>, Refusal> {
        let queue = self.directory.at_url(request.queue_url.as_deref())?;
        let receipt = Receipt::parse(
            request.receipt_handle.as_deref(),
            &self.directory.get(queue).spec.name,
        )?;
        self.host
            .run(move |engine| engine.delete(queue, receipt))
            .await?;
        Ok(b"{}".to_vec())
    }

    async fn delete_message_batch(&self, request: Batch<Deleting>) -> Result<Vec<u8>, Refusal> {
        let queue = self.directory.at_url(request.queue_url.as_deref())?;
        limits::batch(
            "DeleteMessageBatchRequestEntry",
            request.entries.iter().map(|entry| entry.id.as_str()),
        )?;
        let name = &self.directory.get(queue).spec.name;
        let entries: Vec<_> = request
            .entries
            .into_iter()
            .map(|entry| {
                (
                    entry.id,
                    Receipt::parse(entry.receipt_handle.as_deref(), name),
                )
            })
            .collect();
        let done = self
            .host
            .run(move |engine| each(entries, |receipt| engine.delete(queue, receipt)))
            .await?;
        wire::write(&done)
    }

    async fn change_message_visibility(
        &self,
        request: ChangeVisibility,
    ) -> Result<Vec<u8>, Refusal> {
        let queue = self.directory.at_url(request.queue_url.as_deref())?;
        let (receipt, seconds) = change(&request, &self.directory.get(queue).spec.name)?;
        self.host
            .run(move |engine| engine.hide(queue, receipt, seconds))
            .await?;
        Ok(b"{}".to_vec())
    }

    async fn change_message_visibility_batch(
        &self,
        request: Batch<ChangeVisibility>,
    ) -> Result<Vec<u8>, Refusal> {
        let queue = self.directory.at_url(request.queue_url.as_deref())?;
        limits::batch(
            "ChangeMessageVisibilityBatchRequestEntry",
            request.entries.iter().map(|entry| entry.id.as_str()),
        )?;
        let name = &self.directory.get(queue).spec.name;
        let entries: Vec<_> = request
            .entries
            .into_iter()
            .map(|entry| {
                let change = change(&entry, name);
                (entry.id, change)
            })
            .collect();
        let done = self
            .host
            .run(move |engine| {
                each(entries, |(receipt, seconds)| {
                    engine.hide(queue, receipt, seconds)
                })
            })
            .await?;
        wire::write(&done)
    }

    fn get_queue_url(&self, request: wire::GetQueueUrl) -> Result<Vec<u8>, Refusal> {
        let name = request
            .queue_name
            .ok_or(Refusal::MissingParameter("QueueName"))?;
        let queue_url = self.queue_url(&name).ok_or(Refusal::QueueDoesNotExist)?;
        wire::write(&wire::QueueUrl { queue_url })
    }

    fn list_queues(&self, request: wire::ListQueues) -> Result<Vec<u8>, Refusal> {
        let prefix = request.queue_name_prefix.unwrap_or_default();
        let queue_urls = self
            .directory
            .by_name()
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(_, queue)| queue.url.as_str())
            .collect();
        wire::write(&wire::QueueUrls { queue_urls })
    }

    async fn purge_queue(&self, request: QueueRequest) -> Result<Vec<u8>, Refusal> {
        let queue = self.directory.at_url(request.queue_url.as_deref())?;
        self.host.run(move |engine| engine.purge(queue)).await?;
        Ok(b"{}".to_vec())
    }

    async fn get_queue_attributes(&self, request: QueueRequest) -> Result<Vec<u8>, Refusal> {
        let id = self.directory.at_url(request.queue_url.as_deref())?;
        let counts = self.host.run(move |engine| engine.counts(id)).await?;
        let Queue {
            spec,
            arn,
            dead_letters,
            ..
        } = self.directory.get(id);
        let redrive_policy = dead_letters.map(|to| {
            let target = &self.directory.get(to.queue).arn;
            serde_json::json!({ "deadLetterTargetArn": target,
                "maxReceiveCount": to.max_receive_count })
            .to_string()
        });
        let all = [
            (
                "ApproximateNumberOfMessages",
                Some(counts.ready.to_string()),
            ),
            (
                "ApproximateNumberOfMessagesDelayed",
                Some(counts.delayed.to_string()),
            ),
            (
                "ApproximateNumberOfMessagesNotVisible",
                Some(counts.in_flight.to_string()),
            ),
            (
                "CreatedTimestamp",
                Some(self.directory.opened_at_seconds.to_string()),
            ),
            ("DelaySeconds", Some(spec.delay_seconds.to_string())),
            (
                "LastModifiedTimestamp",
                Some(self.directory.opened_at_seconds.to_string()),
            ),
            (
                "MaximumMessageSize",
                Some(limits::REQUEST_BYTES_MAX.to_string()),
            ),
            (
                "MessageRetentionPeriod",
                Some(spec.message_retention_seconds.to_string()),
            ),
            ("QueueArn", Some(arn.clone())),
            (
                "ReceiveMessageWaitTimeSeconds",
                Some(spec.receive_wait_seconds.to_string()),
            ),
            ("RedrivePolicy", redrive_policy),
            ("SqsManagedSseEnabled", Some("true".to_owned())),
            (
                "VisibilityTimeout",
                Some(spec.visibility_timeout_seconds.to_string()),
            ),
        ];
        let wanted = request.attribute_names;
        if let Some(unknown) = wanted
            .iter()
            .find(|name| *name != "All" && all.iter().all(|(known, _)| known != name))
        {
            return Err(Refusal::InvalidAttributeName(unknown.clone()));
        }
        let chosen = all.into_iter().filter(|(name, _)| {
            wanted
                .iter()
                .any(|wanted| wanted == "All" || wanted == name)
        });
        wire::write(&wire::QueueAttributes {
            attributes: chosen
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        })
    }
}

fn sent(id: Option<String>, message_id: String, digests: Digests) -> Sent {
    Sent {
        id,
        message_id,
        md5_of_message_body: digests.body,
        md5_of_message_attributes: digests.attributes,
        md5_of_message_system_attributes: digests.system_attributes,
    }
}

/// Returns how much of a batch's size limit an entry uses.
fn size_bytes(entry: &SendRequest) -> usize {
    let body_bytes = entry.message_body.as_ref().map_or(0, String::len);
    body_bytes + attributes::check(&entry.message_attributes).unwrap_or(0)
}

fn change(request: &ChangeVisibility, queue: &str) -> Result<(Receipt, u32), Refusal> {
    let seconds = limits::visibility_seconds(
        request
            .visibility_timeout
            .ok_or(Refusal::MissingParameter("VisibilityTimeout"))?,
    )?;
    Ok((
        Receipt::parse(request.receipt_handle.as_deref(), queue)?,
        seconds,
    ))
}

/// Applies an action to each entry that could be parsed. A refusal fails its entry; a storage
/// failure fails the call.
fn each<T>(
    entries: Vec<(String, Result<T, Refusal>)>,
    mut action: impl FnMut(T) -> Result<(), Refusal>,
) -> Result<BatchResult<Done>, Refusal> {
    let mut done = BatchResult {
        successful: Vec::new(),
        failed: Vec::new(),
    };
    for (id, entry) in entries {
        match entry.and_then(&mut action) {
            Ok(()) => done.successful.push(Done { id }),
            Err(refusal @ Refusal::Storage(_)) => return Err(refusal),
            Err(refusal) => done.failed.push(FailedEntry::new(id, &refusal)),
        }
    }
    Ok(done)
}

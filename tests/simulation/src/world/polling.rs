//! Acts as Lambda: passes the messages of queues to the functions, and deletes what they have
//! finished.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use lambda_runtime::LambdaEvent;
use lambda_runtime::tower::Service as _;
use serde_json::json;
use worker::{Answer, Invocation, Worker};

use super::{World, worker};
use crate::receiver::Receiver;

impl World {
    /// Creates another process of the worker, which shares only the table and the queue with the
    /// others.
    #[must_use]
    pub fn process(&self) -> Worker<Receiver> {
        worker(
            &self.platform,
            &self.store,
            &self.queues,
            &self.receiver,
            (&self.queue_url, &self.dead_letter_url),
        )
    }

    /// Passes one batch to the worker and returns its number of messages.
    pub async fn poll_worker(&self) -> usize {
        self.poll(&self.worker).await
    }

    /// Passes one batch to this process of the worker and returns its number of messages.
    pub async fn poll(&self, worker: &Worker<Receiver>) -> usize {
        let Some((event, receipts)) = self.receive(&self.queue_url).await else {
            return 0;
        };
        let mut worker = worker.clone();
        let answer = self
            .invoke(worker.call(LambdaEvent::new(Invocation::Queue(event), self.context())))
            .await;
        let count = receipts.len();
        if let Some(Ok(Answer::Batch(response))) = answer {
            self.delete(&self.queue_url, receipts, &response).await;
        }
        count
    }

    /// Passes one batch to the dead-letter function.
    pub async fn poll_dead_letters(&self) -> usize {
        let Some((event, receipts)) = self.receive(&self.dead_letter_url).await else {
            return 0;
        };
        let config =
            dead_letters::Config::read(&self.environment).expect("the environment is complete");
        let mut function = dead_letters::build(&self.platform, config);
        let count = receipts.len();
        if let Some(Ok(response)) = self
            .invoke(function.call(LambdaEvent::new(event, self.context())))
            .await
        {
            self.delete(&self.dead_letter_url, receipts, &response)
                .await;
        }
        count
    }

    /// Passes one batch to the jobs function and returns its number of messages.
    pub async fn poll_jobs(&self) -> usize {
        let Some((event, receipts)) = self.receive(&self.jobs_url).await else {
            return 0;
        };
        let config = jobs::Config::read(&self.environment).expect("the environment is complete");
        let mut function = jobs::build(&self.platform, config);
        let count = receipts.len();
        if let Some(Ok(response)) = self
            .invoke(function.call(LambdaEvent::new(event, self.context())))
            .await
        {
            self.delete(&self.jobs_url, receipts, &response).await;
        }
        count
    }

    /// Runs the monitor: a sweep, or the hourly reconcile.
    pub async fn monitor(&self, reconcile: Option<monitor::Reconcile>) {
        let config = monitor::Config::read(&self.environment).expect("the environment is complete");
        let mut function = monitor::build(&self.platform, config);
        drop(
            self.invoke(function.call(LambdaEvent::new(
                monitor::Invocation {
                    reconcile,
                    ..monitor::Invocation::default()
                },
                self.context(),
            )))
            .await,
        );
    }

    async fn receive(&self, queue_url: &str) -> Option<(SqsEvent, BTreeMap<String, String>)> {
        let call = self
            .sqs
            .receive_message()
            .queue_url(queue_url)
            .max_number_of_messages(10)
            .wait_time_seconds(0);
        let answer = call
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .expect("the queue answers");
        let messages = answer.messages();
        let records: Vec<_> = messages
            .iter()
            .map(|message| {
                let attributes: BTreeMap<&str, &String> = message
                    .attributes()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.as_str(), value))
                    .collect();
                json!({"messageId": message.message_id(), "receiptHandle": message.receipt_handle(),
                    "body": message.body(),
                       "attributes": attributes, "messageAttributes": {}})
            })
            .collect();
        let receipts = messages
            .iter()
            .filter_map(|m| Some((m.message_id()?.to_owned(), m.receipt_handle()?.to_owned())))
            .collect();
        let event = serde_json::from_value(json!({"Records": records}))
            .expect("the records have the shape Lambda gives them");
        (!messages.is_empty()).then_some((event, receipts))
    }

    async fn delete(
        &self,
        queue_url: &str,
        receipts: BTreeMap<String, String>,
        response: &SqsBatchResponse,
    ) {
        let stays = |id: &String| {
            response
                .batch_item_failures
                .iter()
                .any(|failure| failure.item_identifier == *id)
        };
        let entries = receipts
            .iter()
            .filter(|(id, _)| !stays(id))
            .enumerate()
            .map(|(position, (_, receipt))| {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(receipt);
                entry.build().expect("the entry is complete")
            });
        let entries: Vec<_> = entries.collect();
        if !entries.is_empty() {
            let call = self
                .sqs
                .delete_message_batch()
                .queue_url(queue_url)
                .set_entries(Some(entries));
            call.send().await.expect("the queue deletes");
        }
    }
}

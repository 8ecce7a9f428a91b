//! Processes a batch of tasks: reads all records once, plans each task, makes the due attempts
//! concurrently, and then those of suspected tasks one at a time.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::message::StatusCallback;
use domain::settings::Settings;
use domain::waiting::DeliveryLimits;
use futures_util::FutureExt;
use futures_util::future::join_all;
use queue::{Received, Task};
use store::{StoreError, Work, WorkKey};
use telemetry::metrics::Threshold;

use crate::counts::Counts;
use crate::plan::{GiveUp, Next, plan};
use crate::setback::{Disposal, hold, return_to_queue, unreadable};
use crate::turn::{Turn, limits_of};
use crate::{Connector, Parts};

/// After a longer wait for memory, the records are read again before the attempt, because the
/// delivery may have been cancelled.
const RECORDS_VALID_FOR: Duration = Duration::from_secs(1);

/// How long before its turn a delivery is read again.
const READ_BEFORE: Duration = Duration::from_millis(250);

/// A task that could be parsed, with the records that it names.
pub(crate) struct Item {
    pub(crate) received: Received,
    pub(crate) task: Task,
    pub(crate) work: Work,
    /// The turn that the delivery has taken, if its destination has a limit per second.
    pub(crate) turn: Option<Timestamp>,
    /// The attempts of the batch, for the statistics.
    pub(crate) counts: Arc<Counts>,
}

impl<C: Connector> Parts<C> {
    /// Processes a batch and returns which tasks stay in the queue. `deadline_ms` is the end of the
    /// invocation in epoch milliseconds.
    pub(crate) async fn work(&self, batch: SqsEvent, deadline_ms: u64) -> SqsBatchResponse {
        let received: Vec<Received> = batch.records.into_iter().map(Received::from).collect();
        let tasks = received.len();
        let mut staying = Vec::new();
        let mut items = Vec::new();
        let counts = Arc::new(Counts::default());
        for (message_id, outcome) in self.read(received, &counts).await {
            match outcome {
                Ok(item) => items.push(item),
                Err(Disposal::Done) => {}
                Err(Disposal::Stays) => staying.push(message_id),
            }
        }
        self.note_ages(&items);
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for item in items {
            match self.plan(&item) {
                Next::AttemptAlone => alone.push(item),
                next => together.push((item, next)),
            }
        }
        let disposals = together.into_iter().map(async |(item, next)| {
            let message_id = item.received.message_id.clone();
            (message_id, self.carry_out(item, next, deadline_ms).await)
        });
        let mut disposals = join_all(disposals).await;
        for item in alone {
            let message_id = item.received.message_id.clone();
            disposals.push((message_id, self.carry_out_alone(item, deadline_ms).await));
        }
        let now = self.clock.now();
        self.pending_statistics
            .count(counts.take(now), tasks, now, &self.store, &self.shutdown)
            .await;
        staying.extend(
            disposals
                .into_iter()
                .filter(|(_, disposal)| *disposal == Disposal::Stays)
                .map(|(message_id, _)| message_id),
        );
        partial_failure(staying)
    }

    /// Records how long the oldest task of a batch was in the queue, and counts a warning if that
    /// exceeds its organization's threshold.
    fn note_ages(&self, items: &[Item]) {
        let now = self.clock.now();
        let aged = items.iter().filter_map(|item| {
            Some((
                item,
                item.work.delivery.as_ref()?,
                now.since(item.received.sent_at?),
            ))
        });
        let Some((item, delivery, age)) = aged.max_by_key(|(_, _, age)| *age) else {
            return;
        };
        telemetry::metrics::queue_age(delivery.destination_type.lane().as_str(), age);
        let warning = item
            .work
            .settings
            .as_ref()
            .map(|settings| Duration::from_secs(settings.pending_age_warning_seconds.into()));
        if warning.is_some_and(|warning| age > warning) {
            telemetry::metrics::threshold_exceeded(Threshold::QueueAge);
        }
    }

    /// Decides what to do with a task from the records that were read.
    fn plan(&self, item: &Item) -> Next {
        self.plan_from(item, &item.work)
    }

    fn plan_from(&self, item: &Item, work: &Work) -> Next {
        let Work {
            delivery,
            destination,
            suspended,
            ..
        } = work;
        plan(
            &item.task,
            item.received.receives,
            delivery.as_ref(),
            destination.as_ref(),
            *suspended,
            self.clock.now(),
        )
    }

    /// Reads the records that the tasks name. Tasks that cannot be parsed, or that repeat another
    /// one of this batch, are removed here.
    async fn read(
        &self,
        received: Vec<Received>,
        counts: &Arc<Counts>,
    ) -> Vec<(String, Result<Item, Disposal>)> {
        let mut disposed = Vec::new();
        let mut readable: Vec<(Received, Task)> = Vec::new();
        let mut seen = BTreeSet::new();
        for message in received {
            match &message.task {
                Err(error) => {
                    tracing::error!(
                        error = %domain::chain(&error),
                        message_id = message.message_id,
                        "failed to parse a task; it is moved to the dead-letter queue"
                    );
                    let disposal = match self.inbox.move_to_dead_letters(&message.body).await {
                        Ok(()) => Disposal::Done,
                        Err(error) => {
                            tracing::error!(
                                error = %domain::chain(&error),
                                message_id = message.message_id,
                                "failed to move a task to the dead-letter queue; it stays in the \
                                 queue"
                            );
                            Disposal::Stays
                        }
                    };
                    disposed.push((message.message_id, Err(disposal)));
                }
                Ok(task) if !seen.insert((task.delivery, task.generation)) => {
                    disposed.push((message.message_id, Err(Disposal::Done)))
                }
                Ok(task) => {
                    let task = task.clone();
                    readable.push((message, task));
                }
            }
        }
        let keys: Vec<WorkKey> = readable.iter().map(|(_, task)| work_key(task)).collect();
        match self.store.read_batch(&keys).await {
            Ok(works) => {
                for ((received, task), work) in readable.into_iter().zip(works) {
                    let message_id = received.message_id.clone();
                    let outcome = match work.map(called_back) {
                        Ok(work) => Ok(Item {
                            received,
                            task,
                            work,
                            turn: None,
                            counts: Arc::clone(counts),
                        }),
                        Err(error) => Err(unreadable(&self.inbox, &received, &error).await),
                    };
                    disposed.push((message_id, outcome));
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    tasks = readable.len(),
                    "failed to read a batch; its tasks return to the queue"
                );
                for (message, _) in readable {
                    let disposal = return_to_queue(&self.inbox, &message).await;
                    disposed.push((message.message_id, Err(disposal)));
                }
            }
        }
        disposed
    }

    /// Carries out the plan for a task. A panic is caught, so that the rest of the batch continues;
    /// the task's receive count rises.
    async fn carry_out(&self, item: Item, next: Next, deadline_ms: u64) -> Disposal {
        let delivery = item.task.delivery;
        let done = async {
            match next {
                Next::Acknowledge => self.acknowledge(&item).await,
                Next::Hold(wait) => hold(&self.inbox, &item.received, wait).await,
                Next::SendAgain(wait) => match self
                    .inbox
                    .send_again(&item.task, item.received.cause.as_ref(), wait)
                    .await
                {
                    Ok(()) => Disposal::Done,
                    Err(_) => hold(&self.inbox, &item.received, wait).await,
                },
                Next::GiveUp(why) => self.give_up(&item, why).await,
                Next::Attempt(_) if self.is_too_late(&item, deadline_ms) => {
                    hold(&self.inbox, &item.received, Duration::ZERO).await
                }
                // A suspected task is too late because of the attempts before it. That must not
                // count against it.
                Next::AttemptAlone if self.is_too_late(&item, deadline_ms) => {
                    self.send_back(&item).await
                }
                Next::Wait(waiting) => self.wait(&item, waiting).await,
                Next::Attempt(wait) => {
                    Box::pin(self.attempt_in_turn(item, wait, deadline_ms)).await
                }
                Next::AttemptAlone => {
                    Box::pin(self.attempt_in_turn(item, Duration::ZERO, deadline_ms)).await
                }
            }
        };
        AssertUnwindSafe(done)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                tracing::error!(%delivery, "the attempt panicked; the task stays in the queue");
                Disposal::Stays
            })
    }

    /// Carries out what is planned for a suspected task. Its records are read again, because they
    /// are as old as the attempts before it are long.
    async fn carry_out_alone(&self, item: Item, deadline_ms: u64) -> Disposal {
        match self.read_again(item).await {
            Ok(item) => {
                let next = self.plan(&item);
                self.carry_out(item, next, deadline_ms).await
            }
            Err(disposal) => disposal,
        }
    }

    /// Makes an attempt after `wait`, when the destination's limits permit it.
    async fn attempt_in_turn(&self, mut item: Item, wait: Duration, deadline_ms: u64) -> Disposal {
        match self.turn(&item).await {
            Ok(Turn::NotNeeded) => {
                tokio::time::sleep(wait).await;
                self.attempt_within_memory(item, deadline_ms).await
            }
            Ok(Turn::At(turn)) => {
                item.turn = Some(turn);
                let wait = wait.max(turn.since(self.clock.now()));
                if wait.is_zero() {
                    return self.attempt_within_memory(item, deadline_ms).await;
                }
                // The rest of the wait follows the second read, so that reading does not delay the
                // start.
                tokio::time::sleep(wait.saturating_sub(READ_BEFORE)).await;
                // Boxed, because only destinations with limits use it, and every attempt's future
                // would contain it.
                Box::pin(self.attempt_if_still_due(item, deadline_ms)).await
            }
            Ok(Turn::Wait(waiting)) => self.wait(&item, waiting).await,
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %item.task.delivery,
                    "failed to take a turn; the task returns to the queue"
                );
                return_to_queue(&self.inbox, &item.received).await
            }
        }
    }

    /// Reads the records again and makes the attempt, unless the delivery was cancelled or its
    /// destination was paused or disabled since they were last read.
    async fn attempt_if_still_due(&self, mut item: Item, deadline_ms: u64) -> Disposal {
        item = match self.read_again(item).await {
            Ok(item) => item,
            Err(disposal) => return disposal,
        };
        match self.plan(&item) {
            Next::Attempt(wait) => {
                tokio::time::sleep(wait).await;
                self.attempt_within_memory(item, deadline_ms).await
            }
            Next::AttemptAlone => self.attempt_within_memory(item, deadline_ms).await,
            Next::Acknowledge => self.acknowledge(&item).await,
            Next::GiveUp(why) => self.give_up(&item, why).await,
            Next::Wait(waiting) => self.wait(&item, waiting).await,
            Next::Hold(_) | Next::SendAgain(_) => self.send_back(&item).await,
        }
    }

    /// Returns whether an attempt that has waited for a slot may start. It may not start if its
    /// delivery was cancelled during the wait, or its destination was paused, disabled or given
    /// other limits.
    pub(crate) async fn is_still_due(&self, item: &Item, limits: DeliveryLimits) -> bool {
        let Ok(Some(work)) = self.read_one(&item.task).await else {
            return false;
        };
        let next = self.plan_from(item, &work);
        matches!(next, Next::Attempt(_) | Next::AttemptAlone) && limits_of(&work) == Some(limits)
    }

    /// Reads the records that one task names.
    async fn read_one(&self, task: &Task) -> Result<Option<Work>, StoreError> {
        let mut works = self.store.read_batch(&[work_key(task)]).await?;
        Ok(works.pop().transpose()?.map(called_back))
    }

    /// Makes an attempt when memory for it is available. If no memory becomes available in time,
    /// the task is sent to the queue again with a receive count of zero, because another process
    /// may have memory.
    async fn attempt_within_memory(&self, mut item: Item, deadline_ms: u64) -> Disposal {
        let Some(bytes) = self.memory_bytes(&item) else {
            return self.attempt(&item).await;
        };
        let asked = tokio::time::Instant::now();
        let reserving = self.memory.reserve(item.task.organization, bytes);
        let Ok(reserved) =
            tokio::time::timeout(self.time_to_start(&item, deadline_ms), reserving).await
        else {
            return self.send_back(&item).await;
        };
        if asked.elapsed() > RECORDS_VALID_FOR {
            item = match self.read_again(item).await {
                Ok(item) => item,
                Err(disposal) => return disposal,
            };
            if self.is_too_late(&item, deadline_ms)
                || !matches!(self.plan(&item), Next::Attempt(_) | Next::AttemptAlone)
            {
                return self.send_back(&item).await;
            }
        }
        let disposal = self.attempt(&item).await;
        drop(reserved);
        disposal
    }

    /// Reads the records of a task again. If that fails, the task returns to the queue.
    async fn read_again(&self, item: Item) -> Result<Item, Disposal> {
        match self.read_one(&item.task).await {
            Ok(work) => Ok(Item {
                work: work.unwrap_or(item.work),
                ..item
            }),
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %item.task.delivery,
                    "failed to read a delivery again; its task returns to the queue"
                );
                Err(return_to_queue(&self.inbox, &item.received).await)
            }
        }
    }

    /// Returns the memory that an attempt needs in addition to what the batch has read, or `None`
    /// if it needs none.
    fn memory_bytes(&self, item: &Item) -> Option<u64> {
        let (None, Some(delivery), Some(destination)) = (
            &item.work.payload,
            &item.work.delivery,
            &item.work.destination,
        ) else {
            return None;
        };
        Some(
            self.connector
                .memory_bytes(destination, delivery.message.payload.size_bytes),
        )
        .filter(|bytes| *bytes > 0)
    }

    /// Returns a task to the queue with a receive count of zero, because nothing was tried.
    pub(crate) async fn send_back(&self, item: &Item) -> Disposal {
        match self
            .inbox
            .send_again(&item.task, item.received.cause.as_ref(), Duration::ZERO)
            .await
        {
            Ok(()) => Disposal::Done,
            Err(_) => hold(&self.inbox, &item.received, Duration::ZERO).await,
        }
    }

    /// Acknowledges a task. If its delivery has finished, a worker may have died before it sent the
    /// status updates, so they are sent again.
    async fn acknowledge(&self, item: &Item) -> Disposal {
        match &item.work.delivery {
            Some(delivery) if delivery.generation <= item.task.generation + 1 => {
                self.send_updates(&item.received, delivery, &item.work, Disposal::Done)
                    .await
            }
            _ => Disposal::Done,
        }
    }

    /// Sends the fallbacks and status updates of a finished delivery. The task stays in the queue
    /// until this succeeds.
    pub(crate) async fn send_updates(
        &self,
        received: &Received,
        delivery: &Delivery,
        work: &Work,
        disposal: Disposal,
    ) -> Disposal {
        // Boxed, because few destinations have fallbacks.
        if let Err(error) = Box::pin(
            self.dispatcher
                .fall_back(delivery, work.destination.as_ref()),
        )
        .await
        {
            tracing::warn!(
                error = %domain::chain(&error),
                delivery = %delivery.id,
                "failed to create the fallbacks of a delivery; its task returns to the queue"
            );
            return return_to_queue(&self.inbox, received).await;
        }
        let Some(updates) = &self.updates else {
            return disposal;
        };
        // Boxed, because few organizations receive status updates, and every attempt's future would
        // contain it.
        match Box::pin(updates.send(&self.dispatcher, delivery, work)).await {
            Ok(()) => disposal,
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&*error),
                    delivery = %delivery.id,
                    "failed to send a status update; its task returns to the queue"
                );
                return_to_queue(&self.inbox, received).await
            }
        }
    }

    /// Ends a delivery without an attempt, and sends its fallbacks and status updates.
    async fn give_up(&self, item: &Item, why: GiveUp) -> Disposal {
        let Some(before) = &item.work.delivery else {
            return Disposal::Done;
        };
        let Ok(after) = why.end(before.clone(), self.clock.now()) else {
            return self.acknowledge(item).await;
        };
        match self.store.transition(before, &after).await {
            Ok(true) => {
                telemetry::metrics::delivery_ended(after.destination_type, after.status().as_str());
                self.send_updates(&item.received, &after, &item.work, Disposal::Done)
                    .await
            }
            // Another writer changed the delivery first, so the task is processed again.
            Ok(false) => hold(&self.inbox, &item.received, Duration::ZERO).await,
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %before.id,
                    "failed to finish a delivery without an attempt; its task returns to the queue"
                );
                return_to_queue(&self.inbox, &item.received).await
            }
        }
    }
}

/// Sets the URL of Waybill's own destination for status updates to the message's callback URL.
fn called_back(mut work: Work) -> Work {
    let callback = work
        .delivery
        .as_ref()
        .and_then(|delivery| delivery.message.status_callback.as_ref());
    if let (Some(StatusCallback::Url(url)), Some(destination)) = (callback, &mut work.destination)
        && destination.is_system()
        && let Settings::Webhook(webhook) = &mut destination.settings
    {
        webhook.url = Some(url.clone());
    }
    work
}

fn work_key(task: &Task) -> WorkKey {
    WorkKey {
        organization: task.organization,
        delivery: task.delivery,
        destination: task.destination,
        payload_item: task.payload_item,
    }
}

fn partial_failure(staying: Vec<String>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = staying
        .into_iter()
        .map(|message_id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message_id;
            failure
        })
        .collect();
    response
}

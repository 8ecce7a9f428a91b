//! Handles dead letters: tasks that no worker could process because of a failure in Waybill. If the
//! delivery of a task can be identified, it ends as `failed` with the reason `dead_lettered`,
//! visible and retryable. Other tasks stay in the dead-letter queue, which an alarm monitors.

mod config;

pub use config::Config;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use dispatch::{Dispatcher, EndError};
use domain::Clock;
use lambda_runtime::{LambdaEvent, service_fn, tower::Service};
use queue::{Queues, Received, Task};
use runtime::Platform;
use store::Store;
use telemetry::metrics::Threshold;

/// Builds the function that processes dead-letter queues.
pub fn build(
    platform: &Platform,
    config: Config,
) -> impl Service<
    LambdaEvent<SqsEvent>,
    Response = SqsBatchResponse,
    Error = lambda_runtime::Error,
    Future: Send,
> + Clone
+ Send
+ use<> {
    let store = Store::new(&platform.aws, config.table_name, None);
    let clock = platform.clock.clone();
    let dispatcher = Dispatcher::new(
        store.clone(),
        Queues::new(&platform.aws, config.queue_urls),
        clock.clone(),
    );
    let handler = DeadLetterHandler {
        store,
        clock,
        dispatcher,
    };
    service_fn(move |event: LambdaEvent<SqsEvent>| {
        let handler = handler.clone();
        async move {
            let mut response = SqsBatchResponse::default();
            for received in event.payload.records.into_iter().map(Received::from) {
                if !handler.is_settled(&received).await {
                    let mut failure = BatchItemFailure::default();
                    failure.item_identifier = received.message_id;
                    response.batch_item_failures.push(failure);
                }
            }
            Ok(response)
        }
    })
}

/// Ends the deliveries of dead letters.
#[derive(Clone)]
struct DeadLetterHandler {
    store: Store,
    clock: Clock,
    dispatcher: Dispatcher,
}

impl DeadLetterHandler {
    async fn is_settled(&self, received: &Received) -> bool {
        let settled = match &received.task {
            Err(error) => {
                tracing::error!(
                    error = %domain::chain(&error),
                    message_id = received.message_id,
                    "failed to parse a dead letter; it stays in its queue"
                );
                telemetry::metrics::threshold_exceeded(Threshold::DeadLetters);
                return false;
            }
            Ok(task) => self.settle(task).await,
        };
        if let Err(error) = &settled {
            tracing::warn!(
                error = %domain::chain(&error),
                message_id = received.message_id,
                "failed to settle a dead letter; it returns to its queue"
            );
        }
        settled.unwrap_or(false)
    }

    /// Ends the task's delivery, unless it has finished or was redelivered since. Returns `false`
    /// if it changed at the same time.
    async fn settle(&self, task: &Task) -> Result<bool, EndError> {
        let Some(before) = self
            .store
            .delivery(task.organization, task.delivery)
            .await?
        else {
            return Ok(true);
        };
        if task.generation < before.generation {
            return Ok(true);
        }
        let now = self.clock.now();
        let Ok(after) = before.clone().dead_letter(now) else {
            return Ok(true);
        };
        let ended = self.dispatcher.end(&before, &after).await?;
        if ended {
            tracing::error!(
                delivery = %before.id,
                organization = %before.organization,
                "a delivery was dead-lettered"
            );
        }
        Ok(ended)
    }
}

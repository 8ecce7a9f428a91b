//! Jobs work on many deliveries in chunks, slowly enough not to disturb live traffic.
//!
//! A run takes a job from the queue, leases its record and works through it in chunks: it plans a
//! chunk and saves it, executes it, and counts the results. After a minute it passes the job on
//! through its own queue, so that no run lasts long. A run that dies loses nothing: the message is
//! received again, and the saved chunk is checked again. Cancelling changes the record, which the
//! run notices at its next write. Pacing keeps the workers' queues short, so that live deliveries
//! do not wait behind those of a job.

mod backfill;
mod config;
mod pace;
mod reconcile;
mod reopen;
mod run;

pub use config::Config;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use dispatch::Dispatcher;
use domain::Clock;
use lambda_runtime::{LambdaEvent, service_fn, tower::Service};
use queue::{JobQueue, JobTask, Queues};
use runtime::Platform;
use store::Store;

/// The dependencies of a run.
#[derive(Clone, Debug)]
struct Jobs {
    store: Store,
    dispatcher: Dispatcher,
    queues: Queues,
    own_queue: JobQueue,
    clock: Clock,
}

/// Builds the jobs function.
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
    let store = Store::new(&platform.aws, config.table_name, Some(config.bucket_name));
    let queues = Queues::new(&platform.aws, config.queue_urls);
    let jobs = Jobs {
        dispatcher: Dispatcher::new(store.clone(), queues.clone(), platform.clock.clone()),
        own_queue: JobQueue::new(&platform.aws, config.jobs_queue_url),
        clock: platform.clock.clone(),
        store,
        queues,
    };
    service_fn(move |event: LambdaEvent<SqsEvent>| {
        let jobs = jobs.clone();
        async move {
            let mut response = SqsBatchResponse::default();
            for message in event.payload.records {
                if !jobs.took(&message).await {
                    let mut failure = BatchItemFailure::default();
                    failure.item_identifier = message.message_id.unwrap_or_default();
                    response.batch_item_failures.push(failure);
                }
            }
            Ok(response)
        }
    })
}

impl Jobs {
    /// Works on the job of a message. Returns `false` if the message must be received again.
    async fn took(&self, message: &SqsMessage) -> bool {
        let body = message.body.as_deref().unwrap_or_default();
        let task: JobTask = match serde_json::from_str(body) {
            Ok(task) => task,
            Err(error) => {
                tracing::error!(
                    error = %domain::chain(&error),
                    message_id = message.message_id,
                    "failed to parse a job's message; it returns to the queue and ends in the \
                     dead-letter queue"
                );
                return false;
            }
        };
        match self.run(task).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    error,
                    job = %task.job,
                    organization = %task.organization,
                    "failed to run a job; its message returns to the queue"
                );
                false
            }
        }
    }
}

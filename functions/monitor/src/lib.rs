//! The monitor. Every minute it queues due deliveries and evaluates failing destinations. Every
//! hour it finds deliveries whose task was lost.
//!
//! - The sweep reads the due index. If a delivery is due and no worker runs it, the sweep raises
//!   its generation, moves its due time, and queues a task. The write is conditional, so only one
//!   of several monitors does this.
//! - Reconcile walks the organizations' shards for deliveries that are queued but whose task must
//!   be lost, and queues them again: losing a whole queue loses nothing. The progress of its round
//!   is saved.
//! - The watch evaluates failing destinations: it alerts, disables them, reports their recovery,
//!   and skips the deliveries that wait for destinations that accept no more. It also releases the
//!   deliveries that waited for a pause that has ended or for limits that have changed.
//! - Recovery checks destinations that failures disabled, and enables those whose check passes.

mod config;
mod interrupted;
mod reconcile;
mod recover;
mod sweep;
mod waiting;
mod watch;

pub use config::Config;
use interrupted::Interrupted;

use dispatch::{Bus, Checker, Dispatcher};
use domain::id::IdMint;
use domain::{Clock, Random};
use lambda_runtime::{LambdaEvent, service_fn, tower::Service};
use queue::{JobQueue, Queues};
use runtime::Platform;
use serde::{Deserialize, Serialize};
use store::Store;
use vault::{KeySource, KeyUse};

/// The event that invokes the monitor. The schedule for each minute sends the default event of
/// EventBridge, which has no `reconcile`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Invocation {
    /// If present, the monitor reconciles instead of sweeping.
    pub reconcile: Option<Reconcile>,
    /// The bodies of tasks that were being processed when the process died and that a queue still
    /// holds. Their deliveries need no other task, and the receive count of these tasks identifies
    /// one that kills the process.
    #[serde(default)]
    pub interrupted: Vec<String>,
}

/// Which deliveries a reconcile considers lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reconcile {
    /// Deliveries that have waited so long that their task must be lost.
    Hourly,
    /// Every unfinished delivery that is due. None is in flight, because the only process that
    /// could run one has just started.
    Start,
}

/// The dependencies of the monitor.
#[derive(Clone, Debug)]
struct Monitor {
    store: Store,
    dispatcher: Dispatcher,
    queues: Queues,
    jobs: JobQueue,
    checker: Checker,
    clock: Clock,
    random: Random,
    interval_seconds: u32,
    public_url: String,
    keys: KeySource,
}

impl Monitor {
    /// Creates the source of new ids. Returns an error if the keys cannot be read.
    async fn ids(&self) -> Result<IdMint, vault::VaultError> {
        let keys = self.keys.ring(self.clock.now()).await?;
        Ok(IdMint::new(keys, self.clock.clone(), self.random.clone()))
    }

    /// Runs the sweep and the watch concurrently, so that a backlog in one does not delay the
    /// other.
    async fn run(&self) -> Result<(), lambda_runtime::Error> {
        let (swept, watched) = tokio::join!(Box::pin(self.sweep()), Box::pin(self.watch()));
        if let (Err(error), Err(_)) = (&swept, &watched) {
            // Only one of the errors can be returned.
            tracing::error!(
                error = %domain::chain(error),
                "the sweep and the watch failed; the next run repeats both"
            );
        }
        watched?;
        Ok(swept?)
    }
}

/// Builds the monitor function.
pub fn build(
    platform: &Platform,
    config: Config,
) -> impl Service<LambdaEvent<Invocation>, Response = (), Error = lambda_runtime::Error, Future: Send>
+ Clone
+ Send
+ use<> {
    let store = Store::new(&platform.aws, config.table_name, None);
    let queues = Queues::new(&platform.aws, config.queue_urls);
    let bus = config
        .event_bus_name
        .map(|name| Bus::new(&platform.aws, name));
    let dispatcher = Dispatcher::new(store.clone(), queues.clone(), platform.clock.clone())
        .alerting_from(config.alert_from)
        .publishing_on(bus);
    let monitor = Monitor {
        store,
        dispatcher,
        queues,
        jobs: JobQueue::new(&platform.aws, config.jobs_queue_url),
        checker: Checker::new(
            aws_sdk_lambda::Client::new(&platform.aws),
            config.worker_functions,
        ),
        clock: platform.clock.clone(),
        random: platform.random.clone(),
        interval_seconds: config.monitor_interval_seconds,
        public_url: config.public_url,
        keys: KeySource::new(&platform.aws, config.signing_keys_secret_arn, KeyUse::Ids),
    };
    service_fn(move |event: LambdaEvent<Invocation>| {
        let monitor = monitor.clone();
        async move {
            match event.payload.reconcile {
                None => monitor.run().await?,
                Some(scope) => {
                    monitor
                        .reconcile(scope, &Interrupted::of(&event.payload.interrupted))
                        .await?
                }
            }
            Ok(())
        }
    })
}

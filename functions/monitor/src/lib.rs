//! The monitor: every minute it brings back what is due and looks at what fails, every hour it finds what was lost.
//!
//! **Sweep**: a retrying delivery stands in the due index; when its time comes and no worker is at it, the sweep raises its generation, moves
//! its due time on (one winner, however many monitors run) and sends a task. **Reconcile**: walks the organizations' shards for deliveries that
//! are queued but whose task must be lost, and sends them anew: losing a whole queue loses nothing. How far its **round** is, is
//! kept. **Watch**: looks at the destinations that are failing, alerts, disables, tells of recovery, and skips what waits for those that take no more.
//! **Recover**: checks destinations that failures disabled, and enables those whose check passes.

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

/// What the schedules invoke the monitor with. The minute's schedule sends EventBridge's own event, which has no `reconcile`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Invocation {
    /// Present: reconcile instead of sweeping.
    pub reconcile: Option<Reconcile>,
    /// The bodies of tasks that a queue still holds and that were being worked on when the process died: their deliveries need no
    /// other task, and how often these were received tells which one kills the process.
    #[serde(default)]
    pub interrupted: Vec<String>,
}

/// How much a reconcile may take for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reconcile {
    /// What waited so long that its task must be lost.
    Hourly,
    /// Everything unfinished that is due: nothing is in flight, because the one process that could be at it has just started.
    Start,
}

/// The monitor's parts.
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
    /// Makes ids.
    async fn ids(&self) -> Result<IdMint, vault::VaultError> {
        let keys = self.keys.ring(self.clock.now()).await?;
        Ok(IdMint::new(keys, self.clock.clone(), self.random.clone()))
    }

    /// A run. Neither half waits for the other: however much is due, people are told, and the other way round.
    async fn run(&self) -> Result<(), lambda_runtime::Error> {
        let (swept, watched) = tokio::join!(Box::pin(self.sweep()), Box::pin(self.watch()));
        watched?;
        Ok(swept?)
    }
}

/// The monitor as a function.
pub fn build(
    platform: &Platform,
    config: Config,
) -> impl Service<LambdaEvent<Invocation>, Response = (), Error = lambda_runtime::Error, Future: Send> + Clone + Send + use<> {
    let store = Store::new(&platform.aws, config.table_name, None);
    let queues = Queues::new(&platform.aws, config.queue_urls);
    let bus = config.event_bus_name.map(|name| Bus::new(&platform.aws, name));
    let dispatcher =
        Dispatcher::new(store.clone(), queues.clone(), platform.clock.clone()).alerting_from(config.alert_from).telling_on(bus);
    let monitor = Monitor {
        store,
        dispatcher,
        queues,
        jobs: JobQueue::new(&platform.aws, config.jobs_queue_url),
        checker: Checker::new(aws_sdk_lambda::Client::new(&platform.aws), config.worker_functions),
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
                Some(scope) => monitor.reconcile(scope, &Interrupted::of(&event.payload.interrupted)).await?,
            }
            Ok(())
        }
    })
}

//! The monitor: every minute it brings back what is due, every hour what was lost.
//!
//! **Sweep**: a retrying delivery stands in the due index; when its time comes and no worker is at it, the sweep raises its generation, moves
//! its due time on (one winner, however many monitors run) and sends a task. **Reconcile**: walks the organizations' shards for deliveries that
//! are queued but whose task must be lost, and sends them anew: losing a whole queue loses nothing.

mod config;
mod reconcile;
mod sweep;

pub use config::Config;

use dispatch::Dispatcher;
use domain::Clock;
use lambda_runtime::{LambdaEvent, service_fn, tower::Service};
use queue::Queues;
use runtime::Platform;
use serde::{Deserialize, Serialize};
use store::Store;

/// What the schedules invoke the monitor with. The minute's schedule sends EventBridge's own event, which has no `reconcile`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Invocation {
    /// Present: reconcile instead of sweeping.
    pub reconcile: Option<Reconcile>,
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
    clock: Clock,
    interval_seconds: u32,
}

/// The monitor as a function.
pub fn build(
    platform: &Platform,
    config: Config,
) -> impl Service<LambdaEvent<Invocation>, Response = (), Error = lambda_runtime::Error, Future: Send> + Clone + Send + use<> {
    let store = Store::new(&platform.aws, config.table_name, None);
    let queues = Queues::new(&platform.aws, config.queue_urls);
    let dispatcher = Dispatcher::new(store.clone(), queues.clone(), platform.clock.clone());
    let monitor = Monitor { store, dispatcher, queues, clock: platform.clock.clone(), interval_seconds: config.monitor_interval_seconds };
    service_fn(move |event: LambdaEvent<Invocation>| {
        let monitor = monitor.clone();
        async move {
            match event.payload.reconcile {
                None => monitor.sweep().await?,
                Some(scope) => monitor.reconcile(scope).await?,
            }
            Ok(())
        }
    })
}

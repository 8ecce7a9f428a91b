//! Runs the stack of a template on the embedded engines.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use local_aws::{Caller, Engines, InvokeError, Policy};
use runtime::{Environment, Platform, platform};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::capacity::{Capacity, raise_files_max};
use crate::function::{Frame, Function};
use crate::functions::{self, BuildError, Built};
use crate::poller::Poller;
use crate::processes::Host;
use crate::serve::Gateway;
use crate::template::{self, Mapping, Stack};
use crate::ticker;

/// The schedule that `--monitor-interval-seconds` sets. It runs immediately after a start, because
/// retries may have fallen due meanwhile.
pub const SWEEP: &str = "Sweep";

/// The functions of a stack, built and connected but not triggered.
pub struct Instance {
    functions: BTreeMap<String, Event>,
    http: Vec<(template::Function, Platform)>,
    mappings: Vec<(Mapping, Capacity)>,
    /// What the functions of this process continue after their invocations.
    pub background: TaskTracker,
    /// The functions behind the HTTP API.
    pub gateway: Gateway,
}

/// A function that handles events, with its triggers.
struct Event {
    function: Arc<Function>,
    declared: template::Function,
    platform: Platform,
}

/// Why a stack cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// A function could not be built.
    #[error("function {name}: {source}")]
    Function {
        /// The logical id of the function.
        name: String,
        /// The reason why it could not be built.
        source: BuildError,
    },
    /// A queue or a schedule triggers a function that does not handle events.
    #[error("{0} is triggered by a queue or a schedule but does not handle events")]
    NoEvents(String),
}

impl Instance {
    /// Builds every function with its own environment and permissions. Those that handle events are
    /// registered with the engines, so that others can invoke them.
    ///
    /// With a `host`, each function runs in processes of its own; without one, all run in this
    /// process.
    pub fn build(
        stack: Stack,
        engines: &Engines,
        host: Option<&Host>,
        stop: &CancellationToken,
    ) -> Result<Self, InstanceError> {
        let mut instance = Self {
            functions: BTreeMap::new(),
            http: Vec::new(),
            mappings: Vec::new(),
            background: TaskTracker::new(),
            gateway: Gateway::default(),
        };
        for declared in stack.functions {
            let caller = Caller::new(
                declared.name.clone(),
                Policy {
                    statements: declared.statements.clone(),
                },
            );
            let platform = Platform {
                aws: engines.sdk_config(caller),
                clock: platform::system_clock(),
                random: platform::system_random(),
                shutdown: stop.clone(),
                background: instance.background.clone(),
            };
            let environment: Environment = declared.environment.clone().into_iter().collect();
            let built = match host {
                None => functions::build(&declared.binary, &platform, &environment),
                Some(host) => host.built(&declared, engines).map_err(BuildError::from),
            };
            let built = built.map_err(|source| InstanceError::Function {
                name: declared.logical_id.clone(),
                source,
            })?;
            instance.connect(declared, platform, built, engines)?;
        }
        let files_max = raise_files_max();
        for mapping in stack.mappings {
            let Some(event) = instance.functions.get(&mapping.function) else {
                return Err(InstanceError::NoEvents(mapping.function));
            };
            let is_lane = event.declared.binary.starts_with("worker_");
            let capacity = if is_lane && host.is_none() {
                Capacity::in_process(files_max)
            } else {
                Capacity::of(&mapping)
            };
            instance.mappings.push((mapping, capacity));
        }
        Ok(instance)
    }

    /// Divides the concurrency of each queue among its tenants.
    pub async fn limit_shares(&self, engines: &Engines) {
        for (mapping, capacity) in &self.mappings {
            let queue = mapping.queue_arn.rsplit(':').next().unwrap_or_default();
            if let Err(error) = engines.sqs().limit_shares(queue, capacity.share()).await {
                tracing::error!(
                    queue,
                    ?error,
                    "failed to limit the shares of a queue; one tenant may take all of them"
                );
            }
        }
    }

    fn connect(
        &mut self,
        declared: template::Function,
        platform: Platform,
        built: Built,
        engines: &Engines,
    ) -> Result<(), InstanceError> {
        let frame = Frame::new(&declared, platform.clock.clone(), platform.random.clone());
        match built {
            Built::Http(_) if !declared.schedules.is_empty() => {
                Err(InstanceError::NoEvents(declared.name))
            }
            Built::Http(router) => {
                self.gateway.add(&declared.routes, frame, router);
                self.http.push((declared, platform));
                Ok(())
            }
            Built::Events(handler) => {
                let function = Arc::new(Function::new(frame, handler));
                register(engines, &function);
                declared
                    .rules
                    .iter()
                    .cloned()
                    .for_each(|rule| engines.add_rule(rule));
                self.functions.insert(
                    declared.name.clone(),
                    Event {
                        function,
                        declared,
                        platform,
                    },
                );
                Ok(())
            }
        }
    }

    /// Returns the function with this binary, if it handles events.
    pub fn function(&self, binary: &str) -> Option<&Function> {
        self.functions
            .values()
            .find(|event| event.declared.binary == binary)
            .map(|event| &*event.function)
    }

    /// Returns the platform and the environment of the function with this binary, if it handles
    /// HTTP requests.
    pub fn http_function(&self, binary: &str) -> Option<(&Platform, Environment)> {
        let (declared, platform) = self
            .http
            .iter()
            .find(|(declared, _)| declared.binary == binary)?;
        Some((platform, declared.environment.clone().into_iter().collect()))
    }

    /// Starts polling queues and running schedules until `stop`. The tasks end when the invocations
    /// in progress have ended.
    pub fn trigger(
        &self,
        sweep_period: Option<std::time::Duration>,
        stop: &CancellationToken,
    ) -> JoinSet<()> {
        let mut triggers = JoinSet::new();
        for (mapping, capacity) in &self.mappings {
            if let Some(event) = self.functions.get(&mapping.function) {
                let client = aws_sdk_sqs::Client::new(&event.platform.aws);
                let poller =
                    Poller::new(mapping.clone(), client, event.function.clone()).with(*capacity);
                triggers.spawn(poller.run(stop.clone()));
            }
        }
        for event in self.functions.values() {
            for schedule in event.declared.schedules.clone() {
                let (mut schedule, mut first) = (schedule, Instant::now());
                if schedule.name == SWEEP {
                    schedule.period = sweep_period.unwrap_or(schedule.period);
                } else {
                    first += schedule.period;
                }
                triggers.spawn(ticker::run(
                    schedule,
                    first,
                    event.function.clone(),
                    stop.clone(),
                ));
            }
        }
        triggers
    }
}

/// Allows other functions to invoke this one by name.
fn register(engines: &Engines, function: &Arc<Function>) {
    let function = function.clone();
    engines
        .functions()
        .register(function.name().to_owned(), move |payload: Bytes| {
            let function = function.clone();
            Box::pin(async move {
                let failed = |kind: &str, message: String| InvokeError {
                    kind: kind.to_owned(),
                    message,
                };
                let payload: Value = match payload.is_empty() {
                    true => json!({}),
                    false => serde_json::from_slice(&payload)
                        .map_err(|error| failed("Runtime.UnmarshalError", error.to_string()))?,
                };
                let answer = function
                    .invoke(payload)
                    .await
                    .map_err(|error| failed("Function.Failed", error.to_string()))?;
                Ok(Bytes::from(answer.to_string()))
            })
        });
}

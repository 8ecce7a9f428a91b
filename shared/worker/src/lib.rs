//! The worker: receives tasks from its queue, delivers them through its connector, and records the
//! outcomes.
//!
//! For every batch, [`Worker`] **reads** deliveries, destinations, health and payloads in one
//! strongly consistent read, and [`plan`] decides what to do with each. Due deliveries are
//! **delivered** by the [`Connector`] and **settled**: `domain::settle` decides the next state, and
//! the store writes it on condition of the delivery's generation and attempt count. The task is
//! then acknowledged, hidden until the retry, or removed because the due index returns the
//! delivery, and the attempt is counted in the destination's health. A dependency that fails delays
//! a task and never fails its delivery. The same function answers connection checks. [`Memory`]
//! limits the memory of all attempts in a process.

mod attempt;
mod batch;
mod config;
mod connector;
mod counts;
mod credentials;
mod dependency;
mod error;
mod faults;
mod flow;
mod gone;
mod grants;
mod harness;
mod invocation;
mod limit;
mod memory;
mod payload;
mod pending_statistics;
mod plan;
pub mod redaction;
mod setback;
mod steps;
mod trail;
mod turn;
mod updates;

pub use config::Config;
pub use connector::{Attempted, Check, Connector, Job};
pub use credentials::Opened;
pub use dependency::dependency;
pub use error::{ConnectorError, Unavailable, unanswered};
pub use faults::Faults;
pub use flow::Flows;
pub use harness::{check, deliver, watched};
pub use invocation::{Answer, Invocation};
pub use limit::{CHECK_TIME_LIMIT, login_deadline, within};
pub use memory::{Memory, Reserved};
pub use payload::{Payload, Pieces};
pub use pending_statistics::PendingStatistics;
pub use plan::{GiveUp, Next, plan};
pub use redaction::redacted;
pub use steps::StepRecorder;
pub use updates::Updates;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dispatch::{Bus, Dispatcher};
use domain::alert_email::{Confirmation, ConfirmationAnswer};
use domain::authorization::{Exchange, ExchangeAnswer};
use domain::check::{CheckReport, CheckStep, HostKeysAnswer, HostKeysServer, StepName};
use domain::destination::Destination;
use domain::{Clock, Random, Reason};
use lambda_runtime::LambdaEvent;
use queue::{Inbox, Queues};
use runtime::Platform;
use store::Store;
use tokio_util::sync::CancellationToken;
use tower::Service;
use vault::{Confidential, KeySource, KeyUse};

use crate::redaction::Redactor;

/// A worker function with its connector.
pub struct Worker<C>(Arc<Parts<C>>);

/// The dependencies of a worker.
pub struct Parts<C> {
    /// The connector, which implements the destination type's protocol.
    pub connector: C,
    /// Reads and writes deliveries, destinations and health.
    pub store: Store,
    /// The worker's own queue.
    pub inbox: Inbox,
    /// The source of the current time.
    pub clock: Clock,
    /// The source of randomness, such as jitter.
    pub random: Random,
    /// Records refusals, and sends fallbacks and status updates.
    pub dispatcher: Dispatcher,
    /// Sends status updates about finished deliveries, unless it is `None`.
    pub updates: Option<Updates>,
    /// No new attempt starts after this is cancelled.
    pub shutdown: CancellationToken,
    /// The memory that all attempts of this process share.
    pub memory: Memory,
    /// The flows of destinations with limits.
    pub flows: Flows,
    /// The attempts that are not in the statistics yet.
    pub pending_statistics: PendingStatistics,
    /// The faults to inject, if there are any.
    pub faults: Faults,
}

/// Returns the report of a check that could not begin.
#[must_use]
pub fn refused_check(detail: &str) -> CheckReport {
    CheckReport::of(vec![CheckStep {
        name: StepName::Resolve,
        ok: Some(false),
        detail: detail.to_owned(),
        reason: Some(Reason::Misconfigured),
        duration_ms: 0,
    }])
}

impl<C: Connector> Worker<C> {
    /// Creates the worker for `connector` on this platform.
    pub fn on(platform: &Platform, config: Config, connector: C) -> Self {
        let Platform {
            aws,
            clock,
            random,
            shutdown,
            background,
        } = platform.clone();
        let store = Store::new(&aws, config.table_name, Some(config.bucket_name));
        let bus = config.event_bus_name.map(|name| Bus::new(&aws, name));
        let dispatcher = Dispatcher::new(
            store.clone(),
            Queues::new(&aws, config.queue_urls),
            clock.clone(),
        )
        .publishing_on(bus);
        let keys = KeySource::new(&aws, config.signing_keys_secret_arn, KeyUse::Ids);
        let (memory, faults) = (Memory::of(config.memory_budget_bytes), config.faults);
        Self::new(Parts {
            connector,
            store,
            inbox: Inbox::new(&aws, config.queue_url, config.dlq_url),
            updates: Some(Updates::new(
                config.public_url,
                keys,
                clock.clone(),
                random.clone(),
            )),
            dispatcher,
            clock,
            random,
            shutdown,
            memory,
            flows: Flows::default(),
            pending_statistics: PendingStatistics::new(background),
            faults,
        })
    }

    /// Creates a worker from its dependencies.
    pub fn new(parts: Parts<C>) -> Self {
        Self(Arc::new(parts))
    }
}

impl<C> Clone for Worker<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Connector> Parts<C> {
    async fn check(&self, destination: &Destination) -> CheckReport {
        if let Some(report) = self.refuses_check(destination).await {
            return report;
        }
        check(&self.connector, destination).await
    }

    /// Asks a server for its host keys. The request does not name an organization, so connections
    /// are isolated by host instead.
    async fn host_keys(&self, server: HostKeysServer) -> HostKeysAnswer {
        egress::on_behalf_of(
            format!("host {}", server.host),
            self.connector.host_keys(server),
        )
        .await
    }

    async fn exchange(&self, exchange: Exchange) -> ExchangeAnswer {
        let confidential = Confidential::default();
        let organization = exchange.organization_id.to_string();
        let answer = confidential
            .during(egress::on_behalf_of(
                organization,
                self.connector.exchange(exchange),
            ))
            .await;
        ExchangeAnswer {
            detail: Redactor::of(&confidential).text(&answer.detail),
            ..answer
        }
    }

    async fn confirm_address(&self, confirmation: Confirmation) -> ConfirmationAnswer {
        let confidential = Confidential::default();
        let organization = confirmation.organization_id.to_string();
        let confirming =
            egress::on_behalf_of(organization, self.connector.confirm_address(confirmation));
        let answer = confidential.during(confirming).await;
        ConfirmationAnswer {
            detail: Redactor::of(&confidential).text(&answer.detail),
            ..answer
        }
    }
}

impl<C: Connector> Service<LambdaEvent<Invocation>> for Worker<C> {
    type Response = Answer;
    type Error = lambda_runtime::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: LambdaEvent<Invocation>) -> Self::Future {
        let parts = Arc::clone(&self.0);
        Box::pin(async move {
            match event.payload {
                Invocation::Check(request) => Ok(Answer::Check(parts.check(&request.check).await)),
                Invocation::HostKeys(request) => {
                    Ok(Answer::HostKeys(parts.host_keys(request.host_keys).await))
                }
                Invocation::Exchange(request) => {
                    Ok(Answer::Exchange(parts.exchange(request.exchange).await))
                }
                Invocation::Confirmation(request) => Ok(Answer::Confirmation(
                    parts.confirm_address(request.confirmation).await,
                )),
                Invocation::Queue(batch) => Ok(Answer::Batch(
                    parts.work(batch, event.context.deadline).await,
                )),
            }
        })
    }
}

//! Runs the first steps of a connection check one by one.

use crate::{Client, Failure, Target, guard::connect_by, guard::connect_one};
use std::{net::SocketAddr, time::Duration};
use strum::IntoStaticStr;
use tokio::time::Instant;

/// The name of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum StepName {
    /// The name has addresses, and all of them are permitted.
    Resolve,
    /// One of the addresses accepts a connection.
    Connect,
    /// The certificate is valid for the name.
    Tls,
}

impl StepName {
    /// Returns the name of the step in the contract.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The result of a step.
#[derive(Debug, Clone)]
pub enum StepOutcome {
    /// The step ended without a failure.
    Passed,
    /// The step failed, and no later step is tried.
    Failed(Failure),
    /// An earlier step failed.
    NotReached,
}

/// One step of a probe.
#[derive(Debug, Clone)]
pub struct Step {
    /// The name of the step.
    pub name: StepName,
    /// The result of the step.
    pub outcome: StepOutcome,
    /// The result in one sentence for people.
    pub detail: String,
    /// The duration of the step.
    pub duration: Duration,
}

/// All steps of a probe, including those that were not reached. A probe over plain HTTP has no step
/// `tls`.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The steps in their order.
    pub steps: Vec<Step>,
}

impl Probe {
    /// Returns the failure, if there is one.
    pub fn failure(&self) -> Option<&Failure> {
        self.steps.iter().find_map(|step| match &step.outcome {
            StepOutcome::Failed(failure) => Some(failure),
            StepOutcome::Passed | StepOutcome::NotReached => None,
        })
    }

    /// Whether every step passed.
    pub fn passed(&self) -> bool {
        self.failure().is_none()
    }

    fn add(&mut self, name: StepName, result: Result<String, Failure>, duration: Duration) {
        let (outcome, detail) = match result {
            Ok(detail) => (StepOutcome::Passed, detail),
            Err(failure) => (StepOutcome::Failed(failure.clone()), failure.to_string()),
        };
        self.steps.push(Step {
            name,
            outcome,
            detail,
            duration,
        });
    }

    fn skip(&mut self, name: StepName) {
        let detail = "not tried".to_owned();
        self.steps.push(Step {
            name,
            outcome: StepOutcome::NotReached,
            detail,
            duration: Duration::ZERO,
        });
    }
}

/// A connection that was accepted, and how long that took.
struct Accepted {
    peer: SocketAddr,
    connecting: Duration,
}

/// Why an address cannot be used.
enum Unusable {
    /// The connection was not accepted.
    Connect(Failure),
    /// The handshake failed on an accepted connection.
    Tls(Accepted, Failure),
}

impl From<Failure> for Unusable {
    fn from(failure: Failure) -> Self {
        Self::Connect(failure)
    }
}

impl Client {
    /// Resolves, connects and does a TLS handshake like a request, on separate connections that are
    /// closed afterwards. Sends no request.
    pub async fn probe(&self, target: &Target, deadline: Instant) -> Probe {
        let deadline = connect_by(deadline);
        let mut probe = Probe {
            steps: Vec::with_capacity(3),
        };
        let started = Instant::now();
        let addresses = match self
            .guard
            .resolve(target.host(), target.port(), deadline)
            .await
        {
            Ok(addresses) => addresses,
            Err(failure) => {
                probe.add(StepName::Resolve, Err(failure), started.elapsed());
                probe.skip(StepName::Connect);
                if target.is_tls() {
                    probe.skip(StepName::Tls);
                }
                return probe;
            }
        };
        probe.add(
            StepName::Resolve,
            Ok(resolved(target, &addresses)),
            started.elapsed(),
        );
        let started = Instant::now();
        let raced = self
            .guard
            .open_at(target.host(), &addresses, deadline, |address| {
                self.open(target, address, deadline)
            })
            .await;
        probe.add_connection(target, raced, started.elapsed());
        probe
    }

    /// Connects to one checked address, with TLS if the target requires it.
    async fn open(
        &self,
        target: &Target,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<Accepted, Unusable> {
        let started = Instant::now();
        let stream = connect_one(address, deadline).await?;
        let accepted = Accepted {
            peer: address,
            connecting: started.elapsed(),
        };
        if !target.is_tls() {
            return Ok(accepted);
        }
        match self.tls.handshake(stream, target.host(), deadline).await {
            Ok(_) => Ok(accepted),
            Err(failure) => Err(Unusable::Tls(accepted, failure)),
        }
    }
}

impl Probe {
    fn add_connection(
        &mut self,
        target: &Target,
        raced: Result<Accepted, Unusable>,
        took: Duration,
    ) {
        let (accepted, tls) = match raced {
            Ok(accepted) => (
                accepted,
                Ok(format!("the certificate is valid for {}", target.host())),
            ),
            Err(Unusable::Tls(accepted, failure)) => (accepted, Err(failure)),
            Err(Unusable::Connect(failure)) => {
                self.add(StepName::Connect, Err(failure), took);
                if target.is_tls() {
                    self.skip(StepName::Tls);
                }
                return;
            }
        };
        self.add(
            StepName::Connect,
            Ok(format!("{} accepted the connection", accepted.peer)),
            accepted.connecting,
        );
        if target.is_tls() {
            self.add(StepName::Tls, tls, took.saturating_sub(accepted.connecting));
        }
    }
}

fn resolved(target: &Target, addresses: &[SocketAddr]) -> String {
    let host = target.host();
    match addresses {
        [only] => format!("{host} is {}", only.ip()),
        [first, rest @ ..] => format!("{host} is {} and {} more", first.ip(), rest.len()),
        [] => format!("{host} has no address"),
    }
}

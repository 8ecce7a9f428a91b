//! A connection check's first steps, one by one.

use crate::{Client, Failure, Target, guard::connect_checked};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::Instant};

/// A step's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepName {
    /// The name has addresses, and all of them are permitted.
    Resolve,
    /// One of the addresses accepts a connection.
    Connect,
    /// The certificate is valid for the name.
    Tls,
}

impl StepName {
    /// The step's name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
        }
    }
}

/// How a step went.
#[derive(Debug, Clone)]
pub enum StepOutcome {
    /// It succeeded.
    Passed,
    /// It failed; no later step is tried.
    Failed(Failure),
    /// An earlier step failed.
    NotReached,
}

/// One step of a probe.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// How it went.
    pub outcome: StepOutcome,
    /// The same for a person: one sentence.
    pub detail: String,
    /// How long it took.
    pub duration: Duration,
}

/// All steps of a probe, also those not reached. Over plain HTTP there is no step `tls`.
#[derive(Debug, Clone)]
pub struct Probe {
    /// In the order in which they are taken.
    pub steps: Vec<Step>,
}

impl Probe {
    /// Why it failed, if it did.
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

    async fn take<T>(
        &mut self,
        name: StepName,
        step: impl Future<Output = Result<T, Failure>>,
        told: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let started = Instant::now();
        let result = step.await;
        let duration = started.elapsed();
        let (outcome, detail, value) = match result {
            Ok(value) => (StepOutcome::Passed, told(&value), Some(value)),
            Err(failure) => (StepOutcome::Failed(failure.clone()), failure.to_string(), None),
        };
        self.steps.push(Step { name, outcome, detail, duration });
        value
    }

    fn skip(&mut self, name: StepName) {
        let detail = "not tried".to_owned();
        self.steps.push(Step { name, outcome: StepOutcome::NotReached, detail, duration: Duration::ZERO });
    }
}

impl Client {
    /// Resolves, connects and speaks TLS as a request would, on a connection of its own that is closed again. Sends nothing.
    pub async fn probe(&self, target: &Target, deadline: Instant) -> Probe {
        let (host, port) = (target.host(), target.port());
        let mut probe = Probe { steps: Vec::with_capacity(3) };
        let resolve = self.guard.resolve(host, port, deadline);
        let addresses = probe.take(StepName::Resolve, resolve, |found| resolved(target, found)).await;
        let stream = match addresses {
            Some(addresses) => probe.take(StepName::Connect, connect_checked(&addresses, deadline), connected).await,
            None => {
                probe.skip(StepName::Connect);
                None
            }
        };
        if !target.is_tls() {
            return probe;
        }
        match stream {
            Some(stream) => {
                let handshake = self.tls.handshake(stream, host, deadline);
                let told = |_: &_| format!("the certificate is valid for {host}");
                probe.take(StepName::Tls, handshake, told).await;
            }
            None => probe.skip(StepName::Tls),
        }
        probe
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

fn connected(stream: &TcpStream) -> String {
    match stream.peer_addr() {
        Ok(peer) => format!("{peer} accepted the connection"),
        Err(_) => "the connection was accepted".to_owned(),
    }
}

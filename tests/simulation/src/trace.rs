//! The trace of a life: every call to AWS with its time, every fault, and what the receiver got.
//!
//! Two runs of one seed have equal traces. Where they differ first is where something came in that the seed
//! does not decide: the clock of the machine, an order that a hash map gives, another thread.

use std::sync::{Arc, Mutex, PoisonError};

use domain::Clock;
use local_aws::{Call, Engines, Fault, Service};

use crate::receiver::Sent;

/// Writes down what happens. Clones share their lines.
#[derive(Clone)]
pub(crate) struct Trace {
    clock: Clock,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    /// Follows these engines: each call is a line once it is answered.
    pub(crate) fn of(engines: &Engines, clock: Clock) -> Self {
        let trace = Self { clock, lines: Arc::default() };
        let observer = trace.clone();
        engines.observe(move |call| observer.call(call));
        trace
    }

    fn call(&self, call: &Call) {
        let Call { caller, service, operation, targets, status, consumed } = call;
        // The engines make keys and secrets at their first start, with names that no seed decides.
        let targets = if matches!(service, Service::Kms | Service::SecretsManager) { &[] } else { &targets[..] };
        self.add(&format!("{caller} {} {operation} {status} {targets:?} {consumed:?}", service.name()));
    }

    /// A call that goes wrong on purpose.
    pub(crate) fn fault(&self, call: &Call, fault: &Fault) {
        self.add(&format!("{} {} {fault:?}", call.caller, call.operation));
    }

    /// The lines, and after them what reached the receiver.
    pub(crate) fn finish(&self, sent: &[Sent]) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().chain(sent.iter().map(|request| format!("{request:?}"))).collect()
    }

    fn add(&self, line: &str) {
        let line = format!("{} {line}", self.clock.now().as_millis());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

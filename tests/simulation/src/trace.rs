//! The trace of a run: every AWS call with its time, every fault, and what the receiver got.
//!
//! Two runs of one seed have equal traces. The first difference shows where something entered that
//! the seed does not determine: the machine's clock, the order of a hash map, another thread.

use std::sync::{Arc, Mutex, PoisonError};

use domain::Clock;
use local_aws::{Call, Engines, Fault, Service};

use crate::receiver::Sent;

/// Records what happens. Clones share their lines.
#[derive(Clone)]
pub(crate) struct Trace {
    clock: Clock,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    /// Observes these engines: each call becomes a line once it has a response.
    pub(crate) fn of(engines: &Engines, clock: Clock) -> Self {
        let trace = Self {
            clock,
            lines: Arc::default(),
        };
        let observer = trace.clone();
        engines.observe(move |call| observer.call(call));
        trace
    }

    fn call(&self, call: &Call) {
        let Call {
            caller,
            service,
            operation,
            targets,
            status,
            consumed,
        } = call;
        // The engines create keys and secrets at their first start, with names that the seed does
        // not determine.
        let targets = if matches!(service, Service::Kms | Service::SecretsManager) {
            &[]
        } else {
            &targets[..]
        };
        self.add(&format!(
            "{caller} {} {operation} {status} {targets:?} {consumed:?}",
            service.name()
        ));
    }

    /// Records a call with an injected fault.
    pub(crate) fn fault(&self, call: &Call, fault: &Fault) {
        self.add(&format!("{} {} {fault:?}", call.caller, call.operation));
    }

    /// Returns the lines, followed by what reached the receiver.
    pub(crate) fn finish(&self, sent: &[Sent]) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .cloned()
            .chain(sent.iter().map(|request| format!("{request:?}")))
            .collect()
    }

    fn add(&self, line: &str) {
        let line = format!("{} {line}", self.clock.now().as_millis());
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

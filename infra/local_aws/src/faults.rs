//! Faults on purpose: what a crash simulation and the tests of throttled dependencies install on the connector.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::{Call, ServiceError};

/// What happens to a call instead of, before or after its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the call goes through.
    None,
    /// The service answers with this error and does nothing.
    Refuse(ServiceError),
    /// The call waits first.
    Delay(Duration),
    /// The call never answers and does nothing.
    HangBefore,
    /// The call does its work and never answers.
    HangAfter,
    /// Of a batch every second entry is not done, and reported so; any other call goes through.
    Partly,
}

impl Fault {
    /// The refusal that SDKs retry.
    pub fn throttled() -> Self {
        Self::Refuse(ServiceError::new(400, "ThrottlingException", "Rate exceeded"))
    }

    /// A service that is down.
    pub fn unavailable() -> Self {
        Self::Refuse(ServiceError::new(503, "ServiceUnavailable", "The service is unavailable"))
    }
}

type Hook = Arc<dyn Fn(&Call) -> Fault + Send + Sync>;

/// The hook that decides about each call.
#[derive(Default)]
pub(crate) struct Faults(RwLock<Option<Hook>>);

impl Faults {
    pub(crate) fn install(&self, hook: Option<Hook>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    pub(crate) fn about(&self, call: &Call) -> Fault {
        let hook = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        hook.map_or(Fault::None, |hook| hook(call))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

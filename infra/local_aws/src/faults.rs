//! Fault injection for simulations of crashes and for tests with throttled dependencies.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::{Call, ServiceError};

/// What happens to a call instead of, before or after its execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call is executed normally.
    None,
    /// The call is not executed and gets this error.
    Refuse(ServiceError),
    /// The call is executed after a delay.
    Delay(Duration),
    /// The call is not executed and never gets a response.
    HangBefore,
    /// The call is executed and never gets a response.
    HangAfter,
    /// Every second entry of a batch is not executed and is reported so. Other calls are executed
    /// normally.
    Partly,
}

impl Fault {
    /// The error of a throttled service, which SDKs retry.
    pub fn throttled() -> Self {
        Self::Refuse(ServiceError::new(
            400,
            "ThrottlingException",
            "Rate exceeded",
        ))
    }

    /// The error of a service that is down.
    pub fn unavailable() -> Self {
        Self::Refuse(ServiceError::new(
            503,
            "ServiceUnavailable",
            "The service is unavailable",
        ))
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
        let hook = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        hook.map_or(Fault::None, |hook| hook(call))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

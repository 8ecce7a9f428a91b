//! The faults of AWS calls, which the seed determines call by call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use local_aws::{Call, Engines, Fault};

use crate::trace::Trace;

/// Decides about calls until it is stopped.
#[derive(Clone)]
pub(crate) struct Weather(Arc<Mutex<fastrand::Rng>>);

impl Weather {
    /// Installs faults on these engines: about one call in `rarity` fails.
    pub(crate) fn over(engines: &Engines, seed: u64, rarity: u32, trace: Trace) -> Self {
        let weather = Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))));
        let decider = weather.clone();
        engines.install_faults(move |call| {
            let fault = decider.about(call, rarity);
            if fault != Fault::None {
                trace.fault(call, &fault);
            }
            fault
        });
        weather
    }

    fn about(&self, call: &Call, rarity: u32) -> Fault {
        // The queue service itself receives and deletes, and is not part of the test.
        if call.caller == QUEUE_SERVICE {
            return Fault::None;
        }
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Calls that several requests share fail more often, and then mostly in parts.
        let is_shared = SHARED.contains(&&*call.operation);
        if rng.u32(0..if is_shared { rarity / 2 } else { rarity }) != 0 {
            return Fault::None;
        }
        if is_shared && rng.bool() {
            return Fault::Partly;
        }
        match rng.u32(0..10) {
            0..3 => Fault::throttled(),
            3..5 => Fault::unavailable(),
            5..6 => Fault::Delay(Duration::from_millis(rng.u64(1..3000))),
            6..8 => Fault::HangBefore,
            _ => Fault::HangAfter,
        }
    }
}

/// Operations that do the work of several requests in one call.
const SHARED: [&str; 3] = ["BatchExecuteStatement", "BatchGetItem", "SendMessageBatch"];

/// The caller that acts as Lambda's event source mappings.
pub(crate) const QUEUE_SERVICE: &str = "event-source-mapping";

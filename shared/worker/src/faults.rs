//! Fault injection, which shows how the system behaves when something fails.
//!
//! Only `waybill --inject-crash` enables it; no variable of the template does.

use domain::delivery::Delivery;
use runtime::Variables;

/// The faults to inject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// An attempt for a message of this event type aborts the process, as an unknown fault might.
    crash_event_type: Option<String>,
}

impl Faults {
    /// Reads the faults from `FAULT_CRASH_EVENT_TYPE`.
    pub(crate) fn take(variables: &Variables<'_>) -> Self {
        Self {
            crash_event_type: variables.optional("FAULT_CRASH_EVENT_TYPE"),
        }
    }

    /// Aborts the process if an attempt for this delivery is configured to.
    pub(crate) fn abort_if_configured(&self, delivery: &Delivery) {
        if self.crash_event_type.as_deref() == Some(delivery.message.event_type.as_str()) {
            tracing::error!(
                delivery = %delivery.id,
                "fault injection: an attempt aborts the process"
            );
            std::process::abort();
        }
    }
}

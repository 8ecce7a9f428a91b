//! Fault injection: what goes wrong on purpose, to show what becomes of it.
//!
//! Only `waybill --inject-crash` asks for it; no variable of the template does.

use domain::delivery::Delivery;
use runtime::Variables;

/// Faults to inject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// An attempt for a message of this event type aborts the process, as a bug that is not known yet might.
    crash_event_type: Option<String>,
}

impl Faults {
    /// Those that `FAULT_CRASH_EVENT_TYPE` asks for.
    pub(crate) fn take(variables: &Variables<'_>) -> Self {
        Self { crash_event_type: variables.optional("FAULT_CRASH_EVENT_TYPE") }
    }

    /// Aborts the process, if an attempt for this delivery is to.
    pub(crate) fn strike(&self, delivery: &Delivery) {
        if self.crash_event_type.as_deref() == Some(delivery.message.event_type.as_str()) {
            tracing::error!(delivery = %delivery.id, "fault injection: an attempt aborts the process");
            std::process::abort();
        }
    }
}

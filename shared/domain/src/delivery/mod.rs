//! A delivery: the job of getting one message to one destination, and the states of that job.
//!
//! A delivery that is `queued` or `retrying` becomes `succeeded`, `retrying`, `failed`, `skipped`
//! or `cancelled`. A redelivery changes a finished delivery back to `retrying`.
//! `docs/ARCHITECTURE.md` contains a diagram. [`crate::settle`] decides what an attempt leads to. A
//! delivery is created by [`Delivery::accept`] and changed by its transitions, each of which
//! consumes it and returns an error if the state does not allow the transition: **start**,
//! **settle**, **skip**, **expire**, **dead_letter**, **cancel**, **reopen**, **wait**,
//! **release**.

mod accept;
mod state;
mod transition;

pub use accept::NewDelivery;
pub use state::{DeliveryStatus, Pending, SkipReason, State};
pub use transition::TransitionRefused;

use std::time::Duration;

use crate::attempt::{Attempt, Trigger};
use crate::id::{DeliveryId, DestinationId, OrganizationId};
use crate::message::MessageFacts;
use crate::settings::DestinationType;
use crate::waiting::Waiting;
use crate::{Reason, Timestamp};

/// How long after its creation a delivery may start without a lease. A first attempt that starts
/// later takes one, as every other attempt does.
pub const UNLEASED_START: Duration = Duration::from_secs(20);
/// How long after its end an attempt is recorded at the latest.
const RECORDED_WITHIN: Duration = Duration::from_secs(20);

/// A delivery, with all data that a worker needs except the payload and the destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The identifier: the message, and the position among its deliveries.
    pub id: DeliveryId,
    /// The organization that owns the delivery.
    pub organization: OrganizationId,
    /// The destination that the delivery goes to.
    pub destination: DestinationId,
    /// The type of that destination, which decides the queue.
    pub destination_type: DestinationType,
    /// The part of the message that every delivery carries.
    pub message: MessageFacts,
    /// The number of deliveries that the message has.
    pub fan_out: u16,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// When the delivery last changed.
    pub updated_at: Timestamp,
    /// A counter that invalidates tasks. Each change that makes queued tasks stale increments it:
    /// redeliver, cancel, skip, sweep and reconcile.
    pub generation: u32,
    /// The number of attempts recorded since the message was accepted.
    pub attempts: u32,
    /// The value of `attempts` when the current retry budget began. Reopening the delivery begins a
    /// new budget.
    pub budget_start: u32,
    /// The reason why the next attempt is made.
    pub trigger: Trigger,
    /// The current state of the delivery.
    pub state: State,
    /// The pause or limit that holds back a delivery that is due.
    pub waiting: Option<Waiting>,
    /// The delivery that this one is a fallback for.
    pub fallback_of: Option<FallbackOf>,
    /// Whether the delivery was created as skipped, because its destination was disabled.
    pub born_skipped: bool,
    /// The record of the newest attempt.
    pub last_attempt: Option<Attempt>,
    /// How many days the history is kept after the message was accepted.
    pub retention_days: u32,
    /// How many days the payload is kept; at most as long as the history.
    pub payload_retention_days: u32,
}

/// The delivery that a fallback replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackOf {
    /// The delivery that ended as failed.
    pub delivery: DeliveryId,
    /// The failure category of that delivery.
    pub reason: Reason,
}

impl Delivery {
    /// Returns the status shown to users.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.state.status()
    }

    /// Returns whether a worker holds a lease on the delivery at `now`.
    #[must_use]
    pub fn in_flight(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Attempting { lease_until, .. } if now < lease_until)
    }

    /// Returns whether nothing is recorded of the delivery since it was created: no attempt, no
    /// lease, no wait and no newer task.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        matches!(self.state, State::Queued)
            && self.generation == 0
            && self.attempts == 0
            && self.waiting.is_none()
    }

    /// Returns until when an attempt without a lease may be running; `None` if the delivery is not
    /// untouched. A delivery that is still untouched at this time was not attempted.
    #[must_use]
    pub fn unleased_until(&self) -> Option<Timestamp> {
        let longest = UNLEASED_START + self.destination_type.longest_attempt() + RECORDED_WITHIN;
        self.is_untouched().then(|| self.created_at.plus(longest))
    }

    /// Returns the failure category. For a fallback that has not failed itself, it is the category
    /// of the delivery that the fallback replaces.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.state
            .reason()
            .or(self.fallback_of.map(|failed| failed.reason))
    }

    /// Returns what triggered the last attempt, or what will trigger the first one. It is
    /// [`Trigger::Fallback`] for every fallback.
    #[must_use]
    pub fn shown_trigger(&self) -> Trigger {
        let last = self
            .last_attempt
            .as_ref()
            .map_or(self.trigger, |attempt| attempt.trigger);
        if self.fallback_of.is_some() {
            Trigger::Fallback
        } else {
            last
        }
    }

    /// Returns when the next attempt may start, if known: the expected end of a wait, or else the
    /// time of the retry.
    #[must_use]
    pub fn starts_at(&self) -> Option<Timestamp> {
        self.waiting.map_or_else(
            || self.state.next_attempt_at(),
            |waiting| waiting.expected_at,
        )
    }
}

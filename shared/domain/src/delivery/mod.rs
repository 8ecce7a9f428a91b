//! A delivery: the job of getting one message to one destination, and the states it goes through.
//!
//! `queued → succeeded | retrying | failed | skipped | cancelled`, `retrying → ` the same, and a
//! redeliver takes a finished one back to `retrying`. Drawn in `docs/ARCHITECTURE.md`. What an
//! attempt leads to is decided in [`crate::settle`]. A delivery is created by [`Delivery::accept`]
//! and changed by its transitions, each of which consumes it and may refuse: **accept**, **start**,
//! **settle**, **skip**, **expire**, **dead_letter**, **cancel**, **reopen**, **wait**,
//! **release**.

mod accept;
mod state;
mod transition;

pub use accept::NewDelivery;
pub use state::{DeliveryStatus, Pending, SkipReason, State};
pub use transition::TransitionRefused;

use crate::attempt::{Attempt, Trigger};
use crate::id::{DeliveryId, DestinationId, OrganizationId};
use crate::message::MessageFacts;
use crate::settings::DestinationType;
use crate::waiting::Waiting;
use crate::{Reason, Timestamp};

/// A delivery, with all a worker needs but the payload and the destination.
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
    /// How many deliveries the message has.
    pub fan_out: u16,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
    /// Raised by everything that makes tasks already sent stale: redeliver, cancel, skip, sweep,
    /// reconcile.
    pub generation: u32,
    /// The number of attempts recorded since the message was accepted.
    pub attempts: u32,
    /// The value of `attempts` when the current retry budget began. Reopening the delivery begins
    /// another one.
    pub budget_start: u32,
    /// Why the next attempt is made.
    pub trigger: Trigger,
    /// The current state.
    pub state: State,
    /// The pause or limit that holds back a delivery that is due.
    pub waiting: Option<Waiting>,
    /// The delivery that it stands in for.
    pub fallback_of: Option<FallbackOf>,
    /// Whether it was created as skipped, because its destination was disabled.
    pub born_skipped: bool,
    /// The newest attempt's record.
    pub last_attempt: Option<Attempt>,
    /// How many days the history is kept after the message was accepted.
    pub retention_days: u32,
    /// How many days the payload is kept, at most as long as the history.
    pub payload_retention_days: u32,
}

/// What a fallback stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackOf {
    /// The delivery that ended as failed.
    pub delivery: DeliveryId,
    /// The failure category of that delivery.
    pub reason: Reason,
}

impl Delivery {
    /// The status that people see.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.state.status()
    }

    /// Whether a worker holds a lease on the delivery at `now`.
    #[must_use]
    pub fn in_flight(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Attempting { lease_until, .. } if now < lease_until)
    }

    /// The failure category. A fallback that has not failed itself returns that of the delivery it
    /// stands in for.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.state
            .reason()
            .or(self.fallback_of.map(|failed| failed.reason))
    }

    /// What triggered the last attempt, or will trigger the first one; [`Trigger::Fallback`] for
    /// every fallback.
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

    /// When the next attempt may start, if that is known: the expected end of a wait, or else the
    /// time of the retry.
    #[must_use]
    pub fn starts_at(&self) -> Option<Timestamp> {
        self.waiting.map_or_else(
            || self.state.next_attempt_at(),
            |waiting| waiting.expected_at,
        )
    }
}

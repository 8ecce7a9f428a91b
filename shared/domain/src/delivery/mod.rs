//! A delivery: the job of getting one message to one destination, and the states it goes through.
//!
//! `queued → succeeded | retrying | failed | skipped | cancelled`, `retrying → ` the same, and a redeliver takes a finished one back to
//! `retrying`. Drawn in `docs/ARCHITECTURE.md`. What an attempt leads to is decided in [`crate::settle`]. A delivery is created by
//! [`Delivery::accept`] and changed by its transitions, each of which consumes it and may refuse: **accept**, **start**, **settle**,
//! **skip**, **expire**, **dead_letter**, **cancel**, **reopen**, **wait**, **release**.

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
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Where it goes.
    pub destination: DestinationId,
    /// The type of that, so that its queue is known.
    pub destination_type: DestinationType,
    /// What of its message it carries.
    pub message: MessageFacts,
    /// How many deliveries the message has.
    pub fan_out: u16,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
    /// Raised by everything that makes tasks already sent stale: redeliver, cancel, skip, sweep, reconcile.
    pub generation: u32,
    /// Attempts recorded, ever.
    pub attempts: u32,
    /// Attempts recorded when the present budget began; a redeliver moves it.
    pub budget_start: u32,
    /// Why the next attempt is made.
    pub trigger: Trigger,
    /// What state it is in.
    pub state: State,
    /// What it waits for although it is due.
    pub waiting: Option<Waiting>,
    /// The delivery that it stands in for.
    pub fallback_of: Option<FallbackOf>,
    /// What state it was made in: `true` when its destination was disabled then.
    pub born_skipped: bool,
    /// The newest attempt's record.
    pub last_attempt: Option<Attempt>,
    /// How long history is kept, from acceptance.
    pub retention_days: u32,
    /// How long what it delivers is kept; no longer than that.
    pub payload_retention_days: u32,
}

/// What a fallback stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackOf {
    /// The delivery that ended as failed.
    pub delivery: DeliveryId,
    /// Why it did.
    pub reason: Reason,
}

impl Delivery {
    /// Its status by name.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.state.status()
    }

    /// Is a worker known to be at it?
    #[must_use]
    pub fn in_flight(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Attempting { lease_until, .. } if now < lease_until)
    }

    /// Why it failed; for a fallback without a failure of its own, why the delivery failed that it stands in for.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.state.reason().or(self.fallback_of.map(|failed| failed.reason))
    }

    /// What triggered the last attempt, or will trigger the first one; [`Trigger::Fallback`] for every fallback.
    #[must_use]
    pub fn shown_trigger(&self) -> Trigger {
        let last = self.last_attempt.as_ref().map_or(self.trigger, |attempt| attempt.trigger);
        if self.fallback_of.is_some() { Trigger::Fallback } else { last }
    }

    /// When its next attempt may start, as far as that is known: its turn, else its retry's time.
    #[must_use]
    pub fn starts_at(&self) -> Option<Timestamp> {
        self.waiting.map_or_else(|| self.state.next_attempt_at(), |waiting| waiting.expected_at)
    }
}

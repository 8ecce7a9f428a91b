//! The one place where a delivery is created.

use super::{Delivery, FallbackOf, SkipReason, State};
use crate::Timestamp;
use crate::attempt::Trigger;
use crate::id::{DeliveryId, DestinationId, Id as _, OrganizationId};
use crate::message::MessageFacts;
use crate::settings::DestinationType;

/// What a delivery is made of. What it does not name starts at zero or at nothing.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The id: its message, and its position among that message's deliveries.
    pub id: DeliveryId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// The destination it goes to.
    pub destination: DestinationId,
    /// The type of that destination, which decides the queue.
    pub destination_type: DestinationType,
    /// Whether that destination is disabled: the delivery is then skipped from the start, unless it
    /// is a test.
    pub destination_disabled: bool,
    /// What it carries of its message.
    pub message: MessageFacts,
    /// How many deliveries the message has.
    pub fan_out: u16,
    /// Why its first attempt is made.
    pub trigger: Trigger,
    /// The delivery that it stands in for.
    pub fallback_of: Option<FallbackOf>,
    /// How long history is kept, from the acceptance of the message.
    pub retention_days: u32,
    /// How long what it delivers is kept.
    pub payload_retention_days: u32,
}

impl Delivery {
    /// Accepts a delivery at `now`. A test goes to a disabled destination too: that is how its
    /// owner finds out whether enabling it works.
    #[must_use]
    pub fn accept(new: NewDelivery, now: Timestamp) -> Self {
        let born_skipped = new.destination_disabled && !new.message.test;
        Self {
            id: new.id,
            organization: new.organization,
            destination: new.destination,
            destination_type: new.destination_type,
            message: new.message,
            fan_out: new.fan_out,
            created_at: new.id.message.ulid().time(),
            updated_at: now,
            generation: 0,
            attempts: 0,
            budget_start: 0,
            trigger: new.trigger,
            state: match born_skipped {
                true => State::Skipped {
                    finished_at: now,
                    reason: SkipReason::DestinationDisabled,
                    attempt_until: None,
                },
                false => State::Queued,
            },
            waiting: None,
            fallback_of: new.fallback_of,
            born_skipped,
            last_attempt: None,
            retention_days: new.retention_days,
            payload_retention_days: new.payload_retention_days,
        }
    }

    /// The same delivery as it was when its message was accepted, for the answer to a repeated
    /// submit.
    #[must_use]
    pub fn as_accepted(self) -> Self {
        let new = NewDelivery {
            id: self.id,
            organization: self.organization,
            destination: self.destination,
            destination_type: self.destination_type,
            destination_disabled: self.born_skipped,
            message: self.message,
            fan_out: self.fan_out,
            trigger: Trigger::First,
            fallback_of: self.fallback_of,
            retention_days: self.retention_days,
            payload_retention_days: self.payload_retention_days,
        };
        Self::accept(new, self.created_at)
    }

    /// The same at this position of its message, as the last of its deliveries.
    #[must_use]
    pub fn at_position(mut self, position: u16) -> Self {
        self.id.position = position;
        self.fan_out = position.saturating_add(1);
        self
    }
}

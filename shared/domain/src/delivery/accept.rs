//! The creation of deliveries. No other module creates one.

use super::{Delivery, FallbackOf, SkipReason, State};
use crate::Timestamp;
use crate::attempt::Trigger;
use crate::id::{DeliveryId, DestinationId, Id as _, OrganizationId};
use crate::message::MessageFacts;
use crate::settings::DestinationType;

/// The values with which a delivery is created. All other members start at zero or empty.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The identifier: the message, and the position among the message's deliveries.
    pub id: DeliveryId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// The destination that the delivery goes to.
    pub destination: DestinationId,
    /// The type of that destination, which decides the queue.
    pub destination_type: DestinationType,
    /// Whether the destination is disabled. The delivery is then created as skipped, unless it is a
    /// test.
    pub destination_disabled: bool,
    /// The part of the message that the delivery carries.
    pub message: MessageFacts,
    /// The number of deliveries that the message has.
    pub fan_out: u16,
    /// The reason why the first attempt is made.
    pub trigger: Trigger,
    /// The delivery that this one is a fallback for.
    pub fallback_of: Option<FallbackOf>,
    /// The number of days that the history is kept after the message was accepted.
    pub retention_days: u32,
    /// The number of days that the payload is kept.
    pub payload_retention_days: u32,
}

impl Delivery {
    /// Creates a delivery at `now`. A test is also delivered to a disabled destination, so that the
    /// owner can find out whether the destination works before enabling it.
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

    /// Returns the delivery as it was when its message was accepted, for the response to a repeated
    /// submission.
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

    /// Returns the delivery at this position of its message, as the last of the message's
    /// deliveries.
    #[must_use]
    pub fn at_position(mut self, position: u16) -> Self {
        self.id.position = position;
        self.fan_out = position.saturating_add(1);
        self
    }
}

//! A delivery: the job of getting one message to one destination, and the states it goes through.
//!
//! `queued → succeeded | retrying | failed | skipped | cancelled`, `retrying → ` the same, and a redeliver takes a finished one back to
//! `retrying`. Drawn in `docs/ARCHITECTURE.md`; decided in [`crate::settle`] and by the transitions here, each of which may refuse.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::IntoStaticStr;

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
    /// A worker holds it until then.
    pub lease_until: Option<Timestamp>,
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

/// A delivery's state; each carries what only it has.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Accepted, no attempt recorded. Entered on acceptance; left by the first attempt, a skip or a cancel.
    Queued,
    /// Will be tried (again). Entered by a failed attempt or a redeliver; left by the next attempt, a skip or a cancel.
    Retrying {
        /// When.
        next_attempt_at: Timestamp,
        /// Why the last attempt failed; `None` after a redeliver.
        reason: Option<Reason>,
    },
    /// The destination took it. Left only by a forced redeliver.
    Succeeded {
        /// When.
        finished_at: Timestamp,
        /// What the connector left to find it on the other side.
        tracking: Option<Value>,
    },
    /// It gave up. Left by a redeliver, or by a success that was still on its way.
    Failed {
        /// When.
        finished_at: Timestamp,
        /// Why.
        reason: Reason,
        /// Whether retries ran out.
        exhausted: bool,
    },
    /// Its destination was disabled or deleted. Left as `Failed` is.
    Skipped {
        /// When.
        finished_at: Timestamp,
        /// `destination_disabled` or `destination_deleted`.
        reason: Reason,
    },
    /// Somebody cancelled it. Left as `Failed` is.
    Cancelled {
        /// When.
        finished_at: Timestamp,
    },
}

/// The states by name, as in JSON and filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    /// See [`State::Queued`].
    Queued,
    /// See [`State::Retrying`].
    Retrying,
    /// See [`State::Succeeded`].
    Succeeded,
    /// See [`State::Failed`].
    Failed,
    /// See [`State::Skipped`].
    Skipped,
    /// See [`State::Cancelled`].
    Cancelled,
}

impl DeliveryStatus {
    /// Every status, by its name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("queued", Self::Queued),
        ("retrying", Self::Retrying),
        ("succeeded", Self::Succeeded),
        ("failed", Self::Failed),
        ("skipped", Self::Skipped),
        ("cancelled", Self::Cancelled),
    ];

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Is there nothing left to do?
    #[must_use]
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Retrying)
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        match self {
            Self::Queued => DeliveryStatus::Queued,
            Self::Retrying { .. } => DeliveryStatus::Retrying,
            Self::Succeeded { .. } => DeliveryStatus::Succeeded,
            Self::Failed { .. } => DeliveryStatus::Failed,
            Self::Skipped { .. } => DeliveryStatus::Skipped,
            Self::Cancelled { .. } => DeliveryStatus::Cancelled,
        }
    }

    /// The failure category people see.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Queued | Self::Succeeded { .. } => None,
            Self::Retrying { reason, .. } => *reason,
            Self::Failed { reason, .. } | Self::Skipped { reason, .. } => Some(*reason),
            Self::Cancelled { .. } => Some(Reason::Cancelled),
        }
    }

    /// When it finished, if it has.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued | Self::Retrying { .. } => None,
            Self::Succeeded { finished_at, .. }
            | Self::Failed { finished_at, .. }
            | Self::Skipped { finished_at, .. }
            | Self::Cancelled { finished_at } => Some(*finished_at),
        }
    }
}

/// Why a manual action was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionRefused {
    /// A succeeded delivery is sent again only with force.
    #[error("the delivery has already succeeded; send `force: true` to deliver it again")]
    AlreadySucceeded,
    /// A finished delivery cannot be cancelled.
    #[error("the delivery is already finished")]
    AlreadyFinished,
}

/// What a redeliver makes of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Redelivery {
    /// It is queued: nothing to do.
    UnderWay,
    /// It is reopened like this, and its task must be sent.
    Reopened(Box<Delivery>),
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
        !self.status().is_finished() && self.lease_until.is_some_and(|until| now < until)
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
        let retry_at = match self.state {
            State::Retrying { next_attempt_at, .. } => Some(next_attempt_at),
            _ => None,
        };
        self.waiting.map_or(retry_at, |waiting| waiting.expected_at)
    }

    /// It is due and may not start: it waits. Tasks sent before are stale.
    #[must_use]
    pub fn waits(mut self, waiting: Waiting) -> Self {
        self.waiting = Some(waiting);
        self.supersede_tasks()
    }

    /// It waits no more. Tasks sent before are stale.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.waiting = None;
        self.supersede_tasks()
    }

    /// Reopens it, due now, with a fresh budget; the attempt numbers go on (api.md, Deliveries).
    pub fn redeliver(mut self, trigger: Trigger, force: bool, now: Timestamp) -> Result<Redelivery, TransitionRefused> {
        match self.state {
            State::Queued => return Ok(Redelivery::UnderWay),
            State::Succeeded { .. } if !force => return Err(TransitionRefused::AlreadySucceeded),
            _ => {}
        }
        // A retrying delivery keeps a worker that is at it: its lease stands, so that both at once send once.
        self.lease_until = self.lease_until.filter(|_| matches!(self.state, State::Retrying { .. }));
        self.budget_start = self.attempts;
        self.trigger = trigger;
        self.enter(State::Retrying { next_attempt_at: now, reason: None }, now);
        Ok(Redelivery::Reopened(Box::new(self)))
    }

    /// Cancels it: no further attempt starts.
    pub fn cancel(mut self, now: Timestamp) -> Result<Self, TransitionRefused> {
        if self.status().is_finished() {
            return Err(TransitionRefused::AlreadyFinished);
        }
        self.enter(State::Cancelled { finished_at: now }, now);
        Ok(self)
    }

    /// Records an attempt and enters the state it led to; the generation stays, so that this delivery's own task goes on meaning it.
    #[must_use]
    pub fn settled(mut self, attempt: Attempt, state: State, now: Timestamp) -> Self {
        self.attempts += 1;
        self.last_attempt = Some(attempt);
        self.trigger = Trigger::Retry;
        self.lease_until = None;
        self.waiting = None;
        self.state = state;
        self.updated_at = now;
        self
    }

    /// Gives it up without an attempt, as `state` says: skipped, expired or dead-lettered.
    #[must_use]
    pub fn finish_without_attempt(mut self, state: State, now: Timestamp) -> Self {
        self.enter(state, now);
        self
    }

    /// Makes every task sent before stale; the state stays, and so does its time.
    #[must_use]
    pub fn supersede_tasks(mut self) -> Self {
        self.generation += 1;
        self.lease_until = None;
        self
    }

    fn enter(&mut self, state: State, now: Timestamp) {
        self.generation += 1;
        self.waiting = None;
        self.state = state;
        self.updated_at = now;
    }
}

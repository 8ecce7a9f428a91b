//! The transitions of a delivery. Each consumes the delivery and returns an error if the delivery's
//! state does not allow it. `docs/ARCHITECTURE.md` lists them in a table, which a test compares
//! with this code.

use super::{Delivery, DeliveryStatus, Pending, SkipReason, State};
use crate::attempt::{Attempt, Trigger};
use crate::settle::AfterAttempt;
use crate::waiting::Waiting;
use crate::{Reason, Timestamp};

/// A transition that the delivery's state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionRefused {
    /// A delivery that has succeeded is only sent again with `force`.
    #[error("the delivery has already succeeded; send `force: true` to deliver it again")]
    AlreadySucceeded,
    /// A finished delivery cannot be attempted, skipped or cancelled.
    #[error("the delivery is already finished")]
    AlreadyFinished(DeliveryStatus),
    /// The first attempt has not been made yet, so no other attempt is needed.
    #[error("the first attempt of the delivery is still to come")]
    StillQueued,
    /// Another worker holds a lease on the delivery.
    #[error("another attempt of the delivery may be running until {until}")]
    Leased {
        /// The end of the other worker's lease.
        until: Timestamp,
    },
    /// No worker holds a lease on the delivery.
    #[error("no attempt of the delivery is running")]
    NotAttempting,
}

impl Delivery {
    /// Starts an attempt under a lease until `lease_until`. Returns an error while another lease is
    /// valid.
    pub fn start(
        mut self,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, TransitionRefused> {
        let pending = self.unfinished()?;
        if let Some(until) = self.state.attempt_until().filter(|until| now < *until) {
            return Err(TransitionRefused::Leased { until });
        }
        self.state = State::Attempting {
            pending,
            lease_until,
        };
        Ok(self)
    }

    /// Records an attempt and enters the state that the attempt led to. The generation stays the
    /// same, so that the task of the delivery remains valid.
    ///
    /// A pending delivery without a lease can also be settled, because the very first attempt has
    /// no lease. A success is also recorded if the delivery finished in the meantime without having
    /// succeeded, because the message did arrive. Any other outcome is rejected for a finished
    /// delivery, and every outcome is rejected after a success.
    pub fn settle(
        mut self,
        attempt: Attempt,
        after: AfterAttempt,
        now: Timestamp,
    ) -> Result<Self, TransitionRefused> {
        let may_follow = match self.status() {
            DeliveryStatus::Queued | DeliveryStatus::Retrying => true,
            DeliveryStatus::Succeeded => false,
            DeliveryStatus::Failed | DeliveryStatus::Skipped | DeliveryStatus::Cancelled => {
                matches!(after, AfterAttempt::Succeeded(_))
            }
        };
        if !may_follow {
            return Err(TransitionRefused::AlreadyFinished(self.status()));
        }
        self.attempts += 1;
        self.last_attempt = Some(attempt);
        self.trigger = Trigger::Retry;
        self.waiting = None;
        self.state = match after {
            AfterAttempt::Succeeded(receipt) => State::Succeeded {
                finished_at: now,
                receipt: Some(receipt),
            },
            AfterAttempt::Retrying {
                next_attempt_at,
                reason,
            } => State::Retrying {
                next_attempt_at,
                reason: Some(reason),
            },
            AfterAttempt::Failed { reason, exhausted } => State::Failed {
                finished_at: now,
                reason,
                exhausted,
                attempt_until: None,
            },
        };
        self.updated_at = now;
        Ok(self)
    }

    /// Skips the delivery, because its destination does not accept deliveries.
    pub fn skip(self, reason: SkipReason, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.end(now, |attempt_until| State::Skipped {
            finished_at: now,
            reason,
            attempt_until,
        })
    }

    /// Fails the delivery without an attempt, because it has expired.
    pub fn expire(self, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.fail(Reason::Expired, now)
    }

    /// Fails the delivery without an attempt, because its task could not be processed repeatedly.
    pub fn dead_letter(self, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.fail(Reason::DeadLettered, now)
    }

    fn fail(self, reason: Reason, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.end(now, |attempt_until| State::Failed {
            finished_at: now,
            reason,
            exhausted: false,
            attempt_until,
        })
    }

    /// Cancels the delivery, so that no further attempt starts.
    pub fn cancel(self, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.end(now, |attempt_until| State::Cancelled {
            finished_at: now,
            attempt_until,
        })
    }

    /// Reopens the delivery, so that it is due now and has a fresh retry budget. The numbering of
    /// attempts continues. A delivery that has succeeded is only reopened with `force`, and a
    /// queued one is not reopened.
    pub fn reopen(
        mut self,
        trigger: Trigger,
        force: bool,
        now: Timestamp,
    ) -> Result<Self, TransitionRefused> {
        let lease_until = match (&self.state, self.state.pending()) {
            (_, Some(Pending::Queued)) => return Err(TransitionRefused::StillQueued),
            (State::Succeeded { .. }, _) if !force => {
                return Err(TransitionRefused::AlreadySucceeded);
            }
            // A worker that is making an attempt keeps its lease, so that no second attempt runs at
            // the same time, even if the delivery ended during the attempt.
            (state, Some(Pending::Retrying { .. }) | None) => state.attempt_until(),
        };
        self.budget_start = self.attempts;
        self.trigger = trigger;
        self.enter(
            Pending::Retrying {
                next_attempt_at: now,
                reason: None,
            }
            .leased(lease_until),
            now,
        );
        Ok(self)
    }

    /// Makes a delivery wait that is due but may not start yet. Tasks that were sent before become
    /// stale.
    pub fn wait(mut self, waiting: Waiting) -> Result<Self, TransitionRefused> {
        self.unfinished()?;
        self.waiting = Some(waiting);
        self.supersede_tasks()
    }

    /// Ends the wait of a delivery. Tasks that were sent before become stale.
    pub fn release(mut self) -> Result<Self, TransitionRefused> {
        self.unfinished()?;
        self.waiting = None;
        self.supersede_tasks()
    }

    /// Makes all tasks that were sent before stale, and ends the lease of a worker that holds one.
    /// What the delivery waits for and the time of its next attempt stay the same.
    pub fn supersede_tasks(mut self) -> Result<Self, TransitionRefused> {
        self.state = self.unfinished()?.into();
        self.generation += 1;
        Ok(self)
    }

    /// Ends the lease of a worker that died. The task of that worker remains valid.
    pub fn abandon_attempt(mut self) -> Result<Self, TransitionRefused> {
        let State::Attempting { pending, .. } = self.state else {
            return Err(TransitionRefused::NotAttempting);
        };
        self.state = pending.into();
        Ok(self)
    }

    fn unfinished(&self) -> Result<Pending, TransitionRefused> {
        self.state
            .pending()
            .ok_or(TransitionRefused::AlreadyFinished(self.status()))
    }

    fn end(
        mut self,
        now: Timestamp,
        state: impl FnOnce(Option<Timestamp>) -> State,
    ) -> Result<Self, TransitionRefused> {
        self.unfinished()?;
        let state = state(self.state.attempt_until());
        self.enter(state, now);
        Ok(self)
    }

    fn enter(&mut self, state: State, now: Timestamp) {
        self.generation += 1;
        self.waiting = None;
        self.state = state;
        self.updated_at = now;
    }
}

//! The transitions of a delivery. Each consumes the delivery and refuses the states in which it is
//! not allowed; together they are the table in `docs/ARCHITECTURE.md`, which a test compares with
//! what they do.

use super::{Delivery, DeliveryStatus, Pending, SkipReason, State};
use crate::attempt::{Attempt, Trigger};
use crate::settle::AfterAttempt;
use crate::waiting::Waiting;
use crate::{Reason, Timestamp};

/// A transition that the delivery's state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionRefused {
    /// A succeeded delivery is sent again only with force.
    #[error("the delivery has already succeeded; send `force: true` to deliver it again")]
    AlreadySucceeded,
    /// A finished delivery is neither attempted, skipped nor cancelled.
    #[error("the delivery is already finished")]
    AlreadyFinished(DeliveryStatus),
    /// A delivery whose first attempt is still to come needs no other.
    #[error("the first attempt of the delivery is still to come")]
    StillQueued,
    /// Another worker has it.
    #[error("another attempt of the delivery may be running until {until}")]
    Leased {
        /// The end of the other worker's lease.
        until: Timestamp,
    },
    /// No worker has it.
    #[error("no attempt of the delivery is running")]
    NotAttempting,
}

impl Delivery {
    /// Starts an attempt under a lease until `lease_until`. Refused while another lease stands.
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

    /// Records an attempt and enters the state it led to. The generation stays, so that this
    /// delivery's own task goes on meaning it.
    ///
    /// The very first attempt has no lease, so a delivery may also be settled that is pending. A
    /// success counts for a delivery that ended without it too, for it did arrive; another outcome
    /// is refused there, and nothing is settled after a success.
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

    /// Skips it, because its destination takes no deliveries.
    pub fn skip(self, reason: SkipReason, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.end(now, |attempt_until| State::Skipped {
            finished_at: now,
            reason,
            attempt_until,
        })
    }

    /// Gives it up without an attempt, because its time is over.
    pub fn expire(self, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.fail(Reason::Expired, now)
    }

    /// Gives it up without an attempt, because its task came to nothing too often.
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

    /// Cancels it: no further attempt starts.
    pub fn cancel(self, now: Timestamp) -> Result<Self, TransitionRefused> {
        self.end(now, |attempt_until| State::Cancelled {
            finished_at: now,
            attempt_until,
        })
    }

    /// Reopens it, due now, with a fresh budget; the attempt numbers go on. One that succeeded is
    /// reopened with `force` only, and one that is queued needs nothing.
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
            // A worker that is at it keeps its lease, so that both at once send once.
            (state, Some(Pending::Retrying { .. })) => state.attempt_until(),
            (_, None) => None,
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

    /// It is due and may not start: it waits. Tasks sent before are stale.
    pub fn wait(mut self, waiting: Waiting) -> Result<Self, TransitionRefused> {
        self.unfinished()?;
        self.waiting = Some(waiting);
        self.supersede_tasks()
    }

    /// It waits no more. Tasks sent before are stale.
    pub fn release(mut self) -> Result<Self, TransitionRefused> {
        self.unfinished()?;
        self.waiting = None;
        self.supersede_tasks()
    }

    /// Makes every task sent before stale, and ends the lease of a worker that has one; what it
    /// waits in stays, and so does its time.
    pub fn supersede_tasks(mut self) -> Result<Self, TransitionRefused> {
        self.state = self.unfinished()?.into();
        self.generation += 1;
        Ok(self)
    }

    /// Ends the lease of a worker that died. Its task goes on meaning the delivery.
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

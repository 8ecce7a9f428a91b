//! Settle: what an attempt's outcome makes of its delivery. Pure; the worker does the I/O around
//! it.
//!
//! First attempt, retry, manual retry and replay take this same path. The table of outcomes is
//! api.md's (Deliveries).

use std::time::Duration;

use crate::delivery::Delivery;
use crate::health::Streak;
use crate::receipt::Receipt;
use crate::retry::{LONGEST_WAIT, RetryPolicy};
use crate::{Reason, Timestamp};

/// Waits up to this long stay in the queue, as the task's visibility timeout; longer ones leave it
/// for the due index.
pub const LONGEST_QUEUED_WAIT: Duration = Duration::from_secs(60);

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The destination took it; the receipt identifies it there. Boxed, so that results that carry
    /// an outcome stay small.
    Delivered(Box<Receipt>),
    /// It may work later.
    Retry(Reason),
    /// It may work later, and not before this long.
    Throttled(Reason, Duration),
    /// The destination refused it in a way its retry policy may call final: 3xx and most 4xx.
    ClientError(Reason),
    /// It will never work.
    Reject(Reason),
    /// It will never work, and the receiver says that no later delivery will: HTTP's 410.
    Gone(Reason),
}

impl Outcome {
    /// The destination took the delivery and gave this receipt.
    #[must_use]
    pub fn delivered(receipt: Receipt) -> Self {
        Self::Delivered(Box::new(receipt))
    }

    /// Why it did not arrive; `None` when it did.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Delivered(_) => None,
            Self::Retry(reason) | Self::Throttled(reason, _) | Self::ClientError(reason) => {
                Some(*reason)
            }
            Self::Reject(reason) | Self::Gone(reason) => Some(*reason),
        }
    }
}

/// What becomes of the task that led here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAction {
    /// Done: delete it.
    Acknowledge,
    /// Comes back at this time, by its visibility timeout.
    Hold(Timestamp),
    /// Delete it; the due index brings the delivery back at this time.
    LeaveToDueIndex(Timestamp),
}

/// What an attempt makes of its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterAttempt {
    /// It has arrived.
    Succeeded(Receipt),
    /// It is tried again.
    Retrying {
        /// The time of the next attempt.
        next_attempt_at: Timestamp,
        /// Why this attempt failed.
        reason: Reason,
    },
    /// It is given up.
    Failed {
        /// The failure category.
        reason: Reason,
        /// Whether retries ran out.
        exhausted: bool,
    },
}

/// The decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// What becomes of the delivery: the argument of [`Delivery::settle`].
    pub after: AfterAttempt,
    /// What becomes of the task.
    pub queue: QueueAction,
    /// What the attempt says about the destination.
    pub streak: Streak,
}

/// Decides what `outcome`, of an attempt that ended at `now`, makes of `delivery`. `chance` in [0,
/// 1) is the jitter.
#[must_use]
pub fn settle(
    delivery: &Delivery,
    outcome: Outcome,
    policy: &RetryPolicy,
    now: Timestamp,
    chance: f64,
) -> Settlement {
    let single = policy.single_attempt();
    let policy = if delivery.message.test {
        &single
    } else {
        policy
    };
    let (reason, asked_wait) = match outcome {
        Outcome::Delivered(receipt) => {
            let streak = if delivery.message.test {
                Streak::Unchanged
            } else {
                Streak::Success
            };
            return Settlement {
                after: AfterAttempt::Succeeded(*receipt),
                queue: QueueAction::Acknowledge,
                streak,
            };
        }
        Outcome::Reject(reason) | Outcome::Gone(reason) => return failed(delivery, reason, false),
        Outcome::ClientError(reason) if !policy.retry_client_errors => {
            return failed(delivery, reason, false);
        }
        Outcome::ClientError(reason) | Outcome::Retry(reason) => (reason, Duration::ZERO),
        Outcome::Throttled(reason, after) => (reason, after.min(LONGEST_WAIT)),
    };
    let retries_used = delivery.attempts.saturating_sub(delivery.budget_start);
    if retries_used >= policy.max_retries {
        return failed(delivery, reason, true);
    }
    let wait = policy.wait_before(retries_used + 1, chance).max(asked_wait);
    let next_attempt_at = now.plus(wait);
    if delivery
        .message
        .expires_at
        .is_some_and(|expires| next_attempt_at >= expires)
    {
        // The attempt still counts as what it was; the delivery ends as expired.
        return Settlement {
            streak: streak_of(delivery, reason),
            ..failed(delivery, Reason::Expired, false)
        };
    }
    let queue = if wait <= LONGEST_QUEUED_WAIT {
        QueueAction::Hold(next_attempt_at)
    } else {
        QueueAction::LeaveToDueIndex(next_attempt_at)
    };
    Settlement {
        after: AfterAttempt::Retrying {
            next_attempt_at,
            reason,
        },
        queue,
        streak: streak_of(delivery, reason),
    }
}

fn failed(delivery: &Delivery, reason: Reason, exhausted: bool) -> Settlement {
    Settlement {
        after: AfterAttempt::Failed { reason, exhausted },
        queue: QueueAction::Acknowledge,
        streak: streak_of(delivery, reason),
    }
}

fn streak_of(delivery: &Delivery, reason: Reason) -> Streak {
    // What Waybill says of itself causes no further alerts, so a failure to say it does not count.
    let ours = delivery.message.test || delivery.message.event_type.is_reserved();
    if reason.counts_to_streak() && !ours {
        Streak::Failure
    } else {
        Streak::Unchanged
    }
}

//! Decides the next state of a delivery from the outcome of an attempt. This module performs no
//! I/O; the worker does.
//!
//! First attempts, retries, manual retries and replays are all settled here. `docs/ARCHITECTURE.md`
//! draws the states of a delivery.

use std::time::Duration;

use crate::delivery::Delivery;
use crate::health::Streak;
use crate::receipt::Receipt;
use crate::retry::{LONGEST_WAIT, RetryPolicy};
use crate::{Reason, Timestamp};

/// Waits up to this duration keep the task in the queue, by its visibility timeout. For longer
/// waits the task is deleted and the due index brings the delivery back.
pub const LONGEST_QUEUED_WAIT: Duration = Duration::from_secs(60);

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The destination accepted the delivery; the receipt identifies it there. The receipt is boxed
    /// so that results that contain an outcome stay small.
    Delivered(Box<Receipt>),
    /// The attempt failed, and a later one may succeed.
    Retry(Reason),
    /// The attempt failed, and a later one may succeed, but not before this duration has passed.
    Throttled(Reason, Duration),
    /// The destination rejected the delivery in a way that its retry policy may treat as final:
    /// HTTP 3xx and most 4xx.
    ClientError(Reason),
    /// The attempt failed, and no later attempt of this delivery can succeed.
    Reject(Reason),
    /// The attempt failed, and the receiver says that no later delivery will succeed: HTTP 410.
    Gone(Reason),
}

impl Outcome {
    /// Returns the outcome of an attempt that the destination accepted with this receipt.
    #[must_use]
    pub fn delivered(receipt: Receipt) -> Self {
        Self::Delivered(Box::new(receipt))
    }

    /// Returns the failure category; `None` if the attempt succeeded.
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

/// What happens to the task of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAction {
    /// The task is deleted, because nothing is left to do.
    Acknowledge,
    /// The task stays in the queue and becomes visible again at this time.
    Hold(Timestamp),
    /// The task is deleted; the due index brings the delivery back at this time.
    LeaveToDueIndex(Timestamp),
}

/// The effect of an attempt on its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterAttempt {
    /// The delivery has arrived.
    Succeeded(Receipt),
    /// Another attempt is made.
    Retrying {
        /// The time of the next attempt.
        next_attempt_at: Timestamp,
        /// Why this attempt failed.
        reason: Reason,
    },
    /// No further attempt is made.
    Failed {
        /// The category of the failure.
        reason: Reason,
        /// Whether the delivery used up its retries.
        exhausted: bool,
    },
}

/// The decision about an attempt's outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The effect on the delivery: the argument of [`Delivery::settle`].
    pub after: AfterAttempt,
    /// What happens to the task.
    pub queue: QueueAction,
    /// The effect on the destination's streak of failures.
    pub streak: Streak,
}

/// Decides the effect of `outcome` on `delivery`, for an attempt that ended at `now`. `chance` is a
/// random number in [0, 1) for the jitter of the wait.
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
        // The attempt still counts with its own failure category; the delivery ends as expired.
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
    // Waybill's own notifications must not cause further alerts, so their failures do not count.
    let ours = delivery.message.test || delivery.message.event_type.is_reserved();
    if reason.counts_to_streak() && !ours {
        Streak::Failure
    } else {
        Streak::Unchanged
    }
}

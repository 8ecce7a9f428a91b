//! Decides what to do with a task from the records that it names. [`plan`] is a pure function, and
//! the records are authoritative.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::{Delivery, SkipReason, TransitionRefused};
use domain::destination::{Destination, DestinationState};
use domain::settle::LONGEST_QUEUED_WAIT;
use domain::waiting::{Waiting, WaitingFor};
use queue::Task;

/// The number of earlier receives without a recorded attempt from which a task is suspected of
/// crashing its worker. It is then processed alone and last.
pub(crate) const SUSPECT_RECEIVES: u32 = 5;
/// The number of such receives from which the delivery is dead-lettered. The tenth receive
/// therefore ends a delivery whose nine earlier receives recorded no attempt.
pub(crate) const POISON_RECEIVES: u32 = 9;
/// How long the tasks of a suspended organization wait before they are read again.
const SUSPENDED_WAIT: Duration = Duration::from_secs(60);

/// The next action for a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing remains to be done: the delivery has finished, was superseded or deleted, or is in
    /// the due index.
    Acknowledge,
    /// The task is hidden for this time and then received again.
    Hold(Duration),
    /// The task is sent again with a delay, so that waiting does not raise its receive count.
    SendAgain(Duration),
    /// The delivery ends without an attempt.
    GiveUp(GiveUp),
    /// The delivery is due but may not start. Its task leaves the queue until it may.
    Wait(Waiting),
    /// An attempt is due after this time, which is less than a second.
    Attempt(Duration),
    /// An attempt is due, and is made alone, after all other attempts of the batch.
    AttemptAlone,
}

/// Why a delivery ends without an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The destination takes no deliveries.
    Skip(SkipReason),
    /// The time by which the message has to arrive has passed.
    Expire,
    /// The task was received too often without a recorded attempt.
    DeadLetter,
}

impl GiveUp {
    /// Ends `delivery` at `now`.
    pub(crate) fn end(
        self,
        delivery: Delivery,
        now: Timestamp,
    ) -> Result<Delivery, TransitionRefused> {
        match self {
            Self::Skip(reason) => delivery.skip(reason, now),
            Self::Expire => delivery.expire(now),
            Self::DeadLetter => delivery.dead_letter(now),
        }
    }
}

/// Decides what to do with `task`, which was received `receives` times.
#[must_use]
pub fn plan(
    task: &Task,
    receives: u32,
    delivery: Option<&Delivery>,
    destination: Option<&Destination>,
    suspended: bool,
    now: Timestamp,
) -> Next {
    let Some(delivery) = delivery else {
        return Next::Acknowledge;
    };
    if delivery.status().is_finished() || task.generation < delivery.generation {
        return Next::Acknowledge;
    }
    if let Some(reason) = skip_reason(destination, delivery) {
        return Next::GiveUp(GiveUp::Skip(reason));
    }
    if delivery
        .message
        .expires_at
        .is_some_and(|expires| now >= expires)
    {
        return Next::GiveUp(GiveUp::Expire);
    }
    if suspended {
        return Next::SendAgain(SUSPENDED_WAIT);
    }
    let paused = is_paused(destination, delivery, now);
    let left = paused.map_or(Duration::ZERO, |paused| {
        paused.expected_at.map_or(Duration::MAX, |at| at.since(now))
    });
    let wait = match delivery.waiting.map(|waiting| waiting.reason) {
        Some(WaitingFor::Pause) => left,
        // The time at which a slot becomes free is an estimate, so the delivery may be called
        // earlier.
        Some(WaitingFor::Concurrency) => Duration::ZERO,
        Some(WaitingFor::Rate) | None => delivery
            .starts_at()
            .map_or(Duration::ZERO, |at| at.since(now)),
    };
    if wait > LONGEST_QUEUED_WAIT {
        return Next::Acknowledge;
    }
    if wait >= Duration::from_secs(1) {
        return Next::Hold(wait);
    }
    if let Some(until) = delivery.state.attempt_until().filter(|until| now < *until) {
        return Next::Hold(until.since(now) + Duration::from_secs(1));
    }
    if let Some(waiting) = paused.filter(|_| left >= Duration::from_secs(1)) {
        return Next::Wait(waiting);
    }
    let wait = wait.max(left);
    let unexplained = receives
        .saturating_sub(1)
        .saturating_sub(delivery.attempts - delivery.budget_start);
    if unexplained >= POISON_RECEIVES {
        return Next::GiveUp(GiveUp::DeadLetter);
    }
    if unexplained >= SUSPECT_RECEIVES {
        Next::AttemptAlone
    } else {
        Next::Attempt(wait)
    }
}

/// Returns what a delivery waits for if its destination is paused. Tests do not wait.
pub(crate) fn is_paused(
    destination: Option<&Destination>,
    delivery: &Delivery,
    now: Timestamp,
) -> Option<Waiting> {
    let until = destination?
        .paused_until(now)
        .filter(|_| !delivery.message.test)?;
    Some(Waiting {
        reason: WaitingFor::Pause,
        expected_at: Some(until).filter(|until| *until < Timestamp::MAX),
    })
}

/// Returns why a delivery to this destination is skipped, if it is.
pub(crate) fn skip_reason(
    destination: Option<&Destination>,
    delivery: &Delivery,
) -> Option<SkipReason> {
    match destination.map(|destination| &destination.state) {
        None | Some(DestinationState::Deleted { .. }) => Some(SkipReason::DestinationDeleted),
        Some(DestinationState::Disabled { .. }) if !delivery.message.test => {
            Some(SkipReason::DestinationDisabled)
        }
        Some(_) => None,
    }
}

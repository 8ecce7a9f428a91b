//! What to do with a task, given the record it names. Pure; the record is the truth.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::{Delivery, SkipReason, TransitionRefused};
use domain::destination::{Destination, DestinationState};
use domain::settle::LONGEST_QUEUED_WAIT;
use domain::waiting::{Waiting, WaitingFor};
use queue::Task;

/// Received this much more often than attempts were recorded, a task is suspected of killing its worker: it is processed alone and last.
pub(crate) const SUSPECT_RECEIVES: u32 = 5;
/// … and at this many it is settled as dead-lettered: the tenth start ends what nine did not survive.
pub(crate) const POISON_RECEIVES: u32 = 9;
/// How long the tasks of a suspended organization wait before they are looked at again.
const SUSPENDED_WAIT: Duration = Duration::from_secs(60);

/// What to do with a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing: it is finished, superseded, gone, or the due index has it.
    Acknowledge,
    /// It comes back after this long.
    Hold(Duration),
    /// It is sent anew, to come after this long, so that waiting does not count as trouble.
    SendAnew(Duration),
    /// The delivery ends without an attempt.
    GiveUp(GiveUp),
    /// It is due and may not start: it leaves the queue until it may.
    Wait(Waiting),
    /// An attempt is due after this long, which is less than a second.
    Attempt(Duration),
    /// An attempt is due, alone and after all others of the batch.
    AttemptAlone,
}

/// Why a delivery ends without an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// Its destination takes no deliveries.
    Skip(SkipReason),
    /// The time by which it was to arrive is over.
    Expire,
    /// Its task came back too often without an attempt.
    DeadLetter,
}

impl GiveUp {
    /// Ends `delivery` at `now`.
    pub(crate) fn end(self, delivery: Delivery, now: Timestamp) -> Result<Delivery, TransitionRefused> {
        match self {
            Self::Skip(reason) => delivery.skip(reason, now),
            Self::Expire => delivery.expire(now),
            Self::DeadLetter => delivery.dead_letter(now),
        }
    }
}

/// Decides what is to be done with `task`, received `receives` times.
#[must_use]
pub fn plan(
    task: &Task,
    receives: u32,
    delivery: Option<&Delivery>,
    destination: Option<&Destination>,
    suspended: bool,
    now: Timestamp,
) -> Next {
    let Some(delivery) = delivery else { return Next::Acknowledge };
    if delivery.status().is_finished() || task.generation < delivery.generation {
        return Next::Acknowledge;
    }
    if let Some(reason) = skip_reason(destination, delivery) {
        return Next::GiveUp(GiveUp::Skip(reason));
    }
    if delivery.message.expires_at.is_some_and(|expires| now >= expires) {
        return Next::GiveUp(GiveUp::Expire);
    }
    if suspended {
        return Next::SendAnew(SUSPENDED_WAIT);
    }
    let paused = is_paused(destination, delivery, now);
    let left = paused.map_or(Duration::ZERO, |paused| paused.expected_at.map_or(Duration::MAX, |at| at.since(now)));
    let wait = match delivery.waiting.map(|waiting| waiting.reason) {
        Some(WaitingFor::Pause) => left,
        // When a place comes free is an estimate: the delivery may be called before.
        Some(WaitingFor::Concurrency) => Duration::ZERO,
        Some(WaitingFor::Rate) | None => delivery.starts_at().map_or(Duration::ZERO, |at| at.since(now)),
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
    let unexplained = receives.saturating_sub(1).saturating_sub(delivery.attempts - delivery.budget_start);
    if unexplained >= POISON_RECEIVES {
        return Next::GiveUp(GiveUp::DeadLetter);
    }
    if unexplained >= SUSPECT_RECEIVES { Next::AttemptAlone } else { Next::Attempt(wait) }
}

/// What a delivery waits for while its destination is paused. Tests go out.
pub(crate) fn is_paused(destination: Option<&Destination>, delivery: &Delivery, now: Timestamp) -> Option<Waiting> {
    let until = destination?.paused_until(now).filter(|_| !delivery.message.test)?;
    Some(Waiting { reason: WaitingFor::Pause, expected_at: Some(until).filter(|until| *until < Timestamp::MAX) })
}

/// Why a delivery to this destination is skipped, if it is.
pub(crate) fn skip_reason(destination: Option<&Destination>, delivery: &Delivery) -> Option<SkipReason> {
    match destination.map(|destination| &destination.state) {
        None | Some(DestinationState::Deleted { .. }) => Some(SkipReason::DestinationDeleted),
        Some(DestinationState::Disabled { .. }) if !delivery.message.test => Some(SkipReason::DestinationDisabled),
        Some(_) => None,
    }
}

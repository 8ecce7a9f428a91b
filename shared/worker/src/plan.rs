//! What to do with a task, given the record it names. Pure; the record is the truth.

use std::time::Duration;

use domain::delivery::{Delivery, State};
use domain::destination::{Destination, DestinationState};
use domain::settle::LONGEST_QUEUED_WAIT;
use domain::{Reason, Timestamp};
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
    /// The delivery ends like this, without an attempt.
    GiveUp(State),
    /// An attempt is due after this long, which is less than a second.
    Attempt(Duration),
    /// An attempt is due, alone and after all others of the batch.
    AttemptAlone,
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
        return Next::GiveUp(State::Skipped { finished_at: now, reason });
    }
    if delivery.message.expires_at.is_some_and(|expires| now >= expires) {
        return Next::GiveUp(State::Failed { finished_at: now, reason: Reason::Expired, exhausted: false });
    }
    if suspended {
        return Next::SendAnew(SUSPENDED_WAIT);
    }
    let wait = match delivery.state {
        State::Retrying { next_attempt_at, .. } => next_attempt_at.since(now),
        _ => Duration::ZERO,
    };
    if wait > LONGEST_QUEUED_WAIT {
        return Next::Acknowledge;
    }
    if wait >= Duration::from_secs(1) {
        return Next::Hold(wait);
    }
    if delivery.in_flight(now) {
        return Next::Hold(delivery.lease_until.map_or(Duration::ZERO, |until| until.since(now)) + Duration::from_secs(1));
    }
    let unexplained = receives.saturating_sub(1).saturating_sub(delivery.attempts - delivery.budget_start);
    if unexplained >= POISON_RECEIVES {
        return Next::GiveUp(State::Failed { finished_at: now, reason: Reason::DeadLettered, exhausted: false });
    }
    if unexplained >= SUSPECT_RECEIVES { Next::AttemptAlone } else { Next::Attempt(wait) }
}

/// Why a delivery to this destination is skipped, if it is.
pub(crate) fn skip_reason(destination: Option<&Destination>, delivery: &Delivery) -> Option<Reason> {
    match destination.map(|destination| &destination.state) {
        None | Some(DestinationState::Deleted { .. }) => Some(Reason::DestinationDeleted),
        Some(DestinationState::Disabled { .. }) if !delivery.message.test => Some(Reason::DestinationDisabled),
        Some(_) => None,
    }
}

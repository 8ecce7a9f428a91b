//! Turns, starts and slots. A due delivery starts when the limits of its destination permit it,
//! and waits while its destination is paused.
//!
//! A destination with a limit per second gives each delivery a **turn**, which is the time at which
//! the delivery should be received. A destination with a concurrency limit has **slots**. If the
//! turn is less than a second away, the worker waits for it. Otherwise the delivery is recorded as
//! waiting, with the reason and the expected time. Its earlier tasks become stale, and a new task
//! is received at the expected time, from the queue or through the due index. The process that
//! frees a slot may send the task of a waiting delivery earlier (see [`crate::flow`]).
//!
//! Several deliveries may be received late and at the same time. Therefore each attempt also takes
//! a **start**, immediately before it begins. The starts of all processes form one series, with the
//! distance that the limit requires. If the next start is more than a second away, the delivery
//! takes another turn. Decision 47 describes the costs.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::id::DestinationId;
use domain::settle::LONGEST_QUEUED_WAIT;
use domain::waiting::{DeliveryLimits, Waiting, WaitingFor};
use queue::Task;
use store::{SlotRequest, StoreError, TakenSlot, Work};
use telemetry::{FutureExt as _, TraceContext};

use crate::batch::Item;
use crate::plan::is_paused;
use crate::setback::{Disposal, hold, return_to_queue};
use crate::{Connector, Parts};

/// The longest time that a worker waits for a turn or a start. A delivery that would have to wait
/// longer is recorded as waiting.
const START_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long a worker looks for a slot for a delivery that has waited for one. The expected time of
/// such a delivery is an estimate.
const SLOT_SEARCH_MAX: Duration = Duration::from_secs(2);
/// The time between the first two looks for a slot. Each further interval is one and a half times
/// as long.
const SLOT_POLL_FIRST: Duration = Duration::from_millis(50);
/// The longest time between two looks for a slot.
const SLOT_POLL_MAX: Duration = Duration::from_millis(500);

/// How long to wait before each try to free a slot. While it stays taken, no other delivery can
/// use it.
const FREE_SLOT_WAITS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(600),
];

/// Whether a delivery may start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// The delivery may start. It needs no turn, or it had one before it waited for a slot.
    NotNeeded,
    /// The delivery may start at this time, which has passed or is less than a second away.
    At(Timestamp),
    /// The delivery may not start yet.
    Wait(Waiting),
}

/// The slot and the start of an attempt at a destination with limits.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// The slot of the attempt, if concurrent attempts are limited.
    pub(crate) slot: Option<TakenSlot>,
    /// When the attempt may send its request, if starts are limited.
    pub(crate) start: Option<Timestamp>,
}

/// The result of taking a start.
enum Start {
    /// The attempt may send its request at this time, which is less than a second away.
    At(Timestamp),
    /// The attempt may not start soon, so the delivery waits.
    Wait(Waiting),
}

/// The result of looking for a slot.
enum Slot {
    /// The first look found a free slot.
    Taken(TakenSlot),
    /// A later look found a free slot. The destination may have changed since the delivery was
    /// read.
    TakenLate(TakenSlot),
    /// No slot becomes free soon, so the delivery waits.
    Wait(Waiting),
    /// The delivery was called before its expected time, but other attempts took the slot. Another
    /// task returns the delivery at its expected time.
    TakenByOthers,
}

impl<C: Connector> Parts<C> {
    /// Returns the limits of a delivery, or `None` for tests and for destinations without limits.
    pub(crate) fn limits(&self, item: &Item) -> Option<DeliveryLimits> {
        limits_of(&item.work)
    }

    /// Takes a turn for the delivery. A delivery whose turn has come, or that has waited for a
    /// slot since its turn, keeps it.
    pub(crate) async fn turn(&self, item: &Item) -> Result<Turn, StoreError> {
        let per_second = self.limits(item).and_then(|limits| limits.max_per_second);
        let (Some(per_second), Some(delivery)) = (per_second, &item.work.delivery) else {
            return Ok(Turn::NotNeeded);
        };
        let now = self.clock.now();
        let step = step(per_second);
        match delivery.waiting {
            Some(Waiting {
                reason: WaitingFor::Concurrency,
                ..
            }) => return Ok(Turn::NotNeeded),
            Some(Waiting {
                reason: WaitingFor::Rate,
                expected_at: Some(at),
            }) if at.since(now) < START_WAIT_MAX => return Ok(Turn::At(at)),
            _ => {}
        }
        let at = self
            .store
            .next_turn(delivery.destination, now, step)
            .await?;
        Ok(match at.since(now) < START_WAIT_MAX {
            true => Turn::At(at),
            false => Turn::Wait(Waiting {
                reason: WaitingFor::Rate,
                expected_at: Some(at),
            }),
        })
    }

    /// Admits an attempt at a destination with limits: takes a slot, which expires at `until`, and
    /// then a start. If the attempt may not begin yet, returns what happens to its task.
    pub(crate) async fn enter(
        &self,
        item: &Item,
        limits: DeliveryLimits,
        until: Timestamp,
    ) -> Result<Admission, Disposal> {
        let (Some(delivery), Some(destination)) = (&item.work.delivery, &item.work.destination)
        else {
            return Err(Disposal::Done);
        };
        let failed = async |error: StoreError, action: &str| {
            tracing::warn!(
                error = %domain::chain(&error),
                delivery = %delivery.id,
                "failed to take a {action}; the task returns to the queue"
            );
            return_to_queue(&self.inbox, &item.received).await
        };
        let slot = match limits.max_concurrent {
            None => None,
            Some(slots) => match self.slot(item, delivery, slots, until).await {
                Ok(Slot::Taken(slot)) => Some(slot),
                Ok(Slot::TakenLate(slot)) if self.is_still_due(item, limits).await => Some(slot),
                Ok(Slot::TakenLate(slot)) => {
                    self.leave(destination, Some(slot), None).await;
                    return Err(self.send_back(item).await);
                }
                Ok(Slot::Wait(waiting)) => return Err(self.wait(item, waiting).await),
                Ok(Slot::TakenByOthers) => return Err(Disposal::Done),
                Err(error) => return Err(failed(error, "slot").await),
            },
        };
        let Some(per_second) = limits.max_per_second else {
            return Ok(Admission { slot, start: None });
        };
        let disposal = match self
            .start(item.turn, destination.id, step(per_second))
            .await
        {
            Ok(Start::At(start)) => {
                return Ok(Admission {
                    slot,
                    start: Some(start),
                });
            }
            Ok(Start::Wait(waiting)) => self.wait(item, waiting).await,
            Err(error) => failed(error, "turn").await,
        };
        self.leave(destination, slot, None).await;
        Err(disposal)
    }

    /// Waits for the turn and takes a start, which is on average `step` after the start before it.
    /// If that is more than a second away, takes another turn and returns the wait for it.
    async fn start(
        &self,
        turn: Option<Timestamp>,
        destination: DestinationId,
        step: Duration,
    ) -> Result<Start, StoreError> {
        tokio::time::sleep(turn.map_or(Duration::ZERO, |at| at.since(self.clock.now()))).await;
        let now = self.clock.now();
        if let Some(at) = self.store.take_start(destination, now, step).await? {
            return Ok(Start::At(at));
        }
        let at = self
            .store
            .next_turn(destination, now, step)
            .await?
            .max(now.plus(START_WAIT_MAX));
        Ok(Start::Wait(Waiting {
            reason: WaitingFor::Rate,
            expected_at: Some(at),
        }))
    }

    /// Waits until an attempt may send its request. If taking the lease took longer than the wait
    /// for the start, several requests may be ready at the same time, so this process also keeps
    /// the distance between them.
    pub(crate) async fn keep_distance(
        &self,
        item: &Item,
        destination: &Destination,
        start: Option<Timestamp>,
    ) {
        let limits = self.limits(item);
        let Some((at, per_second)) = start.zip(limits.and_then(|limits| limits.max_per_second))
        else {
            return;
        };
        tokio::time::sleep(at.since(self.clock.now())).await;
        self.flows.send(destination.id, step(per_second)).await;
    }

    /// Takes one of `slots` for the attempt, which expires at `until`. For a delivery that has
    /// waited for a slot, looks for one for [`SLOT_SEARCH_MAX`]; otherwise looks once.
    async fn slot(
        &self,
        item: &Item,
        delivery: &Delivery,
        slots: u32,
        until: Timestamp,
    ) -> Result<Slot, StoreError> {
        let waited = delivery
            .waiting
            .filter(|waiting| waiting.reason == WaitingFor::Concurrency);
        let give_up_at = self.clock.now().plus(if waited.is_some() {
            SLOT_SEARCH_MAX
        } else {
            Duration::ZERO
        });
        let looking = waited.map(|_| self.flows.look(delivery.destination));
        let (mut look, mut is_late) = (SLOT_POLL_FIRST, false);
        // Attempts that ask at the same moment ask for different slots.
        let first = u32::from_le_bytes(self.random.bytes());
        loop {
            let now = self.clock.now();
            if let Some(slot) = self
                .store
                .take_slot(
                    delivery.destination,
                    now,
                    SlotRequest {
                        slots,
                        until,
                        first,
                    },
                )
                .await?
            {
                self.flows
                    .remove_from_line(delivery.destination, delivery.id);
                return Ok(if is_late {
                    Slot::TakenLate(slot)
                } else {
                    Slot::Taken(slot)
                });
            }
            let Some(looking) = looking.as_ref().filter(|_| now < give_up_at) else {
                break;
            };
            looking.wait(look).await;
            look = (look * 3 / 2).min(SLOT_POLL_MAX);
            is_late = true;
        }
        let now = self.clock.now();
        if waited
            .and_then(|waiting| waiting.expected_at)
            .is_some_and(|at| at.since(now) >= START_WAIT_MAX)
        {
            self.flows
                .add_to_line(item.task.clone(), item.received.cause.clone());
            return Ok(Slot::TakenByOthers);
        }
        let at = self
            .store
            .expected_slot(delivery.destination, now, slots)
            .await?;
        Ok(Slot::Wait(Waiting {
            reason: WaitingFor::Concurrency,
            expected_at: Some(at.max(now.plus(START_WAIT_MAX))),
        }))
    }

    /// Frees the slot of an attempt and calls deliveries that wait for a slot. `took` is the
    /// duration of the attempt, or `None` if it was not made. A slot that cannot be freed stays
    /// taken until it expires.
    pub(crate) async fn leave(
        &self,
        destination: &Destination,
        slot: Option<TakenSlot>,
        took: Option<Duration>,
    ) {
        let Some(slot) = slot else { return };
        let mut left = Ok(());
        for wait in FREE_SLOT_WAITS {
            tokio::time::sleep(wait).await;
            left = self
                .store
                .leave_slot(destination, slot, took, self.clock.now())
                .await;
            if left.is_ok() {
                break;
            }
        }
        if let Err(error) = left {
            tracing::warn!(
                error = %domain::chain(&error),
                destination = %destination.id,
                "failed to free a slot; it stays taken until it expires"
            );
            return;
        }
        for (task, cause) in
            self.flows
                .freed(destination.id, slot.total(), took.unwrap_or_default())
        {
            let sent = self.inbox.send_again(&task, cause.as_ref(), Duration::ZERO);
            if let Err(error) = sent.await {
                tracing::debug!(
                    error = %domain::chain(&error),
                    delivery = %task.delivery,
                    "failed to call a waiting delivery; it returns at its expected time"
                );
            }
        }
    }

    /// Records that a delivery waits. Its task is removed, and another task returns the delivery
    /// when it may start.
    pub(crate) async fn wait(&self, item: &Item, waiting: Waiting) -> Disposal {
        match Box::pin(self.try_wait(item, waiting)).await {
            Ok(true) => Disposal::Done,
            // Another writer changed the delivery first, so the task is processed again.
            Ok(false) => hold(&self.inbox, &item.received, Duration::ZERO).await,
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %item.task.delivery,
                    "failed to record a delivery as waiting; its task returns to the queue"
                );
                return_to_queue(&self.inbox, &item.received).await
            }
        }
    }

    /// Records that a delivery waits. Returns `false` if another writer changed the delivery first.
    async fn try_wait(&self, item: &Item, waiting: Waiting) -> Result<bool, StoreError> {
        let Some(before) = &item.work.delivery else {
            return Ok(true);
        };
        let Ok(after) = before.clone().wait(waiting) else {
            return Ok(false);
        };
        let now = self.clock.now();
        let in_queue = waiting
            .expected_at
            .filter(|at| at.since(now) <= LONGEST_QUEUED_WAIT);
        let is_pause = waiting.reason == WaitingFor::Pause;
        let waits = match waiting.expected_at {
            Some(at) if in_queue.is_none() && !is_pause => {
                self.store.move_due(before, &after, at).await?
            }
            _ => self.store.transition(before, &after).await?,
        };
        if let Some(at) = in_queue.filter(|_| waits) {
            // The task continues the same span.
            let sending = self
                .dispatcher
                .send_or_remember(std::slice::from_ref(&after), at);
            let cause = item.received.cause.clone();
            let cause = cause.unwrap_or_else(TraceContext::current);
            Box::pin(sending).with_context(cause).await;
        }
        match waiting.reason {
            WaitingFor::Pause if waits => self.release_if_resumed(&after).await,
            WaitingFor::Concurrency if waits => {
                let task = Task {
                    generation: after.generation,
                    ..item.task.clone()
                };
                self.flows.add_to_line(task, item.received.cause.clone());
            }
            _ => {}
        }
        Ok(waits)
    }

    /// If the destination was resumed while its delivery was recorded as waiting, its other
    /// deliveries have already been released, so this one is released here.
    async fn release_if_resumed(&self, parked: &Delivery) {
        let released = async {
            let destination = self
                .store
                .destination(parked.organization, parked.destination)
                .await?;
            if is_paused(destination.as_ref(), parked, self.clock.now()).is_none() {
                self.dispatcher
                    .release(std::slice::from_ref(parked), self.clock.now())
                    .await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(
                error = %domain::chain(&error),
                delivery = %parked.id,
                "failed to check whether the destination was resumed; the monitor releases the \
                 delivery"
            );
        }
    }
}

/// Returns the limits of a delivery, or `None` for tests and for destinations without limits.
pub(crate) fn limits_of(work: &Work) -> Option<DeliveryLimits> {
    let (Some(delivery), Some(destination)) = (&work.delivery, &work.destination) else {
        return None;
    };
    let organizations = work
        .settings
        .as_ref()
        .and_then(|settings| settings.delivery_limits);
    let limits = destination.limits(organizations);
    let limited = limits.max_per_second.is_some() || limits.max_concurrent.is_some();
    (limited && !delivery.message.test && !destination.is_system()).then_some(limits)
}

/// Returns the time between two turns or starts at this limit.
fn step(per_second: f64) -> Duration {
    Duration::from_secs_f64(1.0 / per_second)
}

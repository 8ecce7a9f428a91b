//! Turns: a delivery that is due starts when its destination's limits let it, and waits when its destination is paused.
//!
//! A destination that takes so many a second gives **turns**, one after the other; one that takes so many at once has **places**. A delivery whose turn is
//! less than a second away waits for it here. For a longer wait it **leaves**: its record says what it waits for and until when, its tasks
//! are stale, and a new one comes at its time, from the queue or from the due index. Decision 47 has the costs.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::settle::LONGEST_QUEUED_WAIT;
use domain::waiting::{DeliveryLimits, Waiting, WaitingFor};
use store::{StoreError, TakenPlace};

use crate::batch::Item;
use crate::plan::is_paused;
use crate::setback::{Disposal, hold, put_back};
use crate::{Connector, Parts};

/// A turn that is this close is waited for in the worker.
const CLOSE: Duration = Duration::from_secs(1);
/// A turn that was missed by more than half the time between two turns is void: after an outage, those that were missed would all be taken at
/// once. No less than this is kept, so that a busy worker does not void the turns of a fast destination …
const KEPT_LEAST: Duration = Duration::from_millis(500);
/// … and no more than this.
const KEPT_MOST: Duration = Duration::from_secs(5);
/// How long a delivery that has waited for a place looks for one: when it would be free was an estimate.
const LOOKED_FOR: Duration = Duration::from_secs(2);
/// How soon a delivery whose place should be free looks again whether it is; each further look comes half as much later …
const LOOK_FIRST: Duration = Duration::from_millis(50);
/// … up to this.
const LOOK_MAX: Duration = Duration::from_millis(500);

/// Whether a delivery may start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// It may, after this long.
    Now(Duration),
    /// It may not yet.
    Wait(Waiting),
}

impl<C: Connector> Parts<C> {
    /// The limits that a delivery is under; `None` for a test and for destinations that have none, which costs nothing.
    fn limits(&self, item: &Item) -> Option<DeliveryLimits> {
        let (Some(delivery), Some(destination)) = (&item.work.delivery, &item.work.destination) else { return None };
        let organizations = item.work.settings.as_ref().and_then(|settings| settings.delivery_limits);
        let limits = destination.limits(organizations);
        let limited = limits.max_per_second.is_some() || limits.max_concurrent.is_some();
        (limited && !delivery.message.test && !destination.is_system()).then_some(limits)
    }

    /// Takes the delivery's turn. One that had its turn, or that waited for a place since, keeps it.
    pub(crate) async fn turn(&self, item: &Item) -> Result<Turn, StoreError> {
        let per_second = self.limits(item).and_then(|limits| limits.max_per_second);
        let (Some(per_second), Some(delivery)) = (per_second, &item.work.delivery) else { return Ok(Turn::Now(Duration::ZERO)) };
        let now = self.clock.now();
        let step = Duration::from_secs_f64(1.0 / per_second);
        if let Some(Waiting { reason, expected_at: Some(at) }) = delivery.waiting {
            let holds = reason == WaitingFor::Concurrency || now.since(at) <= (step / 2).clamp(KEPT_LEAST, KEPT_MOST);
            if reason != WaitingFor::Pause && at.since(now) < CLOSE && holds {
                return Ok(Turn::Now(at.since(now)));
            }
        }
        let at = self.store.next_turn(delivery.destination, now, step).await?;
        Ok(match at.since(now) < CLOSE {
            true => Turn::Now(at.since(now)),
            false => Turn::Wait(Waiting { reason: WaitingFor::Rate, expected_at: Some(at) }),
        })
    }

    /// Takes a place for the attempt, until `until` at most; without one that comes free soon, says when to ask again.
    pub(crate) async fn place(&self, item: &Item, until: Timestamp) -> Result<Result<Option<TakenPlace>, Waiting>, StoreError> {
        let places = self.limits(item).and_then(|limits| limits.max_concurrent);
        let (Some(places), Some(delivery)) = (places, &item.work.delivery) else { return Ok(Ok(None)) };
        let waited = delivery.waiting.is_some_and(|waiting| waiting.reason == WaitingFor::Concurrency);
        let give_up_at = self.clock.now().plus(if waited { LOOKED_FOR } else { Duration::ZERO });
        let mut look = LOOK_FIRST;
        loop {
            let now = self.clock.now();
            if let Some(place) = self.store.take_place(delivery.destination, now, until, places).await? {
                return Ok(Ok(Some(place)));
            }
            if now >= give_up_at {
                let at = self.store.expected_place(delivery.destination, now, places).await?;
                return Ok(Err(Waiting { reason: WaitingFor::Concurrency, expected_at: Some(at.max(now.plus(CLOSE))) }));
            }
            tokio::time::sleep(look).await;
            look = (look * 3 / 2).min(LOOK_MAX);
        }
    }

    /// Leaves the place of an attempt that is over. One that is not left comes free when its time is up.
    pub(crate) async fn leave(&self, destination: &Destination, place: Option<TakenPlace>, took: Duration) {
        let Some(place) = place else { return };
        if let Err(error) = self.store.leave_place(destination, place, took, self.clock.now()).await {
            tracing::warn!(error = %domain::chain(&error), destination = %destination.id, "failed to leave a place; it stays taken until its time is up");
        }
    }

    /// Lets a delivery wait: it leaves the queue, and comes back when it may start.
    pub(crate) async fn wait(&self, item: &Item, waiting: Waiting) -> Disposal {
        match Box::pin(self.try_wait(item, waiting)).await {
            Ok(true) => Disposal::Done,
            // Somebody changed it first: the task is looked at once more.
            Ok(false) => hold(&self.inbox, &item.received, Duration::ZERO).await,
            Err(error) => {
                tracing::warn!(error = %domain::chain(&error), delivery = %item.task.delivery, "failed to record a delivery as waiting; its task waits");
                put_back(&self.inbox, &item.received).await
            }
        }
    }

    async fn try_wait(&self, item: &Item, waiting: Waiting) -> Result<bool, StoreError> {
        let Some(before) = &item.work.delivery else { return Ok(true) };
        let Ok(after) = before.clone().wait(waiting) else { return Ok(false) };
        let now = self.clock.now();
        let in_queue = waiting.expected_at.filter(|at| at.since(now) <= LONGEST_QUEUED_WAIT);
        let is_pause = waiting.reason == WaitingFor::Pause;
        let waits = match waiting.expected_at {
            Some(at) if in_queue.is_none() && !is_pause => self.store.move_due(before, &after, at).await?,
            _ => self.store.transition(before, &after).await?,
        };
        if let Some(at) = in_queue.filter(|_| waits) {
            // If the queue does not take it, the due index brings it back a minute later, and the monitor what waits for a pause to end.
            self.dispatcher.send(std::slice::from_ref(&after), at).await;
        }
        if waits && is_pause {
            self.release_if_resumed(&after).await;
        }
        Ok(waits)
    }

    /// A destination that was resumed while its delivery was recorded as waiting has released the others by then.
    async fn release_if_resumed(&self, parked: &Delivery) {
        let released = async {
            let destination = self.store.destination(parked.organization, parked.destination).await?;
            if is_paused(destination.as_ref(), parked, self.clock.now()).is_none() {
                self.dispatcher.release(std::slice::from_ref(parked), self.clock.now()).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(error = %domain::chain(&error), delivery = %parked.id, "failed to look whether the destination was resumed; the monitor releases the delivery");
        }
    }
}

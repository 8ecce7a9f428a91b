//! The steps of a run, which the seed determines.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use domain::Timestamp;
use domain::attempt::Trigger;
use domain::id::{DeliveryId, DestinationId, MessageId};
use futures_util::future::join_all;

use crate::faults::Weather;
use crate::receiver::Receiver;
use crate::trace::Trace;
use crate::verdict::{Tally, verdict};
use crate::world::{MAX_PER_SECOND, Reply, Request, World};

/// The steps with faults.
const STEPS: usize = 50;
/// One call in this many fails.
const FAULT_RARITY: u32 = 12;

/// What the clients of the world know.
pub(crate) struct ClientState {
    pub(crate) world: World,
    pub(crate) rng: fastrand::Rng,
    /// Accepted messages, with their numbers of deliveries.
    pub(crate) accepted: BTreeMap<MessageId, u16>,
    /// Requests without a complete response, which the client will repeat.
    pub(crate) unanswered: Vec<Request>,
    /// Requests with a complete response, which a client repeats that lost it.
    pub(crate) answered: Vec<(Request, Reply)>,
    /// Messages that were sent to further destinations by requests without a response.
    pub(crate) adding: Vec<(MessageId, DestinationId)>,
    /// How often each delivery was reopened.
    pub(crate) reopened: BTreeMap<DeliveryId, u32>,
    /// How many invocations were cut off.
    pub(crate) crashes: u32,
    /// Deliveries that were finished at the last check, except those reopened since.
    pub(crate) finished: BTreeSet<DeliveryId>,
    /// How many of the receiver's requests have been checked.
    pub(crate) looked_at: usize,
    /// How many requests had reached the receiver when the first destination was repaired.
    pub(crate) mended_after: usize,
    /// Since when failures had disabled the first destination at that time.
    pub(crate) disabled_at: Option<Timestamp>,
}

pub(crate) async fn live_through(seed: u64) -> (Tally, Vec<String>) {
    let world = World::create(seed, Receiver::seeded(seed)).await;
    let trace = Trace::of(&world.engines, world.clock.clone());
    let mut life = ClientState {
        world,
        rng: fastrand::Rng::with_seed(seed),
        accepted: BTreeMap::new(),
        unanswered: Vec::new(),
        answered: Vec::new(),
        adding: Vec::new(),
        reopened: BTreeMap::new(),
        crashes: 0,
        finished: BTreeSet::new(),
        looked_at: 0,
        mended_after: 0,
        disabled_at: None,
    };
    boxed(|| life.world.let_recover(life.world.destinations[0], seed)).await;
    let weather = Weather::over(
        &life.world.engines,
        seed ^ 0x5eed,
        FAULT_RARITY,
        trace.clone(),
    );
    for _ in 0..STEPS {
        life.step(seed).await;
        life.look(seed).await;
    }
    life.world.engines.clear_faults();
    drop(weather);
    life.run_dry(seed).await;
    let tally = verdict(&life, seed).await;
    (tally, trace.finish(&life.world.receiver.sent()))
}

/// Allocates a future on the heap. Otherwise the future of a step is as large as all of its
/// alternatives.
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

impl ClientState {
    async fn step(&mut self, seed: u64) {
        match self.rng.u32(0..22) {
            0..3 => boxed(|| self.submit()).await,
            3..4 => boxed(|| self.submit_together()).await,
            4..5 => {
                boxed(|| self.repeat_unanswered()).await;
                boxed(|| self.repeat_answered(seed)).await;
            }
            5..11 => drop(boxed(|| self.world.poll_worker()).await),
            // Two workers at once, possibly with a concurrent retry.
            11..13 => drop(tokio::join!(
                boxed(|| self.world.poll_worker()),
                boxed(|| self.world.poll_worker())
            )),
            13..15 => boxed(|| self.world.monitor(None)).await,
            15..16 => boxed(|| self.redeliver()).await,
            16..17 => boxed(|| self.cancel()).await,
            17..18 => drop(boxed(|| self.world.poll_dead_letters()).await),
            18..19 => match self.rng.u32(0..7) {
                0..2 => boxed(|| self.pause_or_resume()).await,
                2..4 => boxed(|| self.add()).await,
                4..5 => boxed(|| self.backfill()).await,
                5..6 => boxed(|| self.change_limits()).await,
                _ => boxed(|| self.disable_or_enable()).await,
            },
            19..20 => tokio::time::sleep(Duration::from_millis(self.rng.u64(1..90_000))).await,
            20..21 => drop(boxed(|| self.work_on_jobs()).await),
            _ => {
                // As long as it takes until a check of a disabled destination is due.
                tokio::time::sleep(Duration::from_secs(self.rng.u64(60..400))).await;
                boxed(|| self.world.monitor(None)).await;
            }
        }
    }

    /// Submits a message or a batch.
    async fn submit(&mut self) {
        let payload_bytes = self.rng.usize(0..3000);
        let request = match self.rng.u32(0..3) {
            0 => self
                .world
                .batch_request(self.rng.usize(1..=8), payload_bytes),
            _ => self.world.request(self.rng.usize(1..=3), payload_bytes),
        };
        let reply = self.world.send(&request).await;
        self.note(request, reply);
    }

    /// Submits from several clients at the same moment. Their requests share calls, and each has
    /// its own response.
    async fn submit_together(&mut self) {
        let requests: Vec<Request> = (0..self.rng.usize(2..=8))
            .map(|_| {
                let (fan_out, payload_bytes) = (self.rng.usize(1..=3), self.rng.usize(0..3000));
                self.world.request(fan_out, payload_bytes)
            })
            .collect();
        let replies = join_all(requests.iter().map(|request| self.world.send(request))).await;
        for (request, reply) in requests.into_iter().zip(replies) {
            self.note(request, reply);
        }
    }

    /// Repeats a request without a response.
    async fn repeat_unanswered(&mut self) {
        if let Some(request) = self.unanswered.pop() {
            let reply = self.world.send(&request).await;
            self.note(request, reply);
        }
    }

    /// Repeats a request that had a response, which must be the same.
    async fn repeat_answered(&mut self, seed: u64) {
        if self.answered.is_empty() {
            return;
        }
        let (request, first) = &self.answered[self.rng.usize(0..self.answered.len())];
        let Some(again) = self.world.send(request).await else {
            return;
        };
        assert!(
            again.replayed,
            "seed {seed}: a repeat does not say that it is one"
        );
        // A message that could not be read has an error in place of its id.
        for (first, again) in first.messages.iter().zip(&again.messages) {
            assert!(
                again.is_none() || again == first,
                "seed {seed}: {first:?} is {again:?} when its request is repeated"
            );
        }
    }

    /// Records what a client learned about its messages: that they were accepted, or nothing.
    fn note(&mut self, request: Request, reply: Option<Reply>) {
        let Some(reply) = reply else {
            self.crashes += 1;
            self.unanswered.push(request);
            return;
        };
        for (message, count) in reply.messages.iter().flatten() {
            let known = self.accepted.entry(*message).or_default();
            *known = (*known).max(*count);
        }
        if reply.is_complete() {
            self.answered.push((request, reply));
        } else {
            self.unanswered.push(request);
        }
    }

    fn any_delivery(&mut self) -> Option<DeliveryId> {
        let count = self.accepted.len();
        let (message, fan_out) = self.accepted.iter().nth(if count == 0 {
            0
        } else {
            self.rng.usize(0..count)
        })?;
        Some(DeliveryId {
            message: *message,
            position: self.rng.u16(0..*fan_out),
        })
    }

    async fn redeliver(&mut self) {
        let Some(id) = self.any_delivery() else {
            return;
        };
        let force = self.rng.bool();
        let world = &self.world;
        let reopening = async {
            let delivery = world
                .store
                .delivery(world.organization.id, id)
                .await
                .ok()??;
            world
                .dispatcher
                .redeliver(delivery, Trigger::Manual, force)
                .await
                .ok()
        };
        // Half of the time a worker runs at the same moment.
        if self.rng.bool() {
            tokio::join!(world.invoke(reopening), world.poll_worker());
        } else {
            world.invoke(reopening).await;
        }
        // Whether it took effect may be unknown. It counts as a budget in any case, and the final
        // state is read again.
        *self.reopened.entry(id).or_default() += 1;
        self.finished.remove(&id);
    }

    async fn cancel(&mut self) {
        let Some(id) = self.any_delivery() else {
            return;
        };
        let world = &self.world;
        let cancelling = async {
            let delivery = world
                .store
                .delivery(world.organization.id, id)
                .await
                .ok()??;
            world.dispatcher.cancel(delivery).await.ok()
        };
        world.invoke(cancelling).await;
    }

    /// Pauses a destination, with or without an end, or resumes a paused one.
    async fn pause_or_resume(&mut self) {
        let id = self.world.destinations[self.rng.usize(0..self.world.destinations.len())];
        let minutes = self.rng.bool().then(|| self.rng.u64(1..20));
        self.world
            .invoke(self.world.pause_or_resume(id, minutes))
            .await;
    }

    /// Lowers the limits of a destination that has some, or raises them again.
    async fn change_limits(&mut self) {
        let (position, limit) = (self.rng.usize(1..3), self.rng.u32(1..=MAX_PER_SECOND));
        self.world
            .invoke(self.world.change_limits(position, limit))
            .await;
    }

    /// Disables a destination, or enables a disabled one.
    async fn disable_or_enable(&mut self) {
        let id = self.world.destinations[self.rng.usize(0..self.world.destinations.len())];
        self.world.invoke(self.world.disable_or_enable(id)).await;
    }

    /// Starts a backfill for a destination.
    async fn backfill(&mut self) {
        let id = self.world.destinations[self.rng.usize(0..self.world.destinations.len())];
        self.world.invoke(self.world.backfill(id)).await;
    }

    /// Works on a job, which may reopen deliveries and add some.
    async fn work_on_jobs(&mut self) -> usize {
        let count = boxed(|| self.world.poll_jobs()).await;
        if count > 0 {
            self.finished.clear();
            self.recount().await;
        }
        count
    }

    /// Counts the deliveries of each message again.
    async fn recount(&mut self) {
        for (message, count) in &mut self.accepted {
            let read = self
                .world
                .invoke(
                    self.world
                        .store
                        .message(self.world.organization.id, *message),
                )
                .await;
            if let Some(Ok(Some(deliveries))) = read {
                *count = (*count).max(u16::try_from(deliveries.len()).unwrap_or(u16::MAX));
            }
        }
    }

    /// Sends a message to any destination, which may have it already.
    async fn add(&mut self) {
        let Some(DeliveryId { message, .. }) = self.any_delivery() else {
            return;
        };
        let id = self.world.destinations[self.rng.usize(0..self.world.destinations.len())];
        self.adding.push((message, id));
        self.add_again().await;
    }

    /// Repeats the last addition without a response; repeating it must not add a second delivery.
    async fn add_again(&mut self) {
        let Some((message, id)) = self.adding.pop() else {
            return;
        };
        match self
            .world
            .invoke(self.world.add(message, id))
            .await
            .flatten()
        {
            Some(position) => {
                let count = self.accepted.entry(message).or_default();
                *count = (*count).max(position + 1);
            }
            None => self.adding.push((message, id)),
        }
    }

    /// Completes everything: repairs the first destination, polls, sweeps, and lets hours pass
    /// until nothing is unfinished.
    async fn run_dry(&mut self, seed: u64) {
        let first = self.world.destinations[0];
        self.world.receiver.mend(first);
        self.mended_after = self.world.receiver.sent().len();
        self.disabled_at = boxed(|| self.world.disabled_by_failures(first)).await;
        while !self.unanswered.is_empty() {
            self.repeat_unanswered().await;
        }
        while !self.adding.is_empty() {
            boxed(|| self.add_again()).await;
        }
        for id in self.world.destinations.clone() {
            boxed(|| self.world.invoke(self.world.enable(id))).await;
            boxed(|| self.world.invoke(self.world.resume(id))).await;
        }
        for round in 0..200 {
            while boxed(|| self.world.poll_worker()).await
                + boxed(|| self.world.poll_dead_letters()).await
                + self.work_on_jobs().await
                > 0
            {}
            self.look(seed).await;
            let expected: usize = self
                .accepted
                .values()
                .map(|count| usize::from(*count))
                .sum();
            let is_disabled = boxed(|| self.world.disabled_by_failures(first))
                .await
                .is_some();
            let jobs_are_over = self
                .world
                .jobs()
                .await
                .iter()
                .all(|job| job.status.is_over());
            if self.finished.len() == expected && !is_disabled && jobs_are_over {
                return;
            }
            tokio::time::sleep(Duration::from_secs(121)).await;
            self.world.monitor(None).await;
            if round % 10 == 9 {
                tokio::time::sleep(Duration::from_secs(7 * 3600)).await;
                self.world.monitor(Some(monitor::Reconcile::Hourly)).await;
            }
        }
        let jobs = self.world.jobs().await;
        panic!(
            "seed {seed}: something is never finished: {} of {:?}, {jobs:?}",
            self.finished.len(),
            self.accepted
        );
    }
}

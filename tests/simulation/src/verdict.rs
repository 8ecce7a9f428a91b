//! The guarantees, checked after every step and at the end.

use std::collections::BTreeSet;

use domain::delivery::{Delivery, DeliveryStatus, State};
use domain::id::DeliveryId;
use store::JobKind;

use crate::steps::ClientState;
use crate::world::{MAX_CONCURRENT, MAX_PER_SECOND};

/// What happened in one seed. Two runs of the same seed have equal tallies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that were answered with 202.
    pub messages: usize,
    /// The deliveries of these messages.
    pub deliveries: usize,
    /// The deliveries that succeeded.
    pub succeeded: usize,
    /// Requests that reached the receiver.
    pub sent: usize,
    /// Requests that were cut off, or answered with an error that asks to repeat them.
    pub crashes: u32,
    /// How often a destination recovered and its missed deliveries were replayed.
    pub replays: usize,
    /// Jobs that backfilled a destination.
    pub backfills: usize,
    /// A digest of what reached the receiver, in order.
    pub digest: u64,
}

impl Tally {
    /// Adds the results of another seed. The digest stays that of the first.
    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.succeeded += other.succeeded;
        self.sent += other.sent;
        self.crashes += other.crashes;
        self.replays += other.replays;
        self.backfills += other.backfills;
    }
}

impl ClientState {
    fn deliveries(&self) -> Vec<DeliveryId> {
        let of = |(message, count): (&_, &u16)| {
            (0..*count)
                .map(|position| DeliveryId {
                    message: *message,
                    position,
                })
                .collect::<Vec<_>>()
        };
        self.accepted.iter().flat_map(of).collect()
    }

    /// Checks that nothing was sent for a delivery that was finished before the step and not
    /// reopened since. Faults are off during the check.
    pub(crate) async fn look(&mut self, seed: u64) {
        let sent = self.world.receiver.sent();
        for request in &sent[self.looked_at..] {
            assert!(
                !self.finished.contains(&request.delivery),
                "seed {seed}: {request:?} was sent after its delivery had finished"
            );
        }
        self.looked_at = sent.len();
        let ids = self.deliveries();
        let keys: Vec<_> = ids
            .iter()
            .map(|id| (self.world.organization.id, *id))
            .collect();
        // With faults a check may fail; the next one covers it.
        let Some(Ok(deliveries)) = self.world.invoke(self.world.store.deliveries(&keys)).await
        else {
            return;
        };
        for (id, delivery) in ids.into_iter().zip(deliveries) {
            let delivery = delivery
                .unwrap_or_else(|| panic!("seed {seed}: {id} was accepted and is not there"));
            if delivery.status().is_finished() {
                self.finished.insert(id);
            } else {
                self.finished.remove(&id);
            }
        }
    }
}

/// Checks the end state. Panics if a guarantee was broken.
pub(crate) async fn verdict(life: &ClientState, seed: u64) -> Tally {
    let sent = life.world.receiver.sent();
    let most = life.world.receiver.most_at_once(life.world.destinations[1]);
    assert!(
        most <= MAX_CONCURRENT,
        "seed {seed}: {most} requests ran at once at a destination that takes {MAX_CONCURRENT}"
    );
    let most = life
        .world
        .receiver
        .most_within_a_second(life.world.destinations[2]);
    let limit = usize::try_from(MAX_PER_SECOND).unwrap_or_default() + 1;
    assert!(
        most <= limit,
        "seed {seed}: {most} requests began within a second at a destination that takes \
         {MAX_PER_SECOND}"
    );
    for message in life.accepted.keys() {
        let deliveries = life
            .world
            .store
            .message(life.world.organization.id, *message)
            .await
            .expect("the weather is fine");
        let deliveries = deliveries.unwrap_or_else(|| panic!("seed {seed}: {message} is gone"));
        let destinations: BTreeSet<_> = deliveries
            .iter()
            .map(|delivery| delivery.destination)
            .collect();
        assert_eq!(
            destinations.len(),
            deliveries.len(),
            "seed {seed}: {message} has two deliveries to one destination"
        );
    }
    let jobs = life.world.jobs().await;
    let count = |kind| jobs.iter().filter(|job| job.kind == kind).count();
    let (replays, backfills) = (count(JobKind::Replay), count(JobKind::Backfill));
    let mut tally = Tally {
        messages: life.accepted.len(),
        sent: sent.len(),
        crashes: life.crashes,
        replays,
        backfills,
        ..Tally::default()
    };
    for id in life.deliveries() {
        let delivery = life
            .world
            .store
            .delivery(life.world.organization.id, id)
            .await
            .expect("the weather is fine");
        let delivery = delivery.unwrap_or_else(|| panic!("seed {seed}: {id} is gone"));
        assert!(
            delivery.status().is_finished(),
            "seed {seed}: {id} is {:?}",
            delivery.status()
        );
        let reached: Vec<_> = sent
            .iter()
            .filter(|request| request.delivery == id)
            .collect();
        let succeeded = delivery.status() == DeliveryStatus::Succeeded;
        assert!(
            !succeeded || reached.iter().any(|request| request.accepted),
            "seed {seed}: {id} succeeded and no receiver has it"
        );
        came_back(life, &delivery, seed);
        let reopened = life.reopened.get(&id).copied().unwrap_or_default();
        let budgets = 1 + reopened + u32::try_from(replays).unwrap_or(u32::MAX);
        let recorded = delivery.attempts;
        assert!(
            recorded <= budgets * 6,
            "seed {seed}: {id} has {recorded} attempts in {budgets} budgets"
        );
        let (attempts, _) = life
            .world
            .store
            .attempts(&delivery)
            .await
            .expect("the weather is fine");
        let in_order = attempts.is_sorted_by_key(|attempt| attempt.number);
        assert!(
            in_order,
            "seed {seed}: {id} numbers its attempts {:?}",
            attempts.iter().map(|a| a.number).collect::<Vec<_>>()
        );
        tally.deliveries += 1;
        tally.succeeded += usize::from(succeeded);
    }
    tally.digest = sent.iter().fold(0xcbf2_9ce4_8422_2325, |digest, request| {
        let line = format!(
            "{}{}{}",
            request.delivery, request.attempt_number, request.accepted
        );
        line.bytes().fold(digest, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    });
    tally
}

/// Checks that what the first destination missed before its receiver was repaired has reached it
/// exactly once.
fn came_back(life: &ClientState, delivery: &Delivery, seed: u64) {
    let id = delivery.id;
    if delivery.destination != life.world.destinations[0] {
        return;
    }
    if let (Some(disabled_at), State::Skipped { finished_at, .. }) =
        (life.disabled_at, &delivery.state)
    {
        assert!(
            *finished_at < disabled_at,
            "seed {seed}: {id} was skipped while failures had disabled its destination, and not \
             replayed"
        );
    }
    let sent = life.world.receiver.sent();
    let arrived = sent[life.mended_after..]
        .iter()
        .filter(|request| request.delivery == id && request.accepted)
        .count();
    assert!(
        arrived <= 1,
        "seed {seed}: {id} was sent {arrived} times to a receiver that takes everything"
    );
}

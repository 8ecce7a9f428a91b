//! The state that one process keeps about destinations with limits: when it sent the last request,
//! and which deliveries wait for a slot.
//!
//! Turns, starts and slots are in the table and apply to all processes. If a process is delayed
//! after it took several starts, their requests are ready at the same time, so the process also
//! keeps a distance between requests. A process that frees a slot **calls** a delivery that waits
//! for one: it sends the task of the delivery before the expected time, so that the slot is used.
//! This state is lost when the process ends. A delivery that is not called returns at its expected
//! time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::id::{DeliveryId, DestinationId};
use queue::Task;
use telemetry::TraceContext;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How much closer together two requests may be than the limit permits, or half the step if that is
/// longer. A slightly late request therefore does not delay the requests after it.
const SLACK_MIN: Duration = Duration::from_millis(50);
/// If attempts take less than this, deliveries are called before a slot is free.
const SHORT_ATTEMPT: Duration = Duration::from_secs(1);
/// The most deliveries of one destination that a process keeps in line. Further deliveries return
/// at their expected times.
const LINE_MAX: usize = 5_000;
/// The most deliveries of all destinations that a process keeps in line.
const LINES_MAX: usize = 50_000;
/// The number of destinations above which the state of idle destinations is dropped.
const DESTINATIONS: usize = 1_000;
/// A destination is idle if no request was sent for this long and no delivery waits.
const IDLE: Duration = Duration::from_secs(10);

/// The flows of the destinations with limits that this process has delivered to. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Flows(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    flows: HashMap<DestinationId, Flow>,
    /// The number of deliveries in all lines.
    lined_up: usize,
}

#[derive(Debug, Default)]
struct Flow {
    /// The pace at which requests are sent. An attempt takes its lease after its start, which may
    /// bring its request closer to another one.
    sent: Pace,
    /// The deliveries that wait for a slot, oldest first, with the trace that each task continues.
    line: BTreeMap<DeliveryId, (Task, Option<TraceContext>)>,
    /// How many deliveries are looking for a slot.
    looking: u32,
    /// Wakes a delivery that is looking for a slot when this process frees one.
    bell: Arc<Notify>,
    /// When a delivery last joined the line or was called from it.
    used: Option<Instant>,
}

/// Keeps a distance between successive events.
#[derive(Debug, Default)]
struct Pace {
    /// When the previous event was due. In the future if that event is still waiting.
    last: Option<Instant>,
}

impl Pace {
    /// Returns how long the next event has to wait so that it is, on average, `step` after the
    /// previous one.
    fn next(&mut self, step: Duration) -> Duration {
        let now = Instant::now();
        let slack = (step / 2).max(SLACK_MIN);
        let due = self.last.map_or(now, |last| now.max(last + step));
        self.last = Some(due);
        due.saturating_duration_since(now).saturating_sub(slack)
    }
}

/// A delivery that is looking for a slot, until this is dropped.
pub(crate) struct SlotSearch {
    flows: Flows,
    destination: DestinationId,
    bell: Arc<Notify>,
}

impl SlotSearch {
    /// Waits until this process frees a slot, for at most `most`.
    pub(crate) async fn wait(&self, most: Duration) {
        drop(tokio::time::timeout(most, self.bell.notified()).await);
    }
}

impl Drop for SlotSearch {
    fn drop(&mut self) {
        if let Some(flow) = self.flows.state().flows.get_mut(&self.destination) {
            flow.looking -= 1;
        }
    }
}

impl Flows {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until an admitted attempt may send its request, so that requests of this process are
    /// on average `step` apart.
    pub(crate) async fn send(&self, destination: DestinationId, step: Duration) {
        let wait = self.state().flow(destination).sent.next(step);
        tokio::time::sleep(wait).await;
    }

    /// Registers a delivery that looks for a slot.
    pub(crate) fn look(&self, destination: DestinationId) -> SlotSearch {
        let mut state = self.state();
        let flow = state.flow(destination);
        flow.looking += 1;
        SlotSearch {
            flows: self.clone(),
            destination,
            bell: Arc::clone(&flow.bell),
        }
    }

    /// Adds a delivery that waits for a slot to the line. Its task is sent when a slot is free.
    pub(crate) fn add_to_line(&self, task: Task, cause: Option<TraceContext>) {
        let mut state = self.state();
        if state.lined_up >= LINES_MAX {
            state.drop_oldest_line();
        }
        let flow = state.flow(task.destination);
        flow.used = Some(Instant::now());
        let line = &mut flow.line;
        let before = line.len();
        line.insert(task.delivery, (task, cause));
        if line.len() > LINE_MAX {
            line.pop_last();
        }
        let added = line.len() - before;
        state.lined_up += added;
    }

    /// Removes a delivery that has a slot from the line.
    pub(crate) fn remove_from_line(&self, destination: DestinationId, delivery: DeliveryId) {
        let mut state = self.state();
        if state
            .flows
            .get_mut(&destination)
            .is_some_and(|flow| flow.line.remove(&delivery).is_some())
        {
            state.lined_up -= 1;
        }
    }

    /// Records that one of `slots` slots became free after an attempt that took `took`. Returns
    /// the tasks to send. While attempts are short, about one delivery looks for each slot, so
    /// that a free slot is used before a new task has passed through the queue.
    pub(crate) fn freed(
        &self,
        destination: DestinationId,
        slots: u32,
        took: Duration,
    ) -> Vec<(Task, Option<TraceContext>)> {
        let mut state = self.state();
        let Some(flow) = state.flows.get_mut(&destination) else {
            return Vec::new();
        };
        flow.used = Some(Instant::now());
        flow.bell.notify_one();
        let wanted = match flow.looking {
            0 if took < SHORT_ATTEMPT => 2,
            0 => 1,
            looking => u32::from(took < SHORT_ATTEMPT && looking <= slots),
        };
        let called: Vec<_> = (0..wanted)
            .map_while(|_| flow.line.pop_first())
            .map(|(_, called)| called)
            .collect();
        state.lined_up -= called.len();
        called
    }
}

impl State {
    /// Drops the line that has not been used for the longest time, for example because its
    /// destination has no limit any more. Its deliveries return by themselves.
    fn drop_oldest_line(&mut self) {
        let lines = self.flows.values_mut().filter(|flow| !flow.line.is_empty());
        if let Some(oldest) = lines.min_by_key(|flow| flow.used) {
            self.lined_up -= oldest.line.len();
            oldest.line.clear();
        }
    }

    fn flow(&mut self, destination: DestinationId) -> &mut Flow {
        if self.flows.len() > DESTINATIONS && !self.flows.contains_key(&destination) {
            let is_known = |flow: &Flow| {
                flow.looking > 0
                    || !flow.line.is_empty()
                    || flow.sent.last.is_some_and(|at| at.elapsed() < IDLE)
            };
            self.flows.retain(|_, flow| is_known(flow));
        }
        self.flows.entry(destination).or_default()
    }
}

#[cfg(test)]
mod tests {
    use domain::id::IdMint;
    use domain::{Clock, Random, Timestamp};

    use super::*;

    const TENTH: Duration = Duration::from_millis(100);

    fn mint() -> IdMint {
        let clock = Clock::new(|| Timestamp::from_millis(1_764_000_000_000));
        IdMint::new([7; 32], clock, Random::new(|bytes| bytes.fill(7)))
    }

    /// Sends `count` requests, each after the one before it, and returns when each was sent, in
    /// milliseconds.
    async fn sends(
        flows: &Flows,
        destination: DestinationId,
        step: Duration,
        count: usize,
    ) -> Vec<u128> {
        let began = Instant::now();
        let mut sent = Vec::new();
        for _ in 0..count {
            flows.send(destination, step).await;
            sent.push(began.elapsed().as_millis());
        }
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_late_together_are_sent_one_after_the_other() {
        let (flows, ids) = (Flows::default(), mint());
        let destination: DestinationId = ids.mint(ids.organization(), 1);
        assert_eq!(
            sends(&flows, destination, TENTH, 5).await,
            [0, 50, 150, 250, 350]
        );
        tokio::time::sleep(Duration::from_secs(10)).await;
        let later = sends(&flows, destination, TENTH, 3).await;
        assert_eq!(
            later,
            [0, 50, 150],
            "what was not used meanwhile is not caught up"
        );
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(sends(&flows, destination, 100 * TENTH, 1).await, [0]);
        let raised = sends(&flows, destination, TENTH, 3).await;
        assert_eq!(raised, [100, 200, 300], "a raised limit holds at once");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let thousand = sends(&flows, destination, Duration::from_millis(1), 1_200).await;
        let within_a_second = thousand.iter().filter(|at| **at < 1_000).count();
        assert!(
            (1_000..=1_060).contains(&within_a_second),
            "{within_a_second}"
        );
        let together = (0..4).map(|_| flows.state().flow(destination).sent.next(TENTH).as_millis());
        assert_eq!(
            together.collect::<Vec<_>>(),
            [100, 200, 300, 400],
            "those that wait at once"
        );
    }

    fn task(ids: &IdMint, number: u64) -> Task {
        let organization = ids.organization();
        let message = ids.mint(organization, 1);
        let delivery = DeliveryId {
            message,
            position: u16::try_from(number).unwrap_or(u16::MAX),
        };
        Task {
            organization,
            delivery,
            destination: ids.mint(organization, 1),
            generation: 1,
            payload_item: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_slot_calls_the_oldest_that_wait_and_no_more_than_can_use_it() {
        let (flows, ids) = (Flows::default(), mint());
        let first = task(&ids, 0);
        for position in [3, 1, 2, 0] {
            let delivery = DeliveryId {
                position,
                ..first.delivery
            };
            flows.add_to_line(
                Task {
                    delivery,
                    ..first.clone()
                },
                None,
            );
        }
        let again = Task {
            generation: 2,
            ..first.clone()
        };
        flows.add_to_line(again.clone(), None);
        let called = |took| {
            flows
                .freed(first.destination, 1, took)
                .iter()
                .map(|(task, _)| task.delivery.position)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            called(Duration::from_secs(2)),
            [0],
            "a long attempt ended: one is called"
        );
        assert_eq!(
            called(TENTH),
            [1, 2],
            "a short one: the next one looks for its slot beforehand"
        );
        let looking = [flows.look(first.destination), flows.look(first.destination)];
        assert!(called(TENTH).is_empty(), "enough of them look");
        drop(looking);
        flows.remove_from_line(
            first.destination,
            DeliveryId {
                position: 3,
                ..first.delivery
            },
        );
        assert!(called(TENTH).is_empty(), "no delivery waits");
        assert_eq!(flows.state().lined_up, 0);
    }
}

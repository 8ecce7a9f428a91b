//! What one process knows about the destinations with limits that it delivers to: when an attempt may start next, and which deliveries
//! wait for a place.
//!
//! The table gives turns and places to all processes together. A process that is held up for a moment would still start everything at
//! once whose turn came meanwhile, so it **spaces** its own starts. And a place that comes free lies idle until a delivery takes it,
//! so the process that frees one **calls** a delivery that it made wait. Nothing here has to survive the process: a delivery that is not
//! called returns when it is expected to start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::id::{DeliveryId, DestinationId};
use queue::Task;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Two may be this much closer than the limit says, or half the time between two starts if that is more: one that is a little late
/// does not hold up those after it.
const SLACK_MIN: Duration = Duration::from_millis(50);
/// While attempts are shorter than this, deliveries look for a place before one is free.
const SHORT_ATTEMPT: Duration = Duration::from_secs(1);
/// The most deliveries that a process calls for one destination; those beyond that return by themselves.
const LINE_MAX: usize = 5_000;
/// The most of all destinations.
const LINES_MAX: usize = 50_000;
/// With more destinations than this, those that nothing is known about are forgotten.
const DESTINATIONS: usize = 1_000;

/// The flow of every destination with limits, as far as this process knows it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Flows(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    flows: HashMap<DestinationId, Flow>,
    /// How many deliveries stand in all lines together.
    lined_up: usize,
}

#[derive(Debug, Default)]
struct Flow {
    /// Attempts that begin.
    admitted: Pace,
    /// Requests that they send. In between they take their leases, which may bring them closer to each other.
    sent: Pace,
    /// Deliveries that wait for a place, oldest first.
    line: BTreeMap<DeliveryId, Task>,
    /// How many look for a place at this moment.
    looking: u32,
    /// Rings when a place comes free.
    bell: Arc<Notify>,
}

/// Keeps the distance between things that happen one after the other.
#[derive(Debug, Default)]
struct Pace {
    /// When the next one happens, if all keep the distance that the limit says.
    next: Option<Instant>,
}

impl Pace {
    /// Lets one happen now, `step` after the one before on average; or returns how long to wait before asking again.
    fn step(&mut self, step: Duration) -> Result<(), Duration> {
        let now = Instant::now();
        let next = self.next.unwrap_or(now);
        let wait = next.saturating_duration_since(now).saturating_sub((step / 2).max(SLACK_MIN));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.next = Some(next.max(now) + step);
        Ok(())
    }
}

/// A delivery that looks for a place, until it is dropped.
pub(crate) struct Looking {
    flows: Flows,
    destination: DestinationId,
    bell: Arc<Notify>,
}

impl Looking {
    /// Waits until this process frees a place, and no longer than `most`.
    pub(crate) async fn wait(&self, most: Duration) {
        drop(tokio::time::timeout(most, self.bell.notified()).await);
    }
}

impl Drop for Looking {
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

    /// Admits an attempt, `step` after the one before on average; or returns how long to wait before asking again.
    pub(crate) fn admit(&self, destination: DestinationId, step: Duration) -> Result<(), Duration> {
        self.state().flow(destination).admitted.step(step)
    }

    /// Waits until an attempt that was admitted may send its request: what happened in between has brought it closer to the one before.
    pub(crate) async fn send(&self, destination: DestinationId, step: Duration) {
        loop {
            let sent = self.state().flow(destination).sent.step(step);
            match sent {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Begins to look for a place.
    pub(crate) fn look(&self, destination: DestinationId) -> Looking {
        let mut state = self.state();
        let flow = state.flow(destination);
        flow.looking += 1;
        Looking { flows: self.clone(), destination, bell: Arc::clone(&flow.bell) }
    }

    /// Lines a delivery up that waits for a place: it is called by this task when one is free.
    pub(crate) fn line_up(&self, task: Task) {
        let mut state = self.state();
        if state.lined_up >= LINES_MAX {
            return;
        }
        let line = &mut state.flow(task.destination).line;
        let before = line.len();
        line.insert(task.delivery, task);
        if line.len() > LINE_MAX {
            line.pop_last();
        }
        let added = line.len() - before;
        state.lined_up += added;
    }

    /// Takes a delivery out of its line: it has a place.
    pub(crate) fn step_out(&self, destination: DestinationId, delivery: DeliveryId) {
        let mut state = self.state();
        if state.flows.get_mut(&destination).is_some_and(|flow| flow.line.remove(&delivery).is_some()) {
            state.lined_up -= 1;
        }
    }

    /// A place of so many came free after an attempt that took so long. Returns the tasks of those to call: while attempts are short,
    /// about one delivery looks for each place, so that it need not wait for a task to pass through the queue.
    pub(crate) fn freed(&self, destination: DestinationId, places: u32, took: Duration) -> Vec<Task> {
        let mut state = self.state();
        let Some(flow) = state.flows.get_mut(&destination) else { return Vec::new() };
        flow.bell.notify_one();
        let wanted = match flow.looking {
            0 if took < SHORT_ATTEMPT => 2,
            0 => 1,
            looking => u32::from(took < SHORT_ATTEMPT && looking <= places),
        };
        let called: Vec<Task> = (0..wanted).map_while(|_| flow.line.pop_first()).map(|(_, task)| task).collect();
        state.lined_up -= called.len();
        called
    }
}

impl State {
    fn flow(&mut self, destination: DestinationId) -> &mut Flow {
        if self.flows.len() > DESTINATIONS && !self.flows.contains_key(&destination) {
            let now = Instant::now();
            let is_known = |flow: &Flow| {
                flow.looking > 0
                    || !flow.line.is_empty()
                    || [&flow.admitted, &flow.sent].iter().any(|pace| pace.next.is_some_and(|at| at > now))
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

    /// Starts as many attempts as there are, each as soon as it may; answers when each started, in milliseconds.
    async fn starts(flows: &Flows, destination: DestinationId, step: Duration, count: usize) -> Vec<u128> {
        let began = Instant::now();
        let mut starts = Vec::new();
        while starts.len() < count {
            match flows.admit(destination, step) {
                Ok(()) => starts.push(began.elapsed().as_millis()),
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
        starts
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_are_late_together_start_one_after_the_other() {
        let (flows, ids) = (Flows::default(), mint());
        let organization = ids.organization();
        let destination: DestinationId = ids.mint(organization, 1);
        assert_eq!(starts(&flows, destination, TENTH, 5).await, [0, 50, 150, 250, 350]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(starts(&flows, destination, TENTH, 3).await, [0, 50, 150], "what was not used meanwhile is not caught up");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let thousand = starts(&flows, destination, Duration::from_millis(1), 1_200).await;
        let within_a_second = thousand.iter().filter(|at| **at < 1_000).count();
        assert!((1_000..=1_060).contains(&within_a_second), "{within_a_second}");
    }

    fn task(ids: &IdMint, number: u64) -> Task {
        let organization = ids.organization();
        let message = ids.mint(organization, 1);
        let delivery = DeliveryId { message, position: u16::try_from(number).unwrap_or(u16::MAX) };
        Task { organization, delivery, destination: ids.mint(organization, 1), generation: 1, payload_item: false }
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_place_calls_the_oldest_that_wait_and_no_more_than_can_use_it() {
        let (flows, ids) = (Flows::default(), mint());
        let first = task(&ids, 0);
        for position in [3, 1, 2, 0] {
            let delivery = DeliveryId { position, ..first.delivery };
            flows.line_up(Task { delivery, ..first.clone() });
        }
        let again = Task { generation: 2, ..first.clone() };
        flows.line_up(again.clone());
        let called = |took| flows.freed(first.destination, 1, took).iter().map(|task| task.delivery.position).collect::<Vec<_>>();
        assert_eq!(called(Duration::from_secs(2)), [0], "a long attempt ended: one is called");
        assert_eq!(called(TENTH), [1, 2], "a short one: the next one looks for its place beforehand");
        let looking = [flows.look(first.destination), flows.look(first.destination)];
        assert!(called(TENTH).is_empty(), "enough of them look");
        drop(looking);
        flows.step_out(first.destination, DeliveryId { position: 3, ..first.delivery });
        assert!(called(TENTH).is_empty(), "no delivery waits");
        assert_eq!(flows.state().lined_up, 0);
    }
}

//! Limits the memory of a worker by bytes instead of by the number of tasks.
//!
//! Before an attempt reads a payload, it **reserves** the memory that it will use, and it returns
//! that memory when it ends. Reservations are granted in order, with two exceptions, so that one
//! organization does not delay others: an organization that already holds memory waits if it would
//! hold more than half, and small payloads have a separate share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::id::OrganizationId;
use tokio::sync::oneshot;

/// The largest payload that counts as small.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// One part in this many of the budget is reserved for small payloads.
const SMALL_PART: u64 = 4;

/// The memory that a worker's attempts may hold together. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    small: Pool,
    large: Pool,
}

impl Memory {
    /// Creates a budget of this many bytes.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let small = bytes / SMALL_PART;
        Self {
            small: Pool::of(small, small / 2),
            large: Pool::of(bytes - small, bytes / 2),
        }
    }

    /// Waits until `organization` may hold `bytes`. A reservation larger than the budget gets the
    /// whole budget for itself.
    pub async fn reserve(&self, organization: OrganizationId, bytes: u64) -> Reserved {
        let pool = if bytes <= SMALL_BYTES_MAX {
            &self.small
        } else {
            &self.large
        };
        pool.reserve(organization, bytes).await
    }
}

/// Memory that is reserved for an attempt until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    pool: Pool,
    organization: OrganizationId,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.pool.state().give_back(self.organization, self.bytes);
        self.pool.move_up();
    }
}

/// A position in the queue of reservations. When it is dropped, later reservations may be granted.
struct Line<'p>(&'p Pool);

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.0.move_up();
    }
}

#[derive(Clone, Debug)]
struct Pool {
    bytes_max: u64,
    /// The most that one organization holds, except by a single reservation.
    share_max: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: u64,
    held: HashMap<OrganizationId, u64>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    organization: OrganizationId,
    bytes: u64,
    waiter: oneshot::Sender<Reserved>,
}

impl State {
    fn take(&mut self, organization: OrganizationId, bytes: u64) {
        self.free -= bytes;
        *self.held.entry(organization).or_default() += bytes;
    }

    fn give_back(&mut self, organization: OrganizationId, bytes: u64) {
        self.free += bytes;
        if let Some(held) = self.held.get_mut(&organization) {
            *held -= bytes;
            if *held == 0 {
                self.held.remove(&organization);
            }
        }
    }

    fn exceeds_its_share(&self, organization: OrganizationId, bytes: u64, share_max: u64) -> bool {
        self.held
            .get(&organization)
            .is_some_and(|held| held + bytes > share_max)
    }
}

impl Pool {
    fn of(bytes_max: u64, share_max: u64) -> Self {
        let state = State {
            free: bytes_max,
            held: HashMap::new(),
            waiting: VecDeque::new(),
        };
        Self {
            bytes_max,
            share_max,
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reserve(&self, organization: OrganizationId, bytes: u64) -> Reserved {
        let bytes = bytes.min(self.bytes_max);
        loop {
            let (waiter, reserved) = oneshot::channel();
            self.state().waiting.push_back(Waiting {
                organization,
                bytes,
                waiter,
            });
            // Also dropped when the wait is cancelled, because the next reservation may then be
            // granted.
            let _line = Line(self);
            self.move_up();
            if let Ok(reserved) = reserved.await {
                return reserved;
            }
        }
    }

    /// Grants the waiting reservations that fit.
    fn move_up(&self) {
        let granted = {
            let mut state = self.state();
            self.grant(&mut state)
        };
        // Sent outside the lock: a reservation whose waiter is gone is returned by its own drop,
        // which locks again.
        for (waiter, reserved) in granted {
            drop(waiter.send(reserved));
        }
    }

    /// Takes the waiting reservations that can be granted. If one does not fit, those after it wait
    /// too, even if they would fit. Reservations whose organization already holds its share are
    /// passed over.
    fn grant(&self, state: &mut State) -> Vec<(oneshot::Sender<Reserved>, Reserved)> {
        let mut granted = Vec::new();
        let mut passed_over = VecDeque::new();
        while let Some(next) = state.waiting.pop_front() {
            let Waiting {
                organization,
                bytes,
                ..
            } = next;
            if next.waiter.is_closed() {
                continue;
            }
            if state.exceeds_its_share(organization, bytes, self.share_max) {
                passed_over.push_back(next);
                continue;
            }
            if bytes > state.free {
                state.waiting.push_front(next);
                break;
            }
            state.take(organization, bytes);
            granted.push((
                next.waiter,
                Reserved {
                    pool: self.clone(),
                    organization,
                    bytes,
                },
            ));
        }
        passed_over.append(&mut state.waiting);
        state.waiting = passed_over;
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn organization(number: u8) -> OrganizationId {
        let id = format!("org_0{}", char::from(b'0' + number).to_string().repeat(25));
        id.parse().expect("an id")
    }

    async fn at_once(memory: &Memory, number: u8, bytes: u64) -> Option<Reserved> {
        tokio::time::timeout(
            Duration::from_millis(20),
            memory.reserve(organization(number), bytes),
        )
        .await
        .ok()
    }

    #[tokio::test]
    async fn no_more_is_held_than_the_budget_and_what_is_given_back_is_granted() {
        let memory = Memory::of(160 * MIB);
        let first = at_once(&memory, 1, 60 * MIB).await.expect("there is room");
        let second = at_once(&memory, 2, 60 * MIB).await.expect("there is room");
        assert!(at_once(&memory, 3, 60 * MIB).await.is_none());
        let waiting = tokio::spawn({
            let memory = memory.clone();
            async move { memory.reserve(organization(3), 60 * MIB).await }
        });
        drop(first);
        drop(waiting.await.expect("it does not panic"));
        drop(second);
        assert!(
            at_once(&memory, 4, 999 * MIB).await.is_some(),
            "what is too large has all of it"
        );
        assert!(
            at_once(&memory, 5, 120 * MIB).await.is_some(),
            "and gives it back"
        );
    }

    #[tokio::test]
    async fn an_organization_holds_half_at_most_and_waits_without_holding_up_others() {
        let memory = Memory::of(160 * MIB);
        let _first = at_once(&memory, 1, 50 * MIB).await.expect("there is room");
        let greedy = tokio::spawn({
            let memory = memory.clone();
            async move { memory.reserve(organization(1), 50 * MIB).await }
        });
        tokio::task::yield_now().await;
        let _second = at_once(&memory, 2, 50 * MIB)
            .await
            .expect("half is left for others");
        assert!(
            at_once(&memory, 1, MIB).await.is_some(),
            "small payloads have room of their own"
        );
        assert!(!greedy.is_finished());
        greedy.abort();
    }
}

//! Lets requests that are made at the same time share one call.
//!
//! A [`Coalescer`] starts a call at once when none is in progress. Requests that arrive during a
//! call are collected and start together when that call ends, when they fill a call, or after
//! [`WAIT_MAX`], whichever comes first. An idle system therefore never waits, and a busy one makes
//! fewer calls the busier it is.
//!
//! Each caller receives the outcome of its own request. A caller that goes away does not affect the
//! others: the call continues as long as one of its callers waits for it.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use futures_util::task::{self, ArcWake, AtomicWaker};
use tokio::sync::{Notify, Semaphore};

/// How long a request waits for the call in progress before it starts regardless. A call that hangs
/// delays the others by no more than this.
pub const WAIT_MAX: Duration = Duration::from_millis(20);

/// Makes one call for several requests, and returns one outcome for each, in their order.
type MakeCall<I, O> = Arc<dyn Fn(Vec<I>) -> BoxFuture<'static, Vec<O>> + Send + Sync>;

/// Collects requests of one kind into shared calls. Clones share them.
pub struct Coalescer<I, O> {
    make_call: MakeCall<I, O>,
    /// The capacity of one call.
    capacity: usize,
    /// Returns how much of a call's capacity a request takes.
    weigh: fn(&I) -> usize,
    /// The call that is being collected, if there is one.
    open: Arc<Mutex<Option<Open<I, O>>>>,
    /// Held by the call in progress.
    under_way: Arc<Semaphore>,
}

/// A call that has not started.
struct Open<I, O> {
    requests: Arc<Mutex<Vec<I>>>,
    weight: usize,
    is_full: Arc<Notify>,
    call: Call<O>,
}

/// A call and its outcomes, which all of its callers await.
type Call<O> = Shared<BoxFuture<'static, Arc<Vec<Mutex<Option<O>>>>>>;

impl<I: Send + 'static, O: Send + 'static> Coalescer<I, O> {
    /// Creates a coalescer whose calls take `capacity` requests each.
    ///
    /// `make_call` must answer with exactly one outcome for each request, in the order of the
    /// requests.
    pub fn new<F>(capacity: usize, make_call: impl Fn(Vec<I>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        Self::weighted(capacity, |_| 1, make_call)
    }

    /// Creates a coalescer whose requests take different amounts of a call's capacity. A request
    /// that is larger than the capacity gets a call of its own.
    pub fn weighted<F>(
        capacity: usize,
        weigh: fn(&I) -> usize,
        make_call: impl Fn(Vec<I>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        Self {
            make_call: Arc::new(move |requests| make_call(requests).boxed()),
            capacity,
            weigh,
            open: Arc::default(),
            under_way: Arc::new(Semaphore::new(1)),
        }
    }

    /// Makes a request, sharing a call with others, and returns its own outcome.
    pub async fn run(&self, request: I) -> O {
        let (position, call) = self.join(request);
        outcome(position, &call.await)
    }

    /// Makes several requests, sharing calls with others, and returns their outcomes in order.
    pub async fn run_all(&self, requests: impl IntoIterator<Item = I>) -> Vec<O> {
        let joined: Vec<_> = requests
            .into_iter()
            .map(|request| self.join(request))
            .collect();
        join_all(
            joined
                .into_iter()
                .map(async |(position, call)| outcome(position, &call.await)),
        )
        .await
    }

    /// Adds a request to the call that is being collected, or to a new one. Returns the call and
    /// the request's position in it.
    fn join(&self, request: I) -> (usize, Call<O>) {
        let weight = (self.weigh)(&request);
        let mut current = lock(&self.open);
        if current
            .as_ref()
            .is_some_and(|open| open.weight + weight > self.capacity)
            && let Some(full) = current.take()
        {
            full.is_full.notify_one();
        }
        let open = current.get_or_insert_with(|| self.open_call());
        open.weight += weight;
        let (call, position) = (open.call.clone(), {
            let mut requests = lock(&open.requests);
            requests.push(request);
            requests.len() - 1
        });
        if open.weight >= self.capacity
            && let Some(full) = current.take()
        {
            full.is_full.notify_one();
        }
        (position, call)
    }

    fn open_call(&self) -> Open<I, O> {
        let (requests, is_full) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let call = {
            let (requests, is_full) = (Arc::clone(&requests), Arc::clone(&is_full));
            let (open, under_way, make_call) = (
                Arc::clone(&self.open),
                Arc::clone(&self.under_way),
                Arc::clone(&self.make_call),
            );
            async move {
                // Lets everything that is ready add its requests too.
                yielded().await;
                let permit = tokio::select! {
                    biased;
                    permit = under_way.acquire_owned() => permit.ok(),
                    () = is_full.notified() => None,
                    () = tokio::time::sleep(WAIT_MAX) => None,
                };
                let taken = {
                    // No request can join once they are taken, because joining holds the same lock.
                    let mut current = lock(&open);
                    if current
                        .as_ref()
                        .is_some_and(|current| Arc::ptr_eq(&current.requests, &requests))
                    {
                        *current = None;
                    }
                    std::mem::take(&mut *lock(&requests))
                };
                let expected = taken.len();
                let outcomes = make_call(taken).await;
                drop(permit);
                assert_eq!(
                    outcomes.len(),
                    expected,
                    "a shared call answers each of its requests"
                );
                Arc::new(
                    outcomes
                        .into_iter()
                        .map(|outcome| Mutex::new(Some(outcome)))
                        .collect(),
                )
            }
        };
        Open {
            requests,
            weight: 0,
            is_full,
            call: call.boxed().shared(),
        }
    }
}

/// Waits until everything else that is ready has run.
///
/// A shared future is polled by each of its callers, which would end tokio's `yield_now` as soon as
/// the second caller joins. This one ends when the runtime wakes it.
async fn yielded() {
    let turn = Arc::new(Turn::default());
    let waker = task::waker(Arc::clone(&turn));
    let mut yielding = pin!(tokio::task::yield_now());
    if yielding
        .poll_unpin(&mut Context::from_waker(&waker))
        .is_ready()
    {
        return;
    }
    poll_fn(|context| {
        turn.waits.register(context.waker());
        match turn.came.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// The turn of a future that has yielded.
#[derive(Default)]
struct Turn {
    came: AtomicBool,
    waits: AtomicWaker,
}

impl ArcWake for Turn {
    fn wake_by_ref(turn: &Arc<Self>) {
        turn.came.store(true, Ordering::Release);
        turn.waits.wake();
    }
}

/// Takes the outcome at a position. Each caller does this once.
fn outcome<O>(position: usize, outcomes: &[Mutex<Option<O>>]) -> O {
    lock(&outcomes[position])
        .take()
        .expect("each position of a call has one caller")
}

/// Locks a mutex. Poisoning is ignored, because no code panics while it holds the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<I, O> Clone for Coalescer<I, O> {
    fn clone(&self) -> Self {
        Self {
            make_call: Arc::clone(&self.make_call),
            capacity: self.capacity,
            weigh: self.weigh,
            open: Arc::clone(&self.open),
            under_way: Arc::clone(&self.under_way),
        }
    }
}

impl<I, O> fmt::Debug for Coalescer<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    /// The requests of each call, in the order in which the calls began.
    type Calls = Arc<Mutex<Vec<Vec<u32>>>>;

    /// A coalescer whose calls take 10 ms and double numbers.
    fn doubling(capacity: usize) -> (Coalescer<u32, u32>, Calls) {
        let calls = Calls::default();
        let made = Arc::clone(&calls);
        let coalescer = Coalescer::new(capacity, move |numbers: Vec<u32>| {
            lock(&made).push(numbers.clone());
            async move {
                sleep(Duration::from_millis(10)).await;
                numbers.into_iter().map(|number| number * 2).collect()
            }
        });
        (coalescer, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_alone_does_not_wait() {
        let (coalescer, calls) = doubling(10);
        let began = Instant::now();
        assert_eq!(coalescer.run(4).await, 8);
        assert_eq!(began.elapsed(), Duration::from_millis(10));
        assert_eq!(*lock(&calls), [vec![4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_arrive_during_a_call_share_the_next_one_and_have_their_own_outcomes() {
        let (coalescer, calls) = doubling(10);
        let early = tokio::spawn({
            let coalescer = coalescer.clone();
            async move { coalescer.run(1).await }
        });
        sleep(Duration::from_millis(5)).await;
        let late: Vec<_> = (2..6)
            .map(|number| {
                let coalescer = coalescer.clone();
                tokio::spawn(async move { (number, coalescer.run(number).await) })
            })
            .collect();
        for outcome in join_all(late).await {
            let (number, doubled) = outcome.unwrap();
            assert_eq!(doubled, number * 2);
        }
        assert_eq!(early.await.unwrap(), 2);
        assert_eq!(*lock(&calls), [vec![1], vec![2, 3, 4, 5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_one_task_makes_at_the_same_time_go_together() {
        let (coalescer, calls) = doubling(10);
        let requests = (0..4).map(|number| coalescer.run(number));
        assert_eq!(join_all(requests).await, [0, 2, 4, 6]);
        assert_eq!(*lock(&calls), [vec![0, 1, 2, 3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_call_is_sent_at_once_while_another_is_in_progress() {
        let (coalescer, calls) = doubling(3);
        let began = Instant::now();
        assert_eq!(coalescer.run_all(0..6).await, [0, 2, 4, 6, 8, 10]);
        assert_eq!(began.elapsed(), Duration::from_millis(10));
        assert_eq!(*lock(&calls), [vec![0, 1, 2], vec![3, 4, 5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_dropped_does_not_affect_the_others() {
        let (coalescer, calls) = doubling(10);
        let leaving = tokio::time::timeout(Duration::from_millis(2), coalescer.run(1));
        let (left, stayed) = tokio::join!(leaving, coalescer.run(2));
        assert!(left.is_err());
        assert_eq!(stayed, 4);
        assert_eq!(*lock(&calls), [vec![1, 2]]);
        let alone = tokio::time::timeout(Duration::from_millis(2), coalescer.run(3)).await;
        assert!(alone.is_err());
        let began = Instant::now();
        assert_eq!(coalescer.run(4).await, 8);
        assert_eq!(
            began.elapsed(),
            Duration::from_millis(10),
            "a call without callers has ended"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_delays_the_others_by_a_bounded_time() {
        let hangs = Coalescer::new(10, |numbers: Vec<u32>| async move {
            if numbers.contains(&0) {
                std::future::pending::<()>().await;
            }
            numbers
        });
        let began = Instant::now();
        let hanging = tokio::spawn({
            let hangs = hangs.clone();
            async move { hangs.run(0).await }
        });
        sleep(Duration::from_millis(1)).await;
        assert_eq!(hangs.run(7).await, 7);
        assert!(
            began.elapsed() <= WAIT_MAX + Duration::from_millis(2),
            "{:?}",
            began.elapsed()
        );
        hanging.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn heavy_requests_fill_a_call_sooner() {
        let calls: Arc<Mutex<Vec<usize>>> = Arc::default();
        let made = Arc::clone(&calls);
        let coalescer = Coalescer::weighted(100, Vec::len, move |lists: Vec<Vec<u8>>| {
            lock(&made).push(lists.iter().map(Vec::len).sum());
            async move { lists.into_iter().map(|list| list.len()).collect() }
        });
        let lists = [60, 30, 20, 150, 10].map(|length| vec![0; length]);
        assert_eq!(coalescer.run_all(lists).await, [60, 30, 20, 150, 10]);
        assert_eq!(*lock(&calls), [90, 20, 150, 10]);
    }
}

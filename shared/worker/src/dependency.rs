//! Watches the services of Waybill that an attempt uses: the payload's storage, and the vault that
//! opens secrets.
//!
//! HTTP clients and protocol libraries convert an error of the payload's stream into their own
//! errors, and a connector whose deadline has passed cannot determine which call did not return.
//! The watch records both, so that a failure of Waybill never counts as an outcome of the
//! destination.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::settle::Outcome;
use futures_util::Stream;
use tokio::time::Instant;

use crate::{Attempted, ConnectorError, Pieces, Unavailable};

/// A service that has not answered for this long at the deadline is considered the cause.
const STALL_MIN: Duration = Duration::from_millis(500);

tokio::task_local! {
    static WATCH: Watch;
}

/// Records the calls of one attempt or check to services of Waybill. Clones share the record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Mutex<Observed>>);

#[derive(Debug, Default)]
struct Observed {
    failure: Option<Unavailable>,
    /// A read of the payload that has not been answered.
    reading: Option<Reading>,
    /// Whether a call was cancelled before it was answered.
    interrupted: bool,
}

#[derive(Debug)]
struct Reading {
    since: Instant,
    woken: Arc<Woken>,
}

impl Watch {
    /// Runs `work` and watches its calls of [`dependency`].
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        WATCH.scope(self.clone(), work).await
    }

    /// Returns the same pieces, watched.
    pub(crate) fn pieces(&self, pieces: Pieces) -> Pieces {
        Box::pin(Watched {
            pieces,
            watch: self.clone(),
        })
    }

    /// Returns the result of an attempt. It is a failure of Waybill if the payload failed, or if
    /// the deadline passed while a service of Waybill did not answer.
    pub(crate) fn outcome_of<T: Timed>(
        &self,
        result: Result<T, ConnectorError>,
    ) -> Result<T, ConnectorError> {
        let mut observed = self.lock();
        if let Some(failure) = observed.failure.take() {
            return Err(failure.into());
        }
        let is_timeout = match &result {
            Ok(value) => value.timed_out(),
            Err(error) => error.outcome().is_some_and(is_timeout),
        };
        if is_timeout && observed.is_stalled() {
            return Err(Unavailable::new("a service did not answer before the deadline").into());
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Observed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed {
    fn is_stalled(&self) -> bool {
        let is_unanswered =
            |reading: &Reading| !reading.woken.is_woken() && reading.since.elapsed() >= STALL_MIN;
        self.interrupted || self.reading.as_ref().is_some_and(is_unanswered)
    }
}

/// A result that may be a time-out.
pub(crate) trait Timed {
    /// Returns whether the result is a time-out.
    fn timed_out(&self) -> bool;
}

impl Timed for Attempted {
    fn timed_out(&self) -> bool {
        is_timeout(&self.outcome)
    }
}

impl Timed for () {
    fn timed_out(&self) -> bool {
        false
    }
}

fn is_timeout(outcome: &Outcome) -> bool {
    *outcome == Outcome::Retry(Reason::Timeout)
}

/// Calls a service that Waybill depends on. If the deadline passes during the call, that is a
/// failure of Waybill.
pub async fn dependency<T>(call: impl Future<Output = T>) -> T {
    let mut call_in_progress = Call {
        since: Instant::now(),
        is_over: false,
    };
    let answer = call.await;
    call_in_progress.is_over = true;
    answer
}

struct Call {
    since: Instant,
    is_over: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over && self.since.elapsed() >= STALL_MIN {
            // Outside attempts and checks there is no watch.
            let _ = WATCH.try_with(|watch| watch.lock().interrupted = true);
        }
    }
}

struct Watched {
    pieces: Pieces,
    watch: Watch,
}

impl Stream for Watched {
    type Item = Result<Bytes, Unavailable>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let woken = Arc::new(Woken {
            is_woken: AtomicBool::new(false),
            reader: cx.waker().clone(),
        });
        let waker = Waker::from(Arc::clone(&woken));
        let polled = self
            .pieces
            .as_mut()
            .poll_next(&mut Context::from_waker(&waker));
        let mut observed = self.watch.lock();
        let since = observed
            .reading
            .take()
            .map_or_else(Instant::now, |reading| reading.since);
        match &polled {
            Poll::Pending => observed.reading = Some(Reading { since, woken }),
            Poll::Ready(Some(Err(failure))) => observed.failure = Some(failure.clone()),
            Poll::Ready(_) => {}
        }
        polled
    }
}

/// Records whether the payload's storage has answered a read, even if the answer was not fetched.
/// Nothing is fetched while the destination accepts no more data.
#[derive(Debug)]
struct Woken {
    is_woken: AtomicBool,
    reader: Waker,
}

impl Woken {
    fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.reader.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _, stream};

    use super::*;

    fn timed_out() -> Result<(), ConnectorError> {
        Err(ConnectorError::timed_out("no answer"))
    }

    fn is_ours(result: &Result<(), ConnectorError>) -> bool {
        matches!(result, Err(ConnectorError::Unavailable(_)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_unanswered_at_the_deadline_is_a_failure_of_waybill() {
        let watch = Watch::default();
        let mut pieces = watch.pieces(stream::pending().boxed());
        drop(tokio::time::timeout(Duration::from_secs(5), pieces.next()).await);
        assert!(is_ours(&watch.outcome_of(timed_out())));
        assert!(watch.outcome_of(Ok(())).is_ok(), "a success stands");
        let refused = watch.outcome_of::<()>(Err(ConnectorError::misconfigured("no")));
        assert!(!is_ours(&refused), "the destination's own refusal stands");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_read_that_is_not_fetched_is_the_destinations_time() {
        let watch = Watch::default();
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let received = stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        });
        let mut pieces = watch.pieces(received.boxed());
        assert!(pieces.next().now_or_never().is_none());
        sender.send(Ok(Bytes::new())).unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(!is_ours(&watch.outcome_of(timed_out())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_read_is_a_failure_of_waybill_even_if_it_was_converted() {
        let watch = Watch::default();
        let failing = stream::iter([Err(Unavailable::new("gone"))]).boxed();
        assert!(watch.pieces(failing).next().await.unwrap().is_err());
        let reported: Result<(), _> = Err(ConnectorError::rejected("the request broke off"));
        assert!(is_ours(&watch.outcome_of(reported)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_cancelled_unanswered_is_a_failure_of_waybill() {
        let watch = Watch::default();
        let call = watch.during(dependency(std::future::pending::<()>()));
        drop(tokio::time::timeout(Duration::from_secs(5), call).await);
        assert!(is_ours(&watch.outcome_of(timed_out())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_answered_is_not_counted() {
        let watch = Watch::default();
        watch
            .during(dependency(tokio::time::sleep(Duration::from_secs(5))))
            .await;
        assert!(!is_ours(&watch.outcome_of(timed_out())));
    }
}

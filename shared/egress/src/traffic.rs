//! Counts the requests that a client has sent, and those in progress.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The requests of one client. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    under_way: AtomicU64,
}

/// A request that is in progress until this is dropped.
#[derive(Debug)]
pub(crate) struct ActiveRequest(Arc<Counts>);

impl Traffic {
    /// Counts a new request.
    pub(crate) fn begin(&self) -> ActiveRequest {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        ActiveRequest(Arc::clone(&self.0))
    }

    /// Returns how many requests have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// Returns how many requests have begun if only one is in progress, and `None` otherwise.
    pub(crate) fn sole_request_number(&self) -> Option<u64> {
        let begun = self.begun();
        (self.0.under_way.load(Ordering::SeqCst) == 1).then_some(begun)
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

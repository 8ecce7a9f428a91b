//! How many requests a client has sent, and how many of them are under way.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The requests of one client. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    under_way: AtomicU64,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Counts>);

impl Traffic {
    /// Counts a request.
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        UnderWay(Arc::clone(&self.0))
    }

    /// The requests that have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// The same, for a request that asks whether it is the only one under way.
    pub(crate) fn begun_alone(&self) -> Option<u64> {
        let begun = self.begun();
        (self.0.under_way.load(Ordering::SeqCst) == 1).then_some(begun)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

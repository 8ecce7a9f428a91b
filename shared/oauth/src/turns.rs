//! Who asks for a token: of all that need the same one at the same time, one asks, and the others take what it gets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::Refusal;

/// Entries of requests that are over are removed when there are this many.
const ENTRIES_MAX: usize = 1000;

/// The requests under way, by the digest of what a token is asked for with.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<[u8; 32], Weak<Turn>>>);

/// The requests for one token: one at a time.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The refusal of the last request, for those that waited for it.
    last: AsyncMutex<Option<Refusal>>,
    answered: AtomicU64,
}

/// The right to ask.
#[derive(Debug)]
pub(crate) struct Taken<'t> {
    turn: &'t Turn,
    last: MutexGuard<'t, Option<Refusal>>,
    is_first: bool,
}

impl Turns {
    /// The turn of this token.
    pub(crate) fn of(&self, digest: [u8; 32]) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&digest).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= ENTRIES_MAX {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turn::default());
        turns.insert(digest, Arc::downgrade(&turn));
        turn
    }
}

impl Turn {
    /// Waits until nobody else asks.
    pub(crate) async fn take(&self) -> Taken<'_> {
        let before = self.answered.load(Ordering::Acquire);
        let last = self.last.lock().await;
        Taken { turn: self, last, is_first: self.answered.load(Ordering::Acquire) == before }
    }
}

impl Taken<'_> {
    /// What another request got while this one waited; `None`: nothing, or a token, which is kept.
    pub(crate) fn refused_meanwhile(&self) -> Option<Refusal> {
        if self.is_first { None } else { self.last.clone() }
    }

    /// Passes an answer on to those that wait.
    pub(crate) fn answered(mut self, refusal: Option<Refusal>) {
        *self.last = refusal;
        self.turn.answered.fetch_add(1, Ordering::Release);
    }
}

//! Coordinates token requests: of all callers that need the same token at the same time, one sends
//! the request, and the others use its answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::Refusal;

/// The number of entries at which those of finished requests are removed.
const ENTRIES_MAX: usize = 1000;

/// The requests in progress, by the digest of the token request.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<[u8; 32], Weak<Turn>>>);

/// The requests for one token, of which one is sent at a time.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The refusal of the last request, for callers that waited for it.
    last: AsyncMutex<Option<Refusal>>,
    answered: AtomicU64,
}

/// The permission to send the request.
#[derive(Debug)]
pub(crate) struct HeldTurn<'t> {
    turn: &'t Turn,
    last: MutexGuard<'t, Option<Refusal>>,
    is_first: bool,
}

impl Turns {
    /// Returns the turn for this token.
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
    /// Waits until no other caller is sending the request.
    pub(crate) async fn take(&self) -> HeldTurn<'_> {
        let before = self.answered.load(Ordering::Acquire);
        let last = self.last.lock().await;
        HeldTurn {
            turn: self,
            last,
            is_first: self.answered.load(Ordering::Acquire) == before,
        }
    }
}

impl HeldTurn<'_> {
    /// Returns the refusal that another request received while this one waited, or `None` if there
    /// was none or it received a token, which is cached.
    pub(crate) fn refused_meanwhile(&self) -> Option<Refusal> {
        if self.is_first {
            None
        } else {
            self.last.clone()
        }
    }

    /// Passes an answer on to the callers that wait.
    pub(crate) fn answered(mut self, refusal: Option<Refusal>) {
        *self.last = refusal;
        self.turn.answered.fetch_add(1, Ordering::Release);
    }
}

//! Limits the concurrent lookups of each organization, so that names whose servers do not answer
//! exhaust neither the resolver nor the sockets.
//!
//! A name takes one permit regardless of how many callers wait for it, because the resolver asks
//! its server once for all of them. A name that was answered recently needs no permit.

use lru::LruCache;
use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How many names of one organization are looked up at once.
const NAMES_MAX: usize = 64;
/// How long an answered name needs no permit, which is as long as its answer is cached.
const ANSWERED_FOR: Duration = Duration::from_secs(60);
/// How many answered names are remembered: as many as the resolver caches.
const ANSWERED_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("it is not zero");
/// The number of entries at which those of finished lookups are removed.
const ENTRIES_MAX: usize = 1_024;

/// The lookups of a process.
#[derive(Debug)]
pub(crate) struct Lookups {
    organizations: Shared<Arc<str>, Semaphore>,
    names: Shared<(Arc<str>, String), PermitCell>,
    answered: Mutex<LruCache<String, Instant>>,
}

/// Values that are kept as long as someone holds them.
type Shared<K, V> = Mutex<HashMap<K, Weak<V>>>;

type PermitCell = OnceCell<OwnedSemaphorePermit>;

/// The permission to look up a name, until all holders have dropped it.
#[derive(Debug)]
pub(crate) struct LookupPermit(
    #[expect(dead_code, reason = "held for its Drop")] Option<Arc<PermitCell>>,
);

impl Default for Lookups {
    fn default() -> Self {
        Self {
            organizations: Mutex::default(),
            names: Mutex::default(),
            answered: Mutex::new(LruCache::new(ANSWERED_MAX)),
        }
    }
}

impl Lookups {
    /// Waits until the organization may look up this name. Dropping the future ends the wait.
    pub(crate) async fn permit(&self, organization: Arc<str>, name: &str) -> LookupPermit {
        if lock(&self.answered)
            .get(name)
            .is_some_and(|at| at.elapsed() < ANSWERED_FOR)
        {
            return LookupPermit(None);
        }
        let permits = shared(&self.organizations, Arc::clone(&organization), || {
            Semaphore::new(NAMES_MAX)
        });
        let cell = shared(&self.names, (organization, name.to_owned()), OnceCell::new);
        // The semaphore is never closed. Without a permit, the lookup would be unlimited but
        // correct.
        let taken = cell
            .get_or_try_init(|| permits.acquire_owned())
            .await
            .is_ok();
        LookupPermit(taken.then_some(cell))
    }

    /// Records whether a lookup was answered.
    pub(crate) fn ended(&self, name: &str, was_answered: bool) {
        let mut answered = lock(&self.answered);
        if was_answered {
            answered.put(name.to_owned(), Instant::now());
        } else {
            answered.pop(name);
        }
    }
}

/// Returns the value for this key that is still held, or a new one.
fn shared<K: std::hash::Hash + Eq, V>(
    map: &Shared<K, V>,
    key: K,
    new: impl FnOnce() -> V,
) -> Arc<V> {
    let mut map = lock(map);
    if let Some(value) = map.get(&key).and_then(Weak::upgrade) {
        return value;
    }
    if map.len() >= ENTRIES_MAX {
        map.retain(|_, value| value.strong_count() > 0);
    }
    let value = Arc::new(new());
    map.insert(key, Arc::downgrade(&value));
    value
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A cache of secrets in memory, limited in number and age. Concurrent requests for the same secret
//! are sent once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::VaultError;

/// Secrets by their key.
pub(crate) struct Cache<K> {
    entries: Mutex<HashMap<K, Entry>>,
    entries_max: usize,
    age_max: Duration,
}

struct Entry {
    secret: Arc<OnceCell<SecretString>>,
    since: Timestamp,
}

impl<K: Clone + Eq + Hash> Cache<K> {
    /// Creates a cache of at most `entries_max` secrets, each kept for `age_max` after it was first
    /// requested.
    pub(crate) fn new(entries_max: usize, age_max: Duration) -> Self {
        Self { entries: Mutex::default(), entries_max, age_max }
    }

    /// Returns the cached secret, or the result of `fetch`. A failure is not cached, so the next
    /// call fetches again.
    pub(crate) async fn get(
        &self,
        key: K,
        now: Timestamp,
        fetch: impl Future<Output = Result<SecretString, VaultError>>,
    ) -> Result<SecretString, VaultError> {
        let secret = self.entry(key, now);
        secret.get_or_try_init(|| fetch).await.cloned()
    }

    fn entry(&self, key: K, now: Timestamp) -> Arc<OnceCell<SecretString>> {
        let mut entries = self.lock();
        if let Some(entry) = entries.get(&key)
            && now.since(entry.since) < self.age_max
        {
            return Arc::clone(&entry.secret);
        }
        entries.retain(|_, entry| now.since(entry.since) < self.age_max);
        if entries.len() >= self.entries_max
            && let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.since).map(|(key, _)| key.clone())
        {
            entries.remove(&oldest);
        }
        let secret = Arc::<OnceCell<SecretString>>::default();
        entries.insert(key, Entry { secret: Arc::clone(&secret), since: now });
        secret
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    async fn ask(cache: &Cache<&'static str>, key: &'static str, seconds: i64, answer: &str) -> String {
        let answer = SecretString::from(answer);
        cache.get(key, at(seconds), async { Ok(answer) }).await.unwrap().expose_secret().to_owned()
    }

    #[tokio::test]
    async fn a_secret_is_kept_until_its_age_is_up_however_often_it_is_used() {
        let cache = Cache::new(10, Duration::from_secs(300));
        assert_eq!(ask(&cache, "a", 0, "old").await, "old");
        assert_eq!(ask(&cache, "a", 299, "new").await, "old");
        assert_eq!(ask(&cache, "a", 300, "new").await, "new");
    }

    #[tokio::test]
    async fn the_oldest_makes_room() {
        let cache = Cache::new(2, Duration::from_secs(300));
        for (seconds, key) in [(0, "a"), (1, "b"), (2, "c")] {
            ask(&cache, key, seconds, "old").await;
        }
        assert_eq!(cache.lock().len(), 2);
        assert_eq!(ask(&cache, "b", 3, "new").await, "old");
        assert_eq!(ask(&cache, "a", 3, "new").await, "new");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cache = Cache::new(2, Duration::from_secs(300));
        assert!(cache.get("a", at(0), async { Err(VaultError::NoKey) }).await.is_err());
        assert_eq!(ask(&cache, "a", 1, "there").await, "there");
    }
}

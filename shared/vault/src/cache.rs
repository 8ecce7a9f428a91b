//! A cache of secrets in memory, limited in number and age. A full cache evicts a secret of the
//! organization that has the most, so that no organization displaces the others. Concurrent
//! requests for the same secret are sent once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::id::OrganizationId;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::VaultError;

/// Secrets by organization and key.
pub(crate) struct Cache<K> {
    entries: Mutex<HashMap<OrganizationId, HashMap<K, Entry>>>,
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
        Self {
            entries: Mutex::default(),
            entries_max,
            age_max,
        }
    }

    /// Returns the cached secret, or the result of `fetch`. A failure is not cached, so the next
    /// call fetches again.
    pub(crate) async fn get(
        &self,
        organization: OrganizationId,
        key: K,
        now: Timestamp,
        fetch: impl Future<Output = Result<SecretString, VaultError>>,
    ) -> Result<SecretString, VaultError> {
        let secret = self.entry(organization, key, now);
        secret.get_or_try_init(|| fetch).await.cloned()
    }

    fn entry(
        &self,
        organization: OrganizationId,
        key: K,
        now: Timestamp,
    ) -> Arc<OnceCell<SecretString>> {
        let mut entries = self.lock();
        if let Some(entry) = entries.get(&organization).and_then(|own| own.get(&key))
            && now.since(entry.since) < self.age_max
        {
            return Arc::clone(&entry.secret);
        }
        for own in entries.values_mut() {
            own.retain(|_, entry| now.since(entry.since) < self.age_max);
        }
        entries.retain(|_, own| !own.is_empty());
        if entries.values().map(HashMap::len).sum::<usize>() >= self.entries_max
            && let Some(most) = entries.values_mut().max_by_key(|own| own.len())
            && let Some(oldest) = most
                .iter()
                .min_by_key(|(_, entry)| entry.since)
                .map(|(key, _)| key.clone())
        {
            most.remove(&oldest);
        }
        let secret = Arc::<OnceCell<SecretString>>::default();
        entries.entry(organization).or_default().insert(
            key,
            Entry {
                secret: Arc::clone(&secret),
                since: now,
            },
        );
        secret
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, HashMap<K, Entry>>> {
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

    fn organization(number: i64) -> OrganizationId {
        domain::id::Ulid::first_at(at(number)).into()
    }

    async fn ask(
        cache: &Cache<&'static str>,
        key: &'static str,
        seconds: i64,
        answer: &str,
    ) -> String {
        ask_as(organization(1), cache, key, seconds, answer).await
    }

    async fn ask_as(
        of: OrganizationId,
        cache: &Cache<&'static str>,
        key: &'static str,
        seconds: i64,
        answer: &str,
    ) -> String {
        let answer = SecretString::from(answer);
        cache
            .get(of, key, at(seconds), async { Ok(answer) })
            .await
            .unwrap()
            .expose_secret()
            .to_owned()
    }

    #[tokio::test]
    async fn a_secret_is_kept_until_its_age_is_up_however_often_it_is_used() {
        let cache = Cache::new(10, Duration::from_secs(300));
        assert_eq!(ask(&cache, "a", 0, "old").await, "old");
        assert_eq!(ask(&cache, "a", 299, "new").await, "old");
        assert_eq!(ask(&cache, "a", 300, "new").await, "new");
    }

    #[tokio::test]
    async fn the_oldest_entry_is_evicted() {
        let cache = Cache::new(2, Duration::from_secs(300));
        for (seconds, key) in [(0, "a"), (1, "b"), (2, "c")] {
            ask(&cache, key, seconds, "old").await;
        }
        assert_eq!(cache.lock().values().map(HashMap::len).sum::<usize>(), 2);
        assert_eq!(ask(&cache, "b", 3, "new").await, "old");
        assert_eq!(ask(&cache, "a", 3, "new").await, "new");
    }

    #[tokio::test]
    async fn an_organization_with_many_secrets_displaces_only_its_own() {
        let cache = Cache::new(3, Duration::from_secs(300));
        ask_as(organization(2), &cache, "a", 0, "old").await;
        for (seconds, key) in [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")] {
            ask(&cache, key, seconds, "old").await;
        }
        assert_eq!(ask_as(organization(2), &cache, "a", 6, "new").await, "old");
        assert_eq!(
            ask(&cache, "e", 6, "new").await,
            "old",
            "the newest is kept"
        );
        assert_eq!(ask(&cache, "a", 6, "new").await, "new");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cache = Cache::new(2, Duration::from_secs(300));
        assert!(
            cache
                .get(organization(1), "a", at(0), async {
                    Err(VaultError::NoKey)
                })
                .await
                .is_err()
        );
        assert_eq!(ask(&cache, "a", 1, "there").await, "there");
    }
}

//! Caches credentials for each organization, so that none displaces those of the others.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

/// How many organizations have cached values. The least recently used one is evicted.
const ORGANIZATIONS_MAX: NonZeroUsize = NonZeroUsize::new(500).expect("it is not zero");
/// How many values each organization has. The least recently used one is evicted.
const VALUES_MAX: NonZeroUsize = NonZeroUsize::new(50).expect("it is not zero");

/// The most recently used values of each organization.
#[derive(Debug)]
pub(crate) struct SessionCache<K: Hash + Eq, V>(Mutex<LruCache<String, LruCache<K, V>>>);

impl<K: Hash + Eq, V> Default for SessionCache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(ORGANIZATIONS_MAX)))
    }
}

impl<K: Hash + Eq, V: Clone> SessionCache<K, V> {
    /// Returns an organization's value, if it is cached.
    pub(crate) fn get(&self, organization: &str, key: &K) -> Option<V> {
        self.with(organization, |own| own.get(key).cloned())
    }

    /// Caches a value of an organization.
    pub(crate) fn put(&self, organization: &str, key: K, value: V) {
        self.with(organization, |own| drop(own.put(key, value)));
    }

    /// Returns an organization's value, or caches the default.
    pub(crate) fn get_or_default(&self, organization: &str, key: K) -> V
    where
        V: Default,
    {
        self.with(organization, |own| {
            own.get_or_insert(key, V::default).clone()
        })
    }

    fn with<T>(&self, organization: &str, act: impl FnOnce(&mut LruCache<K, V>) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.get_or_insert_mut_ref(organization, || LruCache::new(VALUES_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_with_many_values_displaces_only_its_own() {
        let cache = SessionCache::default();
        cache.put("modest", 0, "modest");
        for n in 0..10_000 {
            cache.put("greedy", n, "greedy");
            cache.get_or_default("greedy", n);
        }
        assert_eq!(cache.get("modest", &0), Some("modest"));
        assert_eq!(
            cache.get("greedy", &9_999),
            Some("greedy"),
            "a new value is always cached"
        );
        assert_eq!(cache.get("greedy", &0), None);
        assert_eq!(cache.get("other", &9_999), None, "values are not shared");
        let count = cache
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|(_, own)| own.len())
            .max();
        assert_eq!(count, Some(VALUES_MAX.get()));
    }

    #[test]
    fn the_least_recently_used_organization_is_evicted() {
        let cache = SessionCache::default();
        cache.put("idle", 0, 1);
        cache.put("busy", 0, 1);
        for n in 0..ORGANIZATIONS_MAX.get() - 1 {
            cache.put(&format!("org_{n}"), 0, 1);
            assert_eq!(cache.get("busy", &0), Some(1));
        }
        assert_eq!(cache.get("idle", &0), None);
        assert_eq!(cache.0.lock().unwrap().len(), ORGANIZATIONS_MAX.get());
    }
}

//! Caches tokens until they expire, and pauses until they end. Both are limited in number for each
//! organization.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::id::OrganizationId;
use secrecy::{ExposeSecret as _, SecretString};

/// The largest number of cached tokens, or of pauses.
const ENTRIES_MAX: usize = 2000;
/// The largest number for one organization, so that none displaces the others.
const ENTRIES_PER_ORGANIZATION_MAX: usize = 100;

/// Entries by organization and by the digest of the token request.
#[derive(Debug)]
pub(crate) struct Entries<T>(HashMap<OrganizationId, HashMap<[u8; 32], (T, Timestamp)>>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Entries<T> {
    pub(crate) fn get(
        &self,
        organization: OrganizationId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Option<&(T, Timestamp)> {
        self.0
            .get(&organization)?
            .get(digest)
            .filter(|(_, until)| *until > now)
    }

    /// Stores an entry. If there is no room, the entry that ends first is removed: one of the
    /// organization itself, or of the organization that has most entries.
    pub(crate) fn put(
        &mut self,
        organization: OrganizationId,
        digest: [u8; 32],
        entry: (T, Timestamp),
        now: Timestamp,
    ) {
        if self.0.values().map(HashMap::len).sum::<usize>() >= ENTRIES_MAX {
            for own in self.0.values_mut() {
                own.retain(|_, (_, until)| *until > now);
            }
            self.0.retain(|_, own| !own.is_empty());
            if self.0.values().map(HashMap::len).sum::<usize>() >= ENTRIES_MAX
                && let Some(most) = self.0.values_mut().max_by_key(|own| own.len())
            {
                remove_first_to_end(most);
            }
        }
        let own = self.0.entry(organization).or_default();
        if own.len() >= ENTRIES_PER_ORGANIZATION_MAX && !own.contains_key(&digest) {
            remove_first_to_end(own);
        }
        own.insert(digest, entry);
    }

    pub(crate) fn remove(&mut self, organization: OrganizationId, digest: &[u8; 32]) {
        if let Some(own) = self.0.get_mut(&organization) {
            own.remove(digest);
        }
    }
}

fn remove_first_to_end<T>(own: &mut HashMap<[u8; 32], (T, Timestamp)>) {
    let first = own
        .iter()
        .min_by_key(|(_, (_, until))| *until)
        .map(|(digest, _)| *digest);
    if let Some(first) = first {
        own.remove(&first);
    }
}

/// Tokens by the digest of their request.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Mutex<Entries<SecretString>>);

impl TokenCache {
    pub(crate) fn get(
        &self,
        organization: OrganizationId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Option<SecretString> {
        self.lock()
            .get(organization, digest, now)
            .map(|(token, _)| token.clone())
    }

    pub(crate) fn put(
        &self,
        organization: OrganizationId,
        digest: [u8; 32],
        token: SecretString,
        until: Timestamp,
        now: Timestamp,
    ) {
        self.lock().put(organization, digest, (token, until), now);
    }

    /// Removes this token for every request that it answers. A newer token in its place stays.
    pub(crate) fn remove(&self, organization: OrganizationId, token: &SecretString) {
        let mut entries = self.lock();
        let Some(own) = entries.0.get_mut(&organization) else {
            return;
        };
        own.retain(|_, (cached, _)| cached.expose_secret() != token.expose_secret());
    }

    fn lock(&self) -> MutexGuard<'_, Entries<SecretString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Servers that asked for a pause, by the digest of the token request.
#[derive(Debug, Default)]
pub(crate) struct Paused(Mutex<Entries<()>>);

impl Paused {
    /// Returns how long the pause still lasts.
    pub(crate) fn left(
        &self,
        organization: OrganizationId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Option<Duration> {
        let paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paused
            .get(organization, digest, now)
            .map(|(_, until)| until.since(now))
    }

    pub(crate) fn put(
        &self,
        organization: OrganizationId,
        digest: [u8; 32],
        until: Timestamp,
        now: Timestamp,
    ) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(
            organization,
            digest,
            ((), until),
            now,
        );
    }
}

#[cfg(test)]
mod tests {
    use domain::id::Ulid;

    use super::*;

    fn digest(n: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_be_bytes());
        digest
    }

    #[test]
    fn no_organization_fills_the_place_of_another() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let [greedy, modest] =
            [1, 2].map(|n| OrganizationId::from(Ulid::first_at(Timestamp::from_millis(n))));
        let cache = TokenCache::default();
        let later = |seconds| now.plus(Duration::from_secs(seconds));
        cache.put(modest, digest(0), "modest".into(), later(60), now);
        for n in 0..10_000 {
            cache.put(greedy, digest(n), "greedy".into(), later(86_400), now);
        }
        assert!(cache.get(modest, &digest(0), now).is_some());
        assert!(cache.lock().0[&greedy].len() <= ENTRIES_PER_ORGANIZATION_MAX);
        assert!(
            cache.get(greedy, &digest(9_999), now).is_some(),
            "the newest is cached"
        );
        for n in 0..100 {
            let crowd = OrganizationId::from(Ulid::first_at(Timestamp::from_millis(100 + n)));
            for n in 0..ENTRIES_PER_ORGANIZATION_MAX {
                cache.put(crowd, digest(n), "crowd".into(), later(86_400), now);
            }
        }
        cache.put(modest, digest(1), "modest".into(), later(60), now);
        assert!(
            cache.get(modest, &digest(1), now).is_some(),
            "there is always room for another organization's"
        );
        assert!(cache.lock().0.values().map(HashMap::len).sum::<usize>() <= ENTRIES_MAX);
    }
}

//! Caches what keys and links depend on, so that one read fetches all of it.
//!
//! A key's organization and what a link was created by never change. Whether they are still valid
//! may change, and is read on every request.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use domain::api_key::ApiKey;
use domain::id::{KeyId, OrganizationId, PortalLinkId};
use domain::portal_link::{Maker, PortalLink};

/// How many keys and how many links are cached. When there are more, the cache is cleared.
const CACHED_MAX: usize = 10_000;

/// What earlier reads found about keys and links. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DependencyCache {
    organizations: Arc<Mutex<HashMap<KeyId, OrganizationId>>>,
    makers: Arc<Mutex<HashMap<PortalLinkId, Arc<[Maker]>>>>,
}

impl DependencyCache {
    /// Returns the organization of a key; `None` if it has not been read yet or is an operator's.
    pub(crate) fn organization(&self, key: KeyId) -> Option<OrganizationId> {
        cached(&self.organizations, key)
    }

    /// Returns what a link was created by; empty if it has not been read yet.
    pub(crate) fn makers(&self, link: PortalLinkId) -> Arc<[Maker]> {
        cached(&self.makers, link).unwrap_or_default()
    }

    pub(crate) fn note_key(&self, key: &ApiKey) {
        if let Some(organization) = key.organization_id {
            cache(&self.organizations, key.id, organization);
        }
    }

    pub(crate) fn note_link(&self, link: &PortalLink) {
        if !link.made_by.is_empty() {
            cache(&self.makers, link.id, link.made_by.as_slice().into());
        }
    }
}

fn cached<K: Eq + Hash, V: Clone>(memory: &Mutex<HashMap<K, V>>, key: K) -> Option<V> {
    memory
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&key)
        .cloned()
}

fn cache<K: Eq + Hash, V>(memory: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.len() >= CACHED_MAX {
        memory.clear();
    }
    memory.insert(key, value);
}

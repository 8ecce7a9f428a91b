//! Finds out whether a store honors the condition that keeps existing objects from being
//! overwritten.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::settings::storage::IfExists;
use lru::LruCache;
use object_store::path::Path;
use worker::Payload;

use crate::Meta;
use crate::error::StorageError;
use crate::open_bucket::{OpenBucket, Settings, path};
use crate::storage::Storage;
use crate::upload::{upload, upload_in_parts};

/// The error when nothing would protect existing objects from being overwritten.
pub(crate) const UNPROTECTED: &str = "the store does not honor conditional writes (If-None-Match), and the credentials may not look for \
     existing objects, so existing objects could be overwritten; allow reading and listing objects, or set if_exists to replace";

/// Addresses that are known to honor conditions.
#[derive(Debug)]
pub(crate) struct ConditionalStores(Mutex<LruCache<String, ()>>);

/// How many addresses are cached. The least recently used one is evicted.
const CONDITIONAL_STORES_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

impl Default for ConditionalStores {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CONDITIONAL_STORES_MAX)))
    }
}

impl ConditionalStores {
    /// Returns whether the address is known to honor conditions.
    fn has(&self, address: &str) -> bool {
        self.lock().get(address).is_some()
    }

    fn add(&self, address: String) {
        self.lock().put(address, ());
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<String, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage {
    /// Checks that a bucket honors conditions, before anything is written to it with credentials
    /// that cannot read it. Leaves one small object that always has the same key.
    pub(crate) async fn prove_conditions(
        &self,
        bucket: &OpenBucket,
        settings: Settings<'_>,
        meta: &Meta,
    ) -> Result<(), StorageError> {
        let key = format!("{}-check-conditions", settings.constant_key());
        let address = self.url(settings, &key);
        if self.conditional_stores.has(&address) {
            return Ok(());
        }
        let path = path(&key)?;
        let meta = Meta {
            event_type: "waybill.destination.check".to_owned(),
            content_type: "text/plain".to_owned(),
            sha256: None,
            ..meta.clone()
        };
        let first = upload(bucket, settings, &path, &meta, Payload::in_memory(TRIAL)).await;
        if let Err(error) = first
            && !error.is_taken()
        {
            return Err(error);
        }
        bucket.wire.relies_on_conditions();
        if find_out(bucket, settings, &path, &meta, TRIAL).await? != Conditions::Honored {
            return Err(StorageError::misconfigured(UNPROTECTED));
        }
        self.conditional_stores.add(address);
        Ok(())
    }
}

const TRIAL: &str =
    "Waybill tries here whether this store keeps existing objects from being overwritten.\n";

/// How a store handles a condition on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conditions {
    /// It writes only if no object exists, as the condition demands.
    Honored,
    /// It writes regardless of the condition.
    Ignored,
    /// It refuses requests with a condition.
    Refused,
}

impl Conditions {
    /// Returns a warning for the destination's owner, or `None` if objects are safe.
    pub(crate) fn warning(self) -> Option<String> {
        let verb = match self {
            Self::Honored => return None,
            Self::Ignored => "ignores",
            Self::Refused => "does not implement",
        };
        Some(format!(
            "the store {verb} conditional writes (If-None-Match); Waybill looks for an existing object before each upload, but one \
             that another writer creates at the same moment is overwritten"
        ))
    }
}

/// Writes again to a key that holds an object of the check, in every way that deliveries write.
pub(crate) async fn find_out(
    bucket: &OpenBucket,
    settings: Settings<'_>,
    path: &Path,
    meta: &Meta,
    content: &'static str,
) -> Result<Conditions, StorageError> {
    let whole = upload(bucket, settings, path, meta, Payload::in_memory(content))
        .await
        .map(drop);
    let mut conditions = conditions_from(whole)?;
    if !matches!(settings, Settings::Gcs(_)) {
        let in_parts = upload_in_parts(bucket, settings, path, meta, Payload::in_memory(content))
            .await
            .map(drop);
        if conditions_from(in_parts)? == Conditions::Ignored {
            conditions = Conditions::Ignored;
        }
    }
    Ok(match settings.object().if_exists {
        // Existing objects are replaced, so conditions do not matter.
        IfExists::Replace => Conditions::Honored,
        _ if bucket.wire.refuses_conditions() => Conditions::Refused,
        _ => conditions,
    })
}

fn conditions_from(written: Result<(), StorageError>) -> Result<Conditions, StorageError> {
    match written {
        Ok(()) => Ok(Conditions::Ignored),
        Err(error) if error.is_taken() => Ok(Conditions::Honored),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_address_is_remembered_however_many_were_before() {
        let stores = ConditionalStores::default();
        for number in 0..=CONDITIONAL_STORES_MAX.get() {
            stores.add(format!("https://store.example/bucket/{number}"));
        }
        let last = format!("https://store.example/bucket/{CONDITIONAL_STORES_MAX}");
        assert!(stores.has(&last));
        assert!(!stores.has("https://store.example/bucket/0"));
    }
}

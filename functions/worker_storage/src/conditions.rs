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
use crate::place::{Place, Settings, path};
use crate::storage::Storage;
use crate::upload::{upload, upload_in_parts};

/// The error when nothing would protect existing objects from being overwritten.
pub(crate) const UNPROTECTED: &str = "the store does not honor conditional writes (If-None-Match), and the credentials may not look for \
     existing objects, so existing objects could be overwritten; allow reading and listing objects, or set if_exists to replace";

/// Addresses that are known to honor conditions.
#[derive(Debug)]
pub(crate) struct Proven(Mutex<LruCache<String, ()>>);

/// How many addresses are cached. The least recently used one is evicted.
const PROVEN_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

impl Default for Proven {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(PROVEN_MAX)))
    }
}

impl Proven {
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
        place: &Place,
        settings: Settings<'_>,
        meta: &Meta,
    ) -> Result<(), StorageError> {
        let key = format!("{}-check-conditions", settings.constant_key());
        let address = self.url(settings, &key);
        if self.proven.has(&address) {
            return Ok(());
        }
        let path = path(&key)?;
        let meta = Meta {
            event_type: "waybill.destination.check".to_owned(),
            content_type: "text/plain".to_owned(),
            sha256: None,
            ..meta.clone()
        };
        let first = upload(place, settings, &path, &meta, Payload::whole(TRIAL)).await;
        if let Err(error) = first
            && !error.is_taken()
        {
            return Err(error);
        }
        place.wire.relies_on_conditions();
        if find_out(place, settings, &path, &meta, TRIAL).await? != Conditions::Honored {
            return Err(StorageError::misconfigured(UNPROTECTED));
        }
        self.proven.add(address);
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
    place: &Place,
    settings: Settings<'_>,
    path: &Path,
    meta: &Meta,
    content: &'static str,
) -> Result<Conditions, StorageError> {
    let whole = upload(place, settings, path, meta, Payload::whole(content))
        .await
        .map(drop);
    let mut conditions = judged(whole)?;
    if !matches!(settings, Settings::Gcs(_)) {
        let in_parts = upload_in_parts(place, settings, path, meta, Payload::whole(content))
            .await
            .map(drop);
        if judged(in_parts)? == Conditions::Ignored {
            conditions = Conditions::Ignored;
        }
    }
    Ok(match settings.object().if_exists {
        // Existing objects are replaced, so conditions do not matter.
        IfExists::Replace => Conditions::Honored,
        _ if place.wire.refuses_conditions() => Conditions::Refused,
        _ => conditions,
    })
}

fn judged(written: Result<(), StorageError>) -> Result<Conditions, StorageError> {
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
        let proven = Proven::default();
        for number in 0..=PROVEN_MAX.get() {
            proven.add(format!("https://store.example/bucket/{number}"));
        }
        let last = format!("https://store.example/bucket/{PROVEN_MAX}");
        assert!(proven.has(&last));
        assert!(!proven.has("https://store.example/bucket/0"));
    }
}

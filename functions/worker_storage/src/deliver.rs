//! One attempt: look, upload, and look again when somebody was first.

use domain::settings::storage::{IfExists, key_refusal};
use tokio::time::Instant;

use crate::existing::{Existing, Version, look};
use crate::place::{Settings, path};
use crate::receipt::Receipt;
use crate::storage::Storage;
use crate::trouble::Trouble;
use crate::upload::{SINGLE_BYTES_MAX, upload};
use crate::{Credentials, Meta, Payload};

/// A success.
pub(crate) struct Delivered {
    pub(crate) receipt: Receipt,
    pub(crate) detail: String,
}

impl Storage {
    pub(crate) async fn put(
        &self,
        settings: Settings<'_>,
        credentials: &Credentials,
        meta: &Meta,
        key: &str,
        payload: Payload,
        deadline: Instant,
    ) -> Result<Delivered, Trouble> {
        if let Some(refusal) = key_refusal(key) {
            return Err(Trouble::Misconfigured(refusal.to_owned()));
        }
        let path = path(key)?;
        let place = self.open(settings, credentials, deadline).await?;
        let size_bytes = payload.size_bytes();
        let told = |version: Version, detail: &str| Delivered {
            receipt: self.receipt(settings, key, version.version_id, version.etag),
            detail: detail.to_owned(),
        };
        let if_exists = settings.object().if_exists;
        // Before a large upload, so as not to make it for nothing; before a replacement, so as not to make it twice.
        if (size_bytes > SINGLE_BYTES_MAX || if_exists == IfExists::Replace)
            && let Some((version, detail)) = settled(look(&place, &path, meta, size_bytes).await?, if_exists, key)?
        {
            return Ok(told(version, detail));
        }
        let taken = match upload(&place, settings, &path, meta, payload).await {
            Ok(put) => return Ok(told(Version { version_id: put.version, etag: put.e_tag }, "uploaded")),
            Err(trouble) if trouble.is_taken() => look(&place, &path, meta, size_bytes).await?,
            Err(trouble) => return Err(trouble),
        };
        match (taken, if_exists) {
            (Existing::Unseen, IfExists::Skip) => Ok(told(Version { version_id: None, etag: None }, SKIPPED)),
            (Existing::Unseen, _) => Err(Trouble::OccupiedUnseen(key.to_owned())),
            (taken, _) => match settled(taken, if_exists, key)? {
                Some((version, detail)) => Ok(told(version, detail)),
                None => Err(Trouble::Contended(key.to_owned())),
            },
        }
    }
}

const SKIPPED: &str = "there is another object already; it stays";

/// Whether what is at the key settles the attempt; `None` when the upload has to be made.
fn settled(found: Existing, if_exists: IfExists, key: &str) -> Result<Option<(Version, &'static str)>, Trouble> {
    match (found, if_exists) {
        (Existing::Ours(version), _) => Ok(Some((version, "uploaded by an earlier attempt"))),
        (Existing::Other(version), IfExists::Skip) => Ok(Some((version, SKIPPED))),
        (Existing::Other(_), IfExists::Fail) => Err(Trouble::Occupied(key.to_owned())),
        (Existing::Other(_), IfExists::Replace) | (Existing::Nothing | Existing::Unseen, _) => Ok(None),
    }
}

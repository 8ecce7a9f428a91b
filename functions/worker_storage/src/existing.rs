//! Finds out whether an object exists at a key.

use http::StatusCode;
use object_store::path::Path;
use object_store::{Attribute, GetOptions, ObjectStore as _};

use crate::Meta;
use crate::error::StorageError;
use crate::meta::{DELIVERY_ID, SHA256};
use crate::open_bucket::OpenBucket;

/// The object at a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// There is no object at the key.
    Nothing,
    /// An object of this delivery: it has the delivery's id, the same size and, where both are
    /// known, the same hash.
    Ours(Version),
    /// There is another object at the key.
    Other(Version),
    /// The credentials do not permit a look.
    Unseen,
}

/// The version of an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) version_id: Option<String>,
    pub(crate) etag: Option<String>,
}

/// Looks for an object at a key.
pub(crate) async fn look(
    bucket: &OpenBucket,
    path: &Path,
    meta: &Meta,
    size_bytes: u64,
) -> Result<Existing, StorageError> {
    let options = GetOptions {
        head: true,
        ..GetOptions::default()
    };
    let found = match bucket
        .store
        .get_opts(path, options)
        .await
        .map_err(StorageError::from)
    {
        Ok(found) => found,
        Err(error) => {
            return match error.answer().map(|answer| answer.status) {
                Some(StatusCode::NOT_FOUND) => Ok(Existing::Nothing),
                // A delivery only needs permission to write. An answer to HEAD has no body, so its
                // cause is not known.
                Some(StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) => Ok(Existing::Unseen),
                _ => Err(error),
            };
        }
    };
    let attribute = |name: &str| {
        let names = [name.to_owned(), name.replace('-', "_")];
        names.into_iter().find_map(|name| {
            found
                .attributes
                .get(&Attribute::Metadata(name.into()))
                .map(|value| value.as_ref().to_owned())
        })
    };
    let is_of_delivery = attribute(DELIVERY_ID).as_ref() == Some(&meta.delivery_id);
    let is_other_hash = attribute(SHA256)
        .zip(meta.sha256.as_ref())
        .is_some_and(|(found, ours)| found != *ours);
    let is_ours = is_of_delivery && found.meta.size == size_bytes && !is_other_hash;
    let version = Version {
        version_id: found.meta.version,
        etag: found.meta.e_tag,
    };
    Ok(if is_ours {
        Existing::Ours(version)
    } else {
        Existing::Other(version)
    })
}

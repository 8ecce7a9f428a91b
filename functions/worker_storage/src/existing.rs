//! Whether the object is there already.

use http::StatusCode;
use object_store::path::Path;
use object_store::{Attribute, GetOptions, ObjectStore as _};

use crate::Meta;
use crate::error::StorageError;
use crate::meta::{DELIVERY_ID, SHA256};
use crate::place::Place;

/// What is at a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing.
    Nothing,
    /// This very delivery: the same size and hash (the same delivery where the hash is not known).
    Ours(Version),
    /// Something else.
    Other(Version),
    /// The credentials may not look.
    Unseen,
}

/// Which version of the object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) version_id: Option<String>,
    pub(crate) etag: Option<String>,
}

/// Looks at a key.
pub(crate) async fn look(place: &Place, path: &Path, meta: &Meta, size_bytes: u64) -> Result<Existing, StorageError> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    let found = match place.store.get_opts(path, options).await.map_err(StorageError::from) {
        Ok(found) => found,
        Err(error) => {
            return match error.answer().map(|answer| answer.status) {
                Some(StatusCode::NOT_FOUND) => Ok(Existing::Nothing),
                // Writing alone is enough for a delivery; and whether it is the credentials' fault, only an answer with a body says.
                Some(StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) => Ok(Existing::Unseen),
                _ => Err(error),
            };
        }
    };
    let attribute = |name: &str| {
        let names = [name.to_owned(), name.replace('-', "_")];
        names.into_iter().find_map(|name| found.attributes.get(&Attribute::Metadata(name.into())).map(|value| value.as_ref().to_owned()))
    };
    let is_same = match &meta.sha256 {
        Some(sha256) => attribute(SHA256).as_ref() == Some(sha256),
        None => attribute(DELIVERY_ID).as_ref() == Some(&meta.delivery_id),
    };
    let version = Version { version_id: found.meta.version, etag: found.meta.e_tag };
    Ok(if is_same && found.meta.size == size_bytes { Existing::Ours(version) } else { Existing::Other(version) })
}

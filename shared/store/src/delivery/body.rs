//! The last body that a delivery sent, if a template, a preset or an e-mail made it from the
//! payload.
//!
//! A small body is an item of its own, a larger one an object next to the payloads. It is kept as
//! long as the payload, and the body of a later attempt replaces it. A delivery that sends its
//! payload unchanged stores no body.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use domain::delivery::Delivery;
use domain::id::DeliveryId;

use super::item::hash;
use super::payload::{Content, decompress, payload_expiry_seconds, sha256};
use super::{ObjectLocation, compression};
use crate::attributes::{Item, Reader, binary, flag, number, text};
use crate::expression::Change;
use crate::keys::{self, TTL};
use crate::{Store, StoreError};

/// The largest compressed body that is stored as an item. A larger one is cheaper as an object.
const ITEM_MAX_BYTES: usize = 8 * 1024;
/// The largest body that is compressed. A larger one becomes an object at once.
const COMPRESSED_MAX_BYTES: usize = 256 * 1024;
const LEVEL: i32 = 6;

const COMPRESSED: &str = "z";
const CONTENT_TYPE: &str = "ct";
const SHA256: &str = "h";
const SIZE: &str = "sz";
const VERSION: &str = "v";
/// Every version of the object that was written. Erasing deletes each of them.
const VERSIONS: &str = "vs";
/// The bodies were erased, and no further body is stored.
const ERASED: &str = "x";
/// How long the mark of an erasure is kept, which is longer than any attempt lasts.
const ERASED_KEPT_SECONDS: i64 = 86_400;
/// Stands for a version in a bucket without versioning.
const UNVERSIONED: &str = "-";

/// A body that was sent, with credentials redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentBody {
    /// The bytes of the body.
    pub bytes: Bytes,
    /// The media type of the body.
    pub content_type: String,
}

/// A body that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBody {
    /// The media type of the body.
    pub content_type: String,
    /// The SHA-256 of the body, lower-case hexadecimal.
    pub sha256: String,
    /// The length of the body in bytes.
    pub size_bytes: u64,
    /// The bytes of the body, or their location.
    pub content: Content,
}

impl SentBody {
    /// Returns the SHA-256 of the bytes, lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256(&self.bytes)
    }
}

impl Store {
    /// Stores the body of an attempt and replaces that of an earlier one, unless the bodies were
    /// erased while the attempt ran. This is idempotent.
    pub async fn keep_body(&self, delivery: &Delivery, body: &SentBody) -> Result<(), StoreError> {
        let mut change = Change::default();
        change
            .set(CONTENT_TYPE, text(&body.content_type))
            .set(SHA256, hash(&body.sha256()))
            .set(SIZE, number(body.bytes.len()));
        change.set(TTL, number(payload_expiry_seconds(delivery)));
        change.when().missing(ERASED);
        let mut object = None;
        match compressed(&body.bytes) {
            Some(compressed) => change.set(COMPRESSED, binary(compressed)).remove(VERSION),
            None => {
                // The condition comes too late for an object.
                let before = self.get("read a body", &keys::body(delivery.id)).await?;
                if before.is_some_and(|item| item.contains_key(ERASED)) {
                    return Ok(());
                }
                let version = self.put_body(delivery, body).await?;
                let version = version.unwrap_or_else(|| UNVERSIONED.to_owned());
                object = Some(location(&object_key(delivery), &version));
                change
                    .remove(COMPRESSED)
                    .set(VERSION, text(&version))
                    .add(VERSIONS, AttributeValue::Ss(vec![version]))
            }
        };
        let stored = self
            .change("keep a body", &keys::body(delivery.id), change)
            .await?
            .is_done();
        match object {
            Some(location) if !stored => self.delete_object(&location).await,
            _ => Ok(()),
        }
    }

    async fn put_body(
        &self,
        delivery: &Delivery,
        body: &SentBody,
    ) -> Result<Option<String>, StoreError> {
        let bucket = self.bucket.as_ref().ok_or(StoreError::NoBucket)?;
        let call = self
            .objects
            .put_object()
            .bucket(bucket)
            .key(object_key(delivery))
            .content_type(&body.content_type);
        let answer = call
            .body(ByteStream::from(body.bytes.clone()))
            .send()
            .await
            .map_err(StoreError::of("keep a body"))?;
        Ok(answer.version_id)
    }

    /// Returns the last body that a delivery sent; `None` if it was the payload or is no longer
    /// kept.
    pub async fn sent_body(&self, delivery: &Delivery) -> Result<Option<StoredBody>, StoreError> {
        let item = self.get("read a body", &keys::body(delivery.id)).await?;
        let Some(item) = item.filter(|item| self.is_alive(item) && !item.contains_key(ERASED))
        else {
            return Ok(None);
        };
        let from = Reader(&item);
        let content = match from.binary_opt(COMPRESSED)? {
            Some(compressed) => Content::Bytes(decompress(from, compressed)?),
            None => Content::Object(location(&object_key(delivery), from.text(VERSION)?)),
        };
        Ok(Some(StoredBody {
            content_type: from.text(CONTENT_TYPE)?.to_owned(),
            sha256: hex::encode(from.binary_opt(SHA256)?.unwrap_or_default()),
            size_bytes: from.number(SIZE)?,
            content,
        }))
    }

    /// Erases the bodies that a delivery sent. An attempt that still runs stores none afterwards.
    pub(crate) async fn erase_body(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let key = keys::body(delivery.id);
        // The mark comes first, so that no version is added after they were read.
        let mut mark = Change::default();
        mark.set(ERASED, flag())
            .set(TTL, number(self.now().as_seconds() + ERASED_KEPT_SECONDS));
        for name in [COMPRESSED, CONTENT_TYPE, SHA256, SIZE, VERSION] {
            mark.remove(name);
        }
        self.change("erase a body", &key, mark).await?;
        self.delete_versions(delivery.id, &object_key(delivery))
            .await
    }

    /// Removes the bodies that a delivery sent, and leaves no mark. `object` is the key of the
    /// bodies that are objects.
    pub(crate) async fn remove_body(&self, id: DeliveryId, object: &str) -> Result<(), StoreError> {
        self.delete_versions(id, object).await?;
        self.remove(keys::body(id)).await
    }

    async fn delete_versions(&self, id: DeliveryId, object: &str) -> Result<(), StoreError> {
        let item = self.get("read a body", &keys::body(id)).await?;
        for version in item.iter().flat_map(versions) {
            self.delete_object(&location(object, version)).await?;
        }
        Ok(())
    }
}

fn versions(item: &Item) -> impl Iterator<Item = &str> {
    item.get(VERSIONS)
        .and_then(|versions| versions.as_ss().ok())
        .into_iter()
        .flatten()
        .map(String::as_str)
}

/// Returns the key of a delivery's bodies that are objects.
pub(super) fn object_key(delivery: &Delivery) -> String {
    keys::body_object(
        delivery.payload_retention_days,
        delivery.organization,
        delivery.id,
    )
}

fn location(object: &str, version: &str) -> ObjectLocation {
    let version = Some(version.to_owned()).filter(|version| version != UNVERSIONED);
    ObjectLocation::own(object.to_owned(), version)
}

/// Compresses a body; `None` if the result is too large for an item.
fn compressed(bytes: &Bytes) -> Option<Vec<u8>> {
    if bytes.len() > COMPRESSED_MAX_BYTES {
        return None;
    }
    let compressed = compression::compress(bytes, LEVEL, b"");
    (compressed.len() <= ITEM_MAX_BYTES).then_some(compressed)
}

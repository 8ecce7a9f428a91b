//! Where a payload is stored: in its deliveries while that costs nothing, in an item of its own, or
//! in the bucket.

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use domain::delivery::Delivery;
use domain::id::{DeliveryId, MessageId, OrganizationId};
use futures_util::TryStreamExt as _;
use sha2::{Digest, Sha256};

use super::item::{
    PAYLOAD, PAYLOAD_COMPRESSED, PAYLOAD_OBJECT, PAYLOAD_PLACE, PAYLOAD_VERSION, hash, payload_days,
};
use super::object::Unreadable;
use super::size::{WRITE_UNIT_BYTES, item_size};
use super::{ObjectLocation, compression};
use crate::attributes::{Item, Put, Reader, binary, json, number, text};
use crate::expression::{Change, Condition};
use crate::keys::{self, PK, TTL};
use crate::{Store, StoreError};

/// What settling adds to an item: the record of an ordinary attempt, its token and the expiry.
pub(super) const SETTLE_RESERVE_BYTES: usize = 450;
/// The largest compressed payload that is stored as an item. A larger one is cheaper as an object.
const ITEM_MAX_BYTES: usize = 8 * 1024;
/// The largest decompressed payload that is stored inline or as an item.
const PAYLOAD_MAX_BYTES: usize = domain::limits::PAYLOAD_MAX_BYTES;
const LEVEL: i32 = 9;
const STORE_PAYLOAD: &str = "store a payload";
/// How much longer than its message's history a payload is kept. A delivery that is unfinished by
/// then can be retried for at most ten more days (20 retries, 12 hours apart).
const UNFINISHED_DAYS: i64 = 14;

/// The attributes that follow from an inline payload: its size and its hash.
const DERIVED_FROM_INLINE: &[&str] = &["sz", "h"];

const PLACE_ITEM: &str = "i";
const PLACE_OBJECT: &str = "o";
const PLACE_ELSEWHERE: &str = "e";
/// The payload was erased on request.
pub(super) const PLACE_ERASED: &str = "x";

/// Where a payload is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Placement {
    /// Unchanged, in every delivery.
    Inline(Bytes),
    /// Compressed, in every delivery.
    InlineCompressed(Vec<u8>),
    /// Compressed, in an item of its own.
    Item(Vec<u8>),
    /// Unchanged, as an object in the bucket.
    Object,
    /// The payload is already an object: an upload, or the submitter's.
    Elsewhere(ObjectLocation),
}

/// The content of a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The bytes of the payload.
    Bytes(Bytes),
    /// The location of an object that holds the bytes.
    Object(ObjectLocation),
}

/// Chooses where a payload goes whose deliveries' items have `item_bytes` without it: inline as
/// long as no write of a delivery costs another unit because of it.
pub(super) fn choose_placement(payload: &Bytes, item_bytes: usize) -> Placement {
    if payload.len() > PAYLOAD_MAX_BYTES {
        return Placement::Object;
    }
    let settled = item_bytes + SETTLE_RESERVE_BYTES;
    let room = settled.next_multiple_of(WRITE_UNIT_BYTES) - settled;
    if PAYLOAD.len() + payload.len() <= room {
        return Placement::Inline(payload.clone());
    }
    let compressed = compression::compress(payload, LEVEL, b"");
    if PAYLOAD_COMPRESSED.len() + compressed.len() <= room {
        Placement::InlineCompressed(compressed)
    } else if compressed.len() <= ITEM_MAX_BYTES {
        Placement::Item(compressed)
    } else {
        Placement::Object
    }
}

/// Chooses where a payload goes that is kept for a shorter time than its deliveries: never into
/// their items.
pub(super) fn choose_separate_placement(payload: &Bytes) -> Placement {
    if payload.len() > PAYLOAD_MAX_BYTES {
        return Placement::Object;
    }
    let compressed = compression::compress(payload, LEVEL, b"");
    if compressed.len() <= ITEM_MAX_BYTES {
        Placement::Item(compressed)
    } else {
        Placement::Object
    }
}

impl Placement {
    /// Records in a delivery's item where its payload is. The attributes that follow from an inline
    /// payload are removed.
    pub(super) fn note(&self, item: &mut Item, object_version: Option<&str>) {
        match self {
            Self::Inline(bytes) => item.put(PAYLOAD, binary(bytes.to_vec())),
            Self::InlineCompressed(bytes) => item.put(PAYLOAD_COMPRESSED, binary(bytes.clone())),
            Self::Item(_) => item.put(PAYLOAD_PLACE, text(PLACE_ITEM)),
            Self::Object => {
                item.put(PAYLOAD_PLACE, text(PLACE_OBJECT));
                item.put_some(PAYLOAD_VERSION, object_version.map(text));
            }
            Self::Elsewhere(location) => {
                item.put(PAYLOAD_PLACE, text(PLACE_ELSEWHERE));
                item.put(PAYLOAD_OBJECT, json(location));
            }
        }
        if matches!(self, Self::Inline(_) | Self::InlineCompressed(_)) {
            for name in DERIVED_FROM_INLINE {
                item.remove(*name);
            }
        }
    }
}

/// Returns the bytes of an inline payload.
pub(super) fn inline(from: Reader<'_>) -> Result<Option<Bytes>, StoreError> {
    if let Some(bytes) = from.binary_opt(PAYLOAD)? {
        return Ok(Some(Bytes::copy_from_slice(bytes)));
    }
    from.binary_opt(PAYLOAD_COMPRESSED)?
        .map(|compressed| decompress(from, compressed))
        .transpose()
}

/// Returns the bytes of a payload that is an item of its own.
pub(super) fn in_item(item: &Item) -> Result<Bytes, StoreError> {
    let from = Reader(item);
    let compressed = from
        .binary_opt(PAYLOAD_COMPRESSED)?
        .ok_or_else(|| from.corrupt("the payload is missing"))?;
    decompress(from, compressed)
}

pub(super) fn decompress(from: Reader<'_>, compressed: &[u8]) -> Result<Bytes, StoreError> {
    let size = compression::content_size(compressed)
        .filter(|size| *size <= PAYLOAD_MAX_BYTES)
        .ok_or_else(|| from.corrupt("the payload's length is unbelievable"))?;
    compression::decompress(compressed, size, b"")
        .map(Bytes::from)
        .map_err(|error| from.corrupt(error.to_string()))
}

/// Returns the object that a delivery's item names as its payload; `None` if the payload is no
/// object.
fn object(
    from: Reader<'_>,
    organization: OrganizationId,
    message: MessageId,
) -> Result<Option<ObjectLocation>, StoreError> {
    match from.text_opt(PAYLOAD_PLACE)? {
        Some(PLACE_OBJECT) => Ok(Some(ObjectLocation::own(
            keys::payload_object(payload_days(from)?, organization, message),
            from.text_opt(PAYLOAD_VERSION)?.map(str::to_owned),
        ))),
        Some(PLACE_ELSEWHERE) => from.json_opt(PAYLOAD_OBJECT),
        _ => Ok(None),
    }
}

/// The objects in the service's bucket that belong to a delivery. They are read without the rest of
/// its item, which may be unreadable.
pub(crate) struct OwnObjects {
    /// The object of the payload, if the payload is one.
    pub(crate) payload: Option<ObjectLocation>,
    /// The key of the bodies that are objects.
    pub(crate) bodies: String,
}

impl OwnObjects {
    /// Reads which objects belong to the delivery in an item.
    pub(crate) fn of(
        item: &Item,
        organization: OrganizationId,
        id: DeliveryId,
    ) -> Result<Self, StoreError> {
        let from = Reader(item);
        let payload = object(from, organization, id.message)?;
        Ok(Self {
            payload: payload.filter(|location| location.bucket.is_none()),
            bodies: keys::body_object(payload_days(from)?, organization, id),
        })
    }
}

/// Returns the SHA-256, lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns when the payload of a delivery is no longer shown.
pub(super) fn payload_expiry_seconds(delivery: &Delivery) -> i64 {
    delivery.created_at.as_seconds() + i64::from(delivery.payload_retention_days) * 86_400
}

/// Returns whether a conditional write was refused because there is an object, or another write of
/// one is in progress.
fn is_conflict<E>(error: &SdkError<E>) -> bool {
    error
        .raw_response()
        .is_some_and(|raw| matches!(raw.status().as_u16(), 409 | 412))
}

impl Store {
    /// Stores a payload that is not inline. Returns the version of the object, if there is one.
    pub(super) async fn store_payload(
        &self,
        delivery: &Delivery,
        placement: &Placement,
        payload: &Bytes,
    ) -> Result<Option<String>, StoreError> {
        match placement {
            Placement::Inline(_) | Placement::InlineCompressed(_) => Ok(None),
            Placement::Elsewhere(location) => {
                self.note_use(location, delivery).await.map(|()| None)
            }
            Placement::Item(compressed) => {
                let mut item = keys::payload(delivery.id.message).item();
                item.put(PAYLOAD_COMPRESSED, binary(compressed.clone()));
                item.put(
                    TTL,
                    number(payload_expiry_seconds(delivery) + UNFINISHED_DAYS * 86_400),
                );
                // A repeat of an interrupted submission writes the same bytes again.
                self.put("write a payload", item, Condition::default())
                    .await?;
                Ok(None)
            }
            Placement::Object => self.store_object(delivery, payload).await,
        }
    }

    /// Stores a payload as an object and returns its version. A repeat of an interrupted submission
    /// keeps the object of the first try, because deliveries that were written then name its
    /// version, and S3 soon deletes the versions that another one replaced.
    async fn store_object(
        &self,
        delivery: &Delivery,
        payload: &Bytes,
    ) -> Result<Option<String>, StoreError> {
        let bucket = self.bucket.as_ref().ok_or(StoreError::NoBucket)?;
        let key = keys::payload_object(
            delivery.payload_retention_days,
            delivery.organization,
            delivery.id.message,
        );
        let put = || {
            self.objects
                .put_object()
                .bucket(bucket)
                .key(&key)
                .content_type(&delivery.message.payload.content_type)
                .body(ByteStream::from(payload.clone()))
        };
        match put().if_none_match("*").send().await {
            Ok(answer) => return Ok(answer.version_id),
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(StoreError::of(STORE_PAYLOAD)(error)),
        }
        match self
            .object_head(&ObjectLocation::own(key.clone(), None))
            .await
        {
            Ok(head) if head.size_bytes == payload.len() as u64 => Ok(head.version),
            Err(Unreadable::Store(error)) => Err(error),
            // The object is not the payload, or was deleted meanwhile.
            Ok(_) | Err(_) => {
                let answer = put().send().await;
                Ok(answer.map_err(StoreError::of(STORE_PAYLOAD))?.version_id)
            }
        }
    }

    /// Returns the payload of a delivery: its bytes, or the location of its object. `None` if it is
    /// no longer kept.
    pub async fn content(&self, delivery: &Delivery) -> Result<Option<Content>, StoreError> {
        let Some(item) = self
            .get(
                "read a delivery",
                &keys::delivery(delivery.organization, delivery.id),
            )
            .await?
        else {
            return Ok(None);
        };
        if !self.is_alive(&item) {
            return Ok(None);
        }
        // An unfinished delivery still needs its payload.
        if delivery.status().is_finished()
            && self.now().as_seconds() >= payload_expiry_seconds(delivery)
        {
            return Ok(None);
        }
        let from = Reader(&item);
        if let Some(bytes) = inline(from)? {
            return Ok(Some(Content::Bytes(bytes)));
        }
        match from.text_opt(PAYLOAD_PLACE)? {
            Some(PLACE_ITEM) => {
                let item = self
                    .get("read a payload", &keys::payload(delivery.id.message))
                    .await?;
                let bytes = item
                    .filter(|item| self.is_alive(item))
                    .as_ref()
                    .map(in_item)
                    .transpose()?;
                Ok(bytes.map(Content::Bytes))
            }
            _ => {
                let (organization, message) = (delivery.organization, delivery.id.message);
                Ok(object(from, organization, message)?.map(Content::Object))
            }
        }
    }

    /// Reads a whole payload into memory. Call it for payloads of at most 1 MiB, or of a size that
    /// the caller has checked. `None` if it is no longer kept.
    pub async fn payload(&self, delivery: &Delivery) -> Result<Option<Bytes>, StoreError> {
        match self.content(delivery).await? {
            None => Ok(None),
            Some(Content::Bytes(bytes)) => Ok(Some(bytes)),
            Some(Content::Object(location)) => {
                self.read_entire_object(&location, delivery.message.payload.size_bytes)
                    .await
            }
        }
    }

    /// Returns the payload of a message; `None` if the message does not exist or its payload is no
    /// longer kept.
    pub async fn payload_of(
        &self,
        organization: OrganizationId,
        message: MessageId,
    ) -> Result<Option<Bytes>, StoreError> {
        let first = DeliveryId {
            message,
            position: 0,
        };
        match self.delivery(organization, first).await? {
            Some(delivery) => self.payload(&delivery).await,
            None => Ok(None),
        }
    }

    /// Reads a whole object of this size. `None` if it is gone or was replaced. Never holds more
    /// than `size_bytes`.
    pub async fn read_entire_object(
        &self,
        location: &ObjectLocation,
        size_bytes: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(pieces) = self.stream_object(location, size_bytes).await? else {
            return Ok(None);
        };
        let mut pieces = std::pin::pin!(pieces);
        let size = usize::try_from(size_bytes).unwrap_or(usize::MAX);
        let mut all = BytesMut::new();
        while let Some(piece) = pieces.try_next().await? {
            if piece.len() > size - all.len() {
                return Ok(None);
            }
            all.extend_from_slice(&piece);
        }
        Ok((all.len() == size).then(|| all.freeze()))
    }

    /// Erases a delivery's payload: its bytes, the body that was made of it, and what response
    /// bodies quoted of it. An object in the service's bucket is deleted with its last use; a
    /// submitter's object stays.
    pub async fn erase_payload(&self, delivery: &Delivery) -> Result<(), StoreError> {
        match self.content(delivery).await? {
            Some(Content::Object(location)) if location.bucket.is_none() => {
                self.end_use(&location, delivery.id.message).await?
            }
            _ => {}
        }
        self.delete(
            "erase a payload",
            &keys::payload(delivery.id.message),
            Condition::default(),
        )
        .await?;
        self.erase_body(delivery).await?;
        let mut change = Change::default();
        change.set(PAYLOAD_PLACE, text(PLACE_ERASED));
        // The size and the hash that followed from an inline payload are kept.
        let info = &delivery.message.payload;
        change.set("sz", number(info.size_bytes));
        change.set_or_remove("h", info.sha256.as_deref().map(hash));
        for name in [PAYLOAD, PAYLOAD_COMPRESSED, PAYLOAD_VERSION, PAYLOAD_OBJECT] {
            change.remove(name);
        }
        change.when().exists(PK);
        self.change(
            "erase a payload",
            &keys::delivery(delivery.organization, delivery.id),
            change,
        )
        .await?;
        self.erase_answers(delivery).await
    }
}

/// Whether a delivery's item records that its payload was erased on request.
pub(super) fn is_erased(delivery: &Item) -> bool {
    delivery.get(PAYLOAD_PLACE) == Some(&text(PLACE_ERASED))
}

/// Whether the payload is an item of its own.
pub(super) fn is_item(placement: &Placement) -> bool {
    matches!(placement, Placement::Item(_))
}

/// Returns the size of a delivery's item without an inline payload and without the attributes that
/// follow from one.
pub(super) fn unplaced_size(item: &Item) -> usize {
    let derived: Item = DERIVED_FROM_INLINE
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())))
        .collect();
    item_size(item) - item_size(&derived)
}

#[cfg(test)]
mod tests {
    use domain::receipt::Receipt;
    use domain::settle::AfterAttempt;

    use super::*;
    use crate::delivery::item::{TOKEN, encode};
    use crate::delivery::sample;

    #[test]
    fn the_reserve_is_enough_to_settle_an_ordinary_attempt() {
        let delivery = sample::delivery();
        let attempt = sample::attempt(&delivery);
        let now = attempt
            .started_at
            .plus(std::time::Duration::from_millis(150));
        let receipt = Receipt::HttpResponse {
            id: Some("7b1f4c52-9e0d-4c35-8a3e-2f6d1b9a0c47".to_owned()),
            status: 200,
        };
        let settled = delivery
            .clone()
            .settle(attempt, AfterAttempt::Succeeded(receipt), now)
            .unwrap();
        let mut item = encode(&settled);
        item.put(TOKEN, binary([0; 8]));
        let added = item_size(&item) - item_size(&encode(&delivery));
        assert!(added <= SETTLE_RESERVE_BYTES, "{added}");
    }

    #[test]
    fn a_payload_is_inline_if_it_fits_next_to_the_attempt() {
        let room = WRITE_UNIT_BYTES - SETTLE_RESERVE_BYTES - 300;
        let mut chance = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| chance.u8(..))
            .take(room)
            .collect();
        assert!(matches!(
            choose_placement(&Bytes::from(noise[..room - 1].to_vec()), 300),
            Placement::Inline(_)
        ));
        assert!(matches!(
            choose_placement(&Bytes::from(noise), 300),
            Placement::Item(_)
        ));
        assert!(matches!(
            choose_placement(&Bytes::from(vec![b'a'; 3000]), 300),
            Placement::InlineCompressed(_)
        ));
        assert!(matches!(
            choose_placement(&Bytes::from(vec![b'a'; 3000]), 1020 - SETTLE_RESERVE_BYTES),
            Placement::Item(_)
        ));
    }
}

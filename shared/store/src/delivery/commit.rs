//! The commit: a message's deliveries are written, `#00` last. Without `#00` there is no message.

use bytes::Bytes;
use domain::delivery::Delivery;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::item;
use super::payload::{Content, Placement, is_item, place, place_apart, unplaced_size};
use crate::attributes::Item;
use crate::expression::Condition;
use crate::keys::PK;
use crate::{Store, StoreError};

/// Writes of one fan-out under way at once.
const WRITES_AT_ONCE: usize = 32;

/// How a message was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The payload is an item of its own, which a worker reads along.
    pub payload_item: bool,
}

impl Store {
    /// Commits a message: its payload, its deliveries but the first, then the first. What is already there stays as it is, so that a
    /// submit that was interrupted can be repeated with the same ids, any number of times.
    pub async fn commit(&self, deliveries: &[Delivery], content: &Content) -> Result<Committed, StoreError> {
        let mut items: Vec<Item> = deliveries.iter().map(item::encode).collect();
        let Some(largest) = items.iter().map(unplaced_size).max() else { return Ok(Committed { payload_item: false }) };
        let (placement, payload) = match content {
            Content::Bytes(payload) if deliveries.iter().any(|delivery| delivery.payload_retention_days < delivery.retention_days) => {
                (place_apart(payload), payload.clone())
            }
            Content::Bytes(payload) => (place(payload, largest), payload.clone()),
            Content::Object(place) => (Placement::Elsewhere(place.clone()), Bytes::new()),
        };
        let version = self.store_payload(&deliveries[0], &placement, &payload).await?;
        for item in &mut items {
            placement.note(item, version.as_deref());
        }
        let mut items = items.into_iter();
        let first = items.next();
        stream::iter(items.map(|item| self.put_new(item))).buffer_unordered(WRITES_AT_ONCE).try_collect::<Vec<()>>().await?;
        if let Some(first) = first {
            self.put_new(first).await?;
        }
        Ok(Committed { payload_item: is_item(&placement) })
    }

    /// Puts an item unless there is one.
    async fn put_new(&self, item: Item) -> Result<(), StoreError> {
        let mut condition = Condition::default();
        condition.missing(PK);
        self.put("write a delivery", item, condition).await.map(drop)
    }
}

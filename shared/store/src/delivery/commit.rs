//! Commits a message: its deliveries are written, `#00` last. A message exists once `#00` does.

use bytes::Bytes;
use domain::delivery::Delivery;

use super::item;
use super::payload::{
    Content, Placement, choose_placement, choose_separate_placement, is_item, unplaced_size,
};
use crate::attributes::Item;
use crate::together::Write;
use crate::{Store, StoreError};

const ACTION: &str = "write a delivery";

/// How a message was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The payload is an item of its own, which a worker reads along.
    pub payload_item: bool,
}

impl Store {
    /// Commits a message: its payload, its deliveries except the first, then the first. Items that
    /// already exist are not changed, so an interrupted submission can be repeated with the same
    /// ids any number of times.
    pub async fn commit(
        &self,
        deliveries: &[Delivery],
        content: &Content,
    ) -> Result<Committed, StoreError> {
        let mut items: Vec<Item> = deliveries.iter().map(item::encode).collect();
        let Some(largest) = items.iter().map(unplaced_size).max() else {
            return Ok(Committed {
                payload_item: false,
            });
        };
        let (placement, payload) = match content {
            Content::Bytes(payload)
                if deliveries
                    .iter()
                    .any(|delivery| delivery.payload_retention_days < delivery.retention_days) =>
            {
                (choose_separate_placement(payload), payload.clone())
            }
            Content::Bytes(payload) => (choose_placement(payload, largest), payload.clone()),
            Content::Object(location) => (Placement::Elsewhere(location.clone()), Bytes::new()),
        };
        let version = self
            .store_payload(&deliveries[0], &placement, &payload)
            .await?;
        for item in &mut items {
            placement.note(item, version.as_deref());
        }
        let mut inserts: Vec<Write> = items.into_iter().map(Write::Insert).collect();
        let others = inserts.split_off(1);
        self.together.write_all(ACTION, others).await?;
        for first in inserts {
            self.together.write(ACTION, first).await?;
        }
        Ok(Committed {
            payload_item: is_item(&placement),
        })
    }
}

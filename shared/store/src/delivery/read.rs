//! Reads deliveries by their ids. A delivery whose message was never committed does not exist.

use std::collections::HashSet;

use domain::delivery::Delivery;
use domain::id::{DeliveryId, MessageId, OrganizationId};

use super::item::decode;
use crate::attributes::{Item, Reader, text};
use crate::expression::Condition;
use crate::keys::{self, Key, PK, SK};
use crate::unreadable::readable;
use crate::{Store, StoreError, skip_unreadable};

impl Store {
    /// Reads a delivery; `None` if it does not exist.
    pub async fn delivery(
        &self,
        organization: OrganizationId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        self.read_deliveries(&[(organization, id)])
            .await?
            .pop()
            .transpose()
            .map(Option::flatten)
    }

    /// Reads any number of deliveries, in the order of their ids. An unreadable one is logged,
    /// counted and left out, as if it did not exist.
    pub async fn deliveries(
        &self,
        ids: &[(OrganizationId, DeliveryId)],
    ) -> Result<Vec<Option<Delivery>>, StoreError> {
        let read = self.read_deliveries(ids).await?;
        read.into_iter()
            .map(|delivery| Ok(skip_unreadable(delivery)?.flatten()))
            .collect()
    }

    async fn read_deliveries(
        &self,
        ids: &[(OrganizationId, DeliveryId)],
    ) -> Result<Vec<Result<Option<Delivery>, StoreError>>, StoreError> {
        let mut keys: Vec<Key> = ids
            .iter()
            .map(|(organization, id)| keys::delivery(*organization, *id))
            .collect();
        keys.extend(
            ids.iter()
                .filter(|(_, id)| id.position != 0)
                .map(|(organization, id)| first_delivery_key(*organization, id.message)),
        );
        let items = self.get_all("read deliveries", &keys).await?;
        let there: HashSet<&Key> = keys
            .iter()
            .zip(&items)
            .filter_map(|(key, item)| item.as_ref().map(|_| key))
            .collect();
        let read = |(item, (organization, id)): (&Option<Item>, &(OrganizationId, DeliveryId))| {
            let delivery = item
                .as_ref()
                .filter(|item| self.is_alive(item))
                .map(decode)
                .transpose()?;
            Ok(delivery.filter(|delivery| {
                is_under_way(delivery)
                    || there.contains(&first_delivery_key(*organization, id.message))
            }))
        };
        Ok(items.iter().zip(ids).map(read).collect())
    }

    /// Reads all deliveries of a message, in the order of their positions; `None` if it was never
    /// committed or has expired. An unreadable delivery is logged, counted and left out. If none of
    /// them is readable, this is an error.
    pub async fn message(
        &self,
        organization: OrganizationId,
        id: MessageId,
    ) -> Result<Option<Vec<Delivery>>, StoreError> {
        let stored = self.stored_message(organization, id).await?;
        if stored.first().is_none_or(|(position, _)| *position != 0) {
            return Ok(None);
        }
        let mut deliveries: Vec<_> = stored.into_iter().map(|(_, delivery)| delivery).collect();
        if deliveries.iter().all(Result::is_err) {
            return deliveries
                .swap_remove(0)
                .map(|delivery| Some(vec![delivery]));
        }
        readable(deliveries).map(Some)
    }

    /// Reads the deliveries of a message with their positions, and why a delivery is unreadable.
    /// The message was committed if the first of them is at position 0.
    pub async fn stored_message(
        &self,
        organization: OrganizationId,
        id: MessageId,
    ) -> Result<Vec<(u16, Result<Delivery, StoreError>)>, StoreError> {
        let mut condition = Condition::default();
        condition.equals(PK, text(first_delivery_key(organization, id).pk));
        condition.begins_with(SK, text(keys::message_prefix(id)));
        let mut items = self
            .query(condition)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut deliveries = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(StoreError::of("read a message"))?;
            let sort = Reader(&item).text(SK)?;
            if self.is_alive(&item)
                && let Some(id) = keys::delivery_of(sort)
            {
                deliveries.push((id.position, decode(&item)));
            }
        }
        deliveries.sort_by_key(|(position, _)| *position);
        Ok(deliveries)
    }

    /// Returns those of `deliveries` whose message was committed.
    pub(super) async fn committed(
        &self,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let first =
            |delivery: &Delivery| first_delivery_key(delivery.organization, delivery.id.message);
        let mut there: HashSet<Key> = deliveries
            .iter()
            .filter(|delivery| is_under_way(delivery))
            .map(first)
            .collect();
        let mut seen = HashSet::new();
        let unsure: Vec<Key> = deliveries
            .iter()
            .map(first)
            .filter(|key| !there.contains(key) && seen.insert(key.clone()))
            .collect();
        let firsts = self.get_all("read deliveries", &unsure).await?;
        there.extend(
            unsure
                .into_iter()
                .zip(firsts)
                .filter_map(|(key, item)| item.map(|_| key)),
        );
        Ok(deliveries
            .into_iter()
            .filter(|delivery| there.contains(&first(delivery)))
            .collect())
    }
}

/// Returns the key of a message's first delivery, which commits the message.
pub(super) fn first_delivery_key(organization: OrganizationId, message: MessageId) -> Key {
    keys::delivery(
        organization,
        DeliveryId {
            message,
            position: 0,
        },
    )
}

/// Whether the delivery itself shows that its message was committed. The first delivery is the
/// commit, and nothing happens to the others before it. This stays true when the first has expired
/// and another was redelivered.
fn is_under_way(delivery: &Delivery) -> bool {
    delivery.id.position == 0 || delivery.generation > 0 || delivery.attempts > 0
}

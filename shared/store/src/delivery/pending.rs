//! Counts how many deliveries wait for a destination.

use aws_sdk_dynamodb::types::Select;
use domain::delivery::DeliveryStatus;
use domain::id::{DestinationId, OrganizationId};
use futures_util::future::{try_join, try_join_all};

use super::item::{STATUS, status};
use crate::attributes::{Item, text};
use crate::expression::Condition;
use crate::keys::{self, ATTENTION_DST, BY_DESTINATION, Key, PK, SK};
use crate::{Store, StoreError};

/// How many of the newest deliveries of each shard are checked for being queued. While some of them
/// are, [`READ_GROWTH`] times as many are checked next. If none of the newest is queued, hardly an
/// older one is.
const FIRST_READ: i32 = 8;
const READ_GROWTH: i32 = 5;
/// The count stops here: a destination with so many queued deliveries has a backlog, whatever its
/// exact size.
const ENTRIES_READ_MAX: i32 = 200;

/// A shard of a destination's deliveries, and how far it has been read.
struct Shard {
    number: u8,
    rest: Option<Item>,
}

impl Store {
    /// Counts unfinished deliveries to a destination: all that will be retried or wait, and those
    /// of the newest that have had no attempt yet.
    pub async fn pending(
        &self,
        organization: OrganizationId,
        shards: u8,
        destination: DestinationId,
    ) -> Result<u64, StoreError> {
        let open = [DeliveryStatus::Queued, DeliveryStatus::Retrying];
        let open = open
            .into_iter()
            .flat_map(|status| (0..shards).map(move |shard| (status, shard)));
        let retrying =
            try_join_all(open.map(|(status, shard)| self.open_count(destination, status, shard)));
        let (retrying, queued) = try_join(
            retrying,
            self.queued_count(organization, shards, destination),
        )
        .await?;
        Ok(retrying.into_iter().sum::<u64>() + queued)
    }

    pub(super) async fn open_count(
        &self,
        destination: DestinationId,
        status: DeliveryStatus,
        shard: u8,
    ) -> Result<u64, StoreError> {
        let mut condition = Condition::default();
        condition.equals(
            ATTENTION_DST.pk,
            text(keys::attention_dst(destination, status, shard)),
        );
        let query = self
            .query(condition)
            .index_name(ATTENTION_DST.name)
            .select(Select::Count);
        let mut pages = query.into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count +=
                u64::try_from(page.map_err(StoreError::of("count deliveries"))?.count).unwrap_or(0);
        }
        Ok(count)
    }

    pub(super) async fn queued_count(
        &self,
        organization: OrganizationId,
        shards: u8,
        destination: DestinationId,
    ) -> Result<u64, StoreError> {
        let action = "count queued deliveries";
        // Waiting deliveries are in the index and are counted there.
        let is_queued = |item: &Option<Item>| {
            let counts = |item: &Item| {
                item.get(STATUS) == Some(&status(DeliveryStatus::Queued))
                    && !item.contains_key(ATTENTION_DST.pk)
            };
            item.as_ref().is_some_and(counts)
        };
        let mut open: Vec<Shard> = (0..shards)
            .map(|number| Shard { number, rest: None })
            .collect();
        let (mut count, mut look, mut looked_at) = (0, FIRST_READ, 0);
        loop {
            let newest = open.into_iter().map(async |mut shard| {
                let keys = self
                    .newest_keys(organization, destination, &mut shard, look)
                    .await?;
                Ok::<_, StoreError>((shard, keys))
            });
            let newest = try_join_all(newest).await?;
            let keys: Vec<Key> = newest
                .iter()
                .flat_map(|(_, keys)| keys.iter().cloned())
                .collect();
            let items = self
                .get_parts(action, &keys, &[STATUS, ATTENTION_DST.pk])
                .await?;
            let mut items = items.iter();
            open = Vec::new();
            for (shard, keys) in newest {
                let queued = items
                    .by_ref()
                    .take(keys.len())
                    .filter(|item| is_queued(item))
                    .count();
                count += queued as u64;
                if queued > 0 && shard.rest.is_some() {
                    open.push(shard);
                }
            }
            looked_at += look;
            if open.is_empty() || looked_at >= ENTRIES_READ_MAX {
                return Ok(count);
            }
            look *= READ_GROWTH;
        }
    }

    /// Reads the keys of a shard's next newest deliveries.
    async fn newest_keys(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
        shard: &mut Shard,
        count: i32,
    ) -> Result<Vec<Key>, StoreError> {
        let mut condition = Condition::default();
        condition.equals(
            BY_DESTINATION.pk,
            text(keys::by_destination(destination, shard.number)),
        );
        let query = self
            .query(condition)
            .index_name(BY_DESTINATION.name)
            .scan_index_forward(false)
            .limit(count);
        let newest = query
            .set_exclusive_start_key(shard.rest.take())
            .send()
            .await
            .map_err(StoreError::of("list a destination's deliveries"))?;
        let keys: Vec<Key> = newest.items().iter().filter_map(Key::of).collect();
        debug_assert!(
            keys.iter()
                .all(|key| key.pk == keys::deliveries(organization, shard.number)),
            "{PK} and {SK} are the delivery's"
        );
        shard.rest = newest.last_evaluated_key;
        Ok(keys)
    }
}

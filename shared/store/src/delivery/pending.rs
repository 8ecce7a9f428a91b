//! How much waits for a destination.

use aws_sdk_dynamodb::types::Select;
use domain::delivery::DeliveryStatus;
use domain::id::{DestinationId, OrganizationId};
use futures_util::future::try_join_all;

use super::item::{STATUS, status};
use crate::attributes::text;
use crate::expression::Condition;
use crate::keys::{self, ATTENTION_DST, BY_DESTINATION, Key, PK, SK};
use crate::{Store, StoreError};

/// Of each shard, the newest deliveries that are looked at for whether they are still queued; while there are such among them, so many times
/// more. Where none of the newest waits, hardly an older one does.
const LOOK: i32 = 8;
const LOOK_FURTHER: i32 = 5;
/// Enough of them: who has so many waiting has a backlog, whatever its exact size.
const LOOKED_AT_MAX: i32 = 200;

impl Store {
    /// Unfinished deliveries to a destination: all that are to be tried again, and those of the newest that no attempt was made of yet.
    pub async fn pending(&self, organization: OrganizationId, shards: u8, destination: DestinationId) -> Result<u64, StoreError> {
        let of_shards = (0..shards).map(async |shard| {
            let retrying = self.retrying_count(destination, shard);
            let queued = self.queued_count(organization, destination, shard);
            let (retrying, queued) = futures_util::future::try_join(retrying, queued).await?;
            Ok::<_, StoreError>(retrying + queued)
        });
        Ok(try_join_all(of_shards).await?.into_iter().sum())
    }

    async fn retrying_count(&self, destination: DestinationId, shard: u8) -> Result<u64, StoreError> {
        let mut condition = Condition::default();
        condition.equals(ATTENTION_DST.pk, text(keys::attention_dst(destination, DeliveryStatus::Retrying, shard)));
        let query = self.query(condition).index_name(ATTENTION_DST.name).select(Select::Count);
        let mut pages = query.into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += u64::try_from(page.map_err(StoreError::of("count deliveries"))?.count).unwrap_or(0);
        }
        Ok(count)
    }

    async fn queued_count(&self, organization: OrganizationId, destination: DestinationId, shard: u8) -> Result<u64, StoreError> {
        let action = "count queued deliveries";
        let (mut count, mut look, mut looked_at, mut start) = (0, LOOK, 0, None);
        loop {
            let mut condition = Condition::default();
            condition.equals(BY_DESTINATION.pk, text(keys::by_destination(destination, shard)));
            let query = self.query(condition).index_name(BY_DESTINATION.name).scan_index_forward(false).limit(look);
            let newest = query.set_exclusive_start_key(start).send().await.map_err(StoreError::of(action))?;
            let keys: Vec<Key> = newest.items().iter().filter_map(Key::of).collect();
            debug_assert!(keys.iter().all(|key| key.pk == keys::deliveries(organization, shard)), "{PK} and {SK} are the delivery's");
            let items = self.get_parts(action, &keys, &[STATUS]).await?;
            let queued = items.iter().flatten().filter(|item| item.get(STATUS) == Some(&status(DeliveryStatus::Queued))).count();
            count += queued as u64;
            start = newest.last_evaluated_key;
            looked_at += look;
            if queued == 0 || start.is_none() || looked_at >= LOOKED_AT_MAX {
                return Ok(count);
            }
            look *= LOOK_FURTHER;
        }
    }
}

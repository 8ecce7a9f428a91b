//! A destination's open deliveries that its index lists: those that will be retried, and those that
//! wait although they are due.

use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::{DeliveryId, DestinationId, OrganizationId};
use futures_util::future::try_join_all;

use super::item::decode;
use crate::attributes::{Item, Reader, text};
use crate::expression::Condition;
use crate::keys::{self, ATTENTION_DST, Key, SK};
use crate::page::Walk;
use crate::unreadable::readable;
use crate::{Store, StoreError};

/// Bounds between which every delivery's sort key lies.
const ALL_KEYS: (&str, &str) = ("0", "8");

impl Store {
    /// Lists deliveries of a destination that will be retried or are waiting, oldest first, after
    /// `after`. Deliveries that are queued and wait for nothing are not included: their task is in
    /// a queue.
    pub async fn open_deliveries(
        &self,
        organization: OrganizationId,
        shards: u8,
        destination: DestinationId,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Walk<Delivery, DeliveryId>, StoreError> {
        let statuses = [DeliveryStatus::Queued, DeliveryStatus::Retrying];
        let partitions = statuses.into_iter().flat_map(|status| {
            (0..shards).map(move |shard| keys::attention_dst(destination, status, shard))
        });
        let reads = partitions.map(|partition| self.open_sorts(partition, after, limit));
        let mut sorts: Vec<String> = try_join_all(reads).await?.into_iter().flatten().collect();
        sorts.sort_unstable();
        sorts.dedup();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = sorts.len() >= limit;
        sorts.truncate(limit);
        let ids: Vec<DeliveryId> = sorts
            .iter()
            .filter_map(|sort| keys::delivery_of(sort))
            .collect();
        let next = ids.last().copied().filter(|_| more);
        let keys: Vec<Key> = ids
            .iter()
            .map(|id| keys::delivery(organization, *id))
            .collect();
        let items = self.get_all("read open deliveries", &keys).await?;
        let is_open = |item: &&Item| self.is_alive(item) && item.contains_key(ATTENTION_DST.pk);
        let found = readable(items.iter().flatten().filter(is_open).map(decode))?;
        let open = self
            .committed(found)
            .await?
            .into_iter()
            .filter(|delivery| !delivery.status().is_finished());
        Ok(Walk {
            items: open.collect(),
            next,
        })
    }

    /// Reads the sort keys of one partition.
    async fn open_sorts(
        &self,
        partition: String,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut condition = Condition::default();
        let low = after.map_or_else(|| ALL_KEYS.0.to_owned(), keys::delivery_sort);
        condition.equals(ATTENTION_DST.pk, text(partition)).between(
            ATTENTION_DST.sk,
            text(&low),
            text(ALL_KEYS.1),
        );
        // Reads one more, because `after` itself may be in the range.
        let limit = i32::try_from(limit.saturating_add(1)).unwrap_or(i32::MAX);
        let answer = self
            .query(condition)
            .index_name(ATTENTION_DST.name)
            .limit(limit)
            .send()
            .await;
        let answer = answer.map_err(StoreError::of("list open deliveries"))?;
        let sorts: Result<Vec<String>, _> = answer
            .items()
            .iter()
            .map(|item| Reader(item).text(SK).map(str::to_owned))
            .collect();
        Ok(sorts?
            .into_iter()
            .filter(|sort| after.is_none() || *sort != low)
            .collect())
    }
}

//! Pending deliveries of many destinations at once, in a number of calls that does not grow with
//! the destinations.
//!
//! The organization's indexes are read instead of each destination's, and the result is divided
//! among the destinations. Only a backlog that is too long for this, and destinations that hold
//! deliveries back, are counted one by one.

use std::collections::{BTreeSet, HashMap};

use domain::delivery::DeliveryStatus;
use domain::id::{DestinationId, OrganizationId};
use futures_util::future::{try_join_all, try_join3};

use super::item::{STATUS, status};
use crate::attributes::{Item, Reader, text};
use crate::expression::Condition;
use crate::keys::{self, ATTENTION_DST, ATTENTION_ORG, BY_DESTINATION, FAILING, Key, PK};
use crate::table::KEYS_IN_A_READ;
use crate::{Store, StoreError};

/// The newest deliveries of a shard that are searched for queued ones, and the second search if the
/// first found any.
const NEWEST: i32 = 250;
const NEWEST_FURTHER: i32 = 1_000;

/// How many pending deliveries each destination has.
type Counts = HashMap<DestinationId, u64>;

impl Store {
    /// The pending deliveries of each destination, in their order; the same count that
    /// [`Store::pending`] makes for one. `holding` are those that are paused or have limits, so
    /// that their deliveries may wait.
    pub async fn pending_of_each(
        &self,
        organization: OrganizationId,
        shards: u8,
        destinations: &[DestinationId],
        holding: &[DestinationId],
    ) -> Result<Vec<u64>, StoreError> {
        if let [destination] = destinations {
            return Ok(vec![
                self.pending(organization, shards, *destination).await?,
            ]);
        }
        let (retrying, queued, waiting) = try_join3(
            self.retrying_of_each(organization, shards, destinations),
            self.queued_of_each(organization, shards, destinations),
            self.waiting_of_each(shards, destinations, holding),
        )
        .await?;
        let count = |id: &DestinationId| {
            [&retrying, &queued, &waiting]
                .iter()
                .filter_map(|counts| counts.get(id))
                .sum()
        };
        Ok(destinations.iter().map(count).collect())
    }

    async fn retrying_of_each(
        &self,
        organization: OrganizationId,
        shards: u8,
        destinations: &[DestinationId],
    ) -> Result<Counts, StoreError> {
        let each = (0..shards).map(async |shard| {
            match self.retrying_in_shard(organization, shard).await? {
                Some(counts) => Ok(counts),
                None => {
                    self.count_each(destinations.iter().copied(), |id| {
                        self.open_count(id, DeliveryStatus::Retrying, shard)
                    })
                    .await
                }
            }
        });
        Ok(sum(try_join_all(each).await?))
    }

    /// `None` if there are more than one read returns.
    async fn retrying_in_shard(
        &self,
        organization: OrganizationId,
        shard: u8,
    ) -> Result<Option<Counts>, StoreError> {
        let action = "count deliveries to be retried";
        let mut condition = Condition::default();
        condition.equals(
            ATTENTION_ORG.pk,
            text(keys::attention_org(
                organization,
                DeliveryStatus::Retrying,
                shard,
            )),
        );
        let query = self.query(condition).index_name(ATTENTION_ORG.name);
        let limit = i32::try_from(KEYS_IN_A_READ).unwrap_or(i32::MAX);
        let found = query
            .limit(limit)
            .send()
            .await
            .map_err(StoreError::of(action))?;
        if found.last_evaluated_key().is_some() {
            return Ok(None);
        }
        let keys: Vec<Key> = found.items().iter().filter_map(Key::of).collect();
        let items = self
            .get_parts(action, &keys, &[STATUS, BY_DESTINATION.pk])
            .await?;
        let retrying = items
            .iter()
            .flatten()
            .filter(|item| item.get(STATUS) == Some(&status(DeliveryStatus::Retrying)));
        by_destination(retrying).map(Some)
    }

    async fn queued_of_each(
        &self,
        organization: OrganizationId,
        shards: u8,
        destinations: &[DestinationId],
    ) -> Result<Counts, StoreError> {
        let in_shards =
            try_join_all((0..shards).map(|shard| self.queued_in_shard(organization, shard)))
                .await?;
        match in_shards.into_iter().collect::<Option<Vec<Counts>>>() {
            Some(counts) => Ok(sum(counts)),
            None => {
                self.count_each(destinations.iter().copied(), |id| {
                    self.queued_count(organization, shards, id)
                })
                .await
            }
        }
    }

    /// Queued deliveries among a shard's newest; `None` if there are likely to be more before
    /// those. Deliveries that wait are not among them.
    async fn queued_in_shard(
        &self,
        organization: OrganizationId,
        shard: u8,
    ) -> Result<Option<Counts>, StoreError> {
        let (mut counts, mut start) = (Vec::new(), None);
        for limit in [NEWEST, NEWEST_FURTHER] {
            let mut condition = Condition::default();
            let (state, waits) = (condition.name(STATUS), condition.name(ATTENTION_DST.pk));
            let queued = format!(
                "{state} = {} AND attribute_not_exists({waits})",
                condition.value(status(DeliveryStatus::Queued))
            );
            let destination = condition.name(BY_DESTINATION.pk);
            condition.equals(PK, text(keys::deliveries(organization, shard)));
            let query = self
                .query(condition)
                .filter_expression(queued)
                .projection_expression(destination)
                .scan_index_forward(false);
            let found = query
                .limit(limit)
                .set_exclusive_start_key(start)
                .send()
                .await;
            let found = found.map_err(StoreError::of("count queued deliveries"))?;
            let is_last = found.items().is_empty() || found.last_evaluated_key.is_none();
            counts.push(by_destination(found.items().iter())?);
            if is_last {
                return Ok(Some(sum(counts)));
            }
            start = found.last_evaluated_key;
        }
        Ok(None)
    }

    /// Queued deliveries that wait for a pause to end or for their turn. A destination that no
    /// longer holds any back is watched until all that waited are released.
    async fn waiting_of_each(
        &self,
        shards: u8,
        destinations: &[DestinationId],
        holding: &[DestinationId],
    ) -> Result<Counts, StoreError> {
        let keys: Vec<Key> = destinations.iter().map(|id| keys::waiting(*id)).collect();
        let items = self.get_all("read what waits", &keys).await?;
        let is_watched = |item: &Option<Item>| {
            item.as_ref()
                .is_some_and(|item| item.contains_key(FAILING.pk))
        };
        let watched = destinations
            .iter()
            .zip(&items)
            .filter(|(_, item)| is_watched(item))
            .map(|(id, _)| *id);
        let holding: BTreeSet<DestinationId> = watched.chain(holding.iter().copied()).collect();
        let each = (0..shards).map(|shard| {
            self.count_each(holding.iter().copied(), move |id| {
                self.open_count(id, DeliveryStatus::Queued, shard)
            })
        });
        Ok(sum(try_join_all(each).await?))
    }

    async fn count_each<F>(
        &self,
        destinations: impl Iterator<Item = DestinationId>,
        count: impl Fn(DestinationId) -> F,
    ) -> Result<Counts, StoreError>
    where
        F: Future<Output = Result<u64, StoreError>>,
    {
        let each = destinations.map(|id| {
            let count = count(id);
            async move { Ok::<_, StoreError>((id, count.await?)) }
        });
        Ok(try_join_all(each).await?.into_iter().collect())
    }
}

fn sum(all: Vec<Counts>) -> Counts {
    let mut sum = Counts::new();
    for (id, count) in all.into_iter().flatten() {
        *sum.entry(id).or_default() += count;
    }
    sum
}

fn by_destination<'a>(items: impl Iterator<Item = &'a Item>) -> Result<Counts, StoreError> {
    let mut counts = Counts::new();
    for item in items {
        let from = Reader(item);
        let id = keys::destination_of(from.text(BY_DESTINATION.pk)?);
        *counts
            .entry(id.ok_or_else(|| from.corrupt("its index key names no destination"))?)
            .or_default() += 1;
    }
    Ok(counts)
}

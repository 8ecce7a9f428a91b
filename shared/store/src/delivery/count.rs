//! Counts the deliveries that match a filter.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use domain::id::OrganizationId;

use super::list::DeliveryFilter;
use crate::attributes::text;
use crate::expression::Condition;
use crate::keys::{PK, SK};
use crate::lane::{Range, Source};
use crate::{Store, StoreError};

/// Deliveries read in one step where no index answers the filter.
const PAGE: u32 = 500;

impl Store {
    /// Counts the deliveries that match. Where an index holds exactly those, its entries are
    /// counted without reading the deliveries.
    pub async fn count_deliveries(
        &self,
        organization: OrganizationId,
        shards: u8,
        filter: &DeliveryFilter,
    ) -> Result<u64, StoreError> {
        if filter.is_an_index() {
            let range = filter.range(None);
            let counts = filter
                .sources(organization, shards)
                .into_iter()
                .map(|source| self.count_source(source, &range));
            return Ok(futures_util::future::try_join_all(counts)
                .await?
                .into_iter()
                .sum());
        }
        let (mut count, mut after) = (0, None);
        loop {
            let page = self
                .deliveries_page(organization, shards, filter, after, PAGE)
                .await?;
            count += page.items.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Counts the deliveries that match, up to `most` in each partition. Returns `None` where no
    /// index holds exactly those, because counting would read every candidate.
    pub async fn count_deliveries_up_to(
        &self,
        organization: OrganizationId,
        shards: u8,
        filter: &DeliveryFilter,
        most: i32,
    ) -> Result<Option<u64>, StoreError> {
        if !filter.is_an_index() {
            return Ok(None);
        }
        let range = filter.range(None);
        let sources = filter.sources(organization, shards).into_iter();
        let counts = sources.map(|source| self.count_source_up_to(source, &range, most));
        Ok(Some(
            futures_util::future::try_join_all(counts)
                .await?
                .into_iter()
                .sum(),
        ))
    }

    async fn count_source_up_to(
        &self,
        source: Source,
        range: &Range,
        most: i32,
    ) -> Result<u64, StoreError> {
        if range.low > range.high {
            return Ok(0);
        }
        let query = self.counting(source, range).limit(most);
        let answer = query
            .send()
            .await
            .map_err(StoreError::of("count deliveries"))?;
        Ok(u64::try_from(answer.count).unwrap_or(0))
    }

    fn counting(&self, source: Source, range: &Range) -> QueryFluentBuilder {
        let (pk, sk) = source.index.map_or((PK, SK), |index| (index.pk, index.sk));
        let mut condition = Condition::default();
        condition.equals(pk, text(&source.partition));
        condition.between(sk, text(&range.low), text(&range.high));
        let index = source.index.map(|index| index.name.to_owned());
        self.query(condition)
            .select(Select::Count)
            .set_index_name(index)
    }

    async fn count_source(&self, source: Source, range: &Range) -> Result<u64, StoreError> {
        if range.low > range.high {
            return Ok(0);
        }
        let query = self.counting(source, range);
        let (mut count, mut start) = (0, None);
        loop {
            let answer = query
                .clone()
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::of("count deliveries"))?;
            count += u64::try_from(answer.count).unwrap_or(0);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }
}

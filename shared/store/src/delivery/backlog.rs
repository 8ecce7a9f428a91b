//! Counts unfinished deliveries: retrying ones by their index, queued ones among the newest
//! deliveries.

use aws_sdk_dynamodb::types::Select;
use domain::Timestamp;
use domain::delivery::DeliveryStatus;
use domain::id::{Id as _, OrganizationId};
use futures_util::future::try_join_all;

use super::item::{STATUS, status};
use crate::attributes::{Item, text};
use crate::expression::Condition;
use crate::keys::{self, ATTENTION_ORG, PK, SK};
use crate::{Store, StoreError};

/// How many of the newest deliveries of a shard are read. If one of them is queued,
/// [`READ_GROWTH`] times as many are read next.
const FIRST_READ: i32 = 250;
const READ_GROWTH: i32 = 4;

/// The unfinished deliveries of an organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many there are. Queued deliveries are counted only among those that were read.
    pub count: u64,
    /// When the oldest of them was accepted.
    pub oldest_at: Option<Timestamp>,
}

impl Backlog {
    fn and(self, other: Self) -> Self {
        let oldest_at = self.oldest_at.into_iter().chain(other.oldest_at).min();
        Self {
            count: self.count + other.count,
            oldest_at,
        }
    }
}

impl Store {
    /// Returns an approximate count of an organization's unfinished deliveries, for the operator's
    /// overview.
    pub async fn backlog(
        &self,
        organization: OrganizationId,
        shards: u8,
    ) -> Result<Backlog, StoreError> {
        let shards = (0..shards).map(async |shard| {
            Ok::<_, StoreError>(
                self.retrying_in(organization, shard)
                    .await?
                    .and(self.queued_in(organization, shard).await?),
            )
        });
        Ok(try_join_all(shards)
            .await?
            .into_iter()
            .fold(Backlog::default(), Backlog::and))
    }

    async fn retrying_in(
        &self,
        organization: OrganizationId,
        shard: u8,
    ) -> Result<Backlog, StoreError> {
        let partition = || {
            let mut condition = Condition::default();
            condition.equals(
                ATTENTION_ORG.pk,
                text(keys::attention_org(
                    organization,
                    DeliveryStatus::Retrying,
                    shard,
                )),
            );
            self.query(condition).index_name(ATTENTION_ORG.name)
        };
        let oldest = partition()
            .limit(1)
            .send()
            .await
            .map_err(StoreError::of("find the oldest pending delivery"))?;
        let Some(oldest_at) = oldest.items().first().and_then(accepted_at) else {
            return Ok(Backlog::default());
        };
        let mut pages = partition().select(Select::Count).into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += u64::try_from(
                page.map_err(StoreError::of("count pending deliveries"))?
                    .count,
            )
            .unwrap_or(0);
        }
        Ok(Backlog {
            count,
            oldest_at: Some(oldest_at),
        })
    }

    async fn queued_in(
        &self,
        organization: OrganizationId,
        shard: u8,
    ) -> Result<Backlog, StoreError> {
        let (mut found, mut start) = (Backlog::default(), None);
        for look in [FIRST_READ, FIRST_READ * READ_GROWTH] {
            let mut condition = Condition::default();
            let queued = format!(
                "{} = {}",
                condition.name(STATUS),
                condition.value(status(DeliveryStatus::Queued))
            );
            let sort = condition.name(SK);
            condition.equals(PK, text(keys::deliveries(organization, shard)));
            let call = self
                .query(condition)
                .filter_expression(queued)
                .projection_expression(sort)
                .scan_index_forward(false);
            let call = call.limit(look).set_exclusive_start_key(start);
            let answer = call
                .send()
                .await
                .map_err(StoreError::of("count queued deliveries"))?;
            let oldest_at = answer.items().last().and_then(accepted_at);
            found = found.and(Backlog {
                count: answer.items().len() as u64,
                oldest_at,
            });
            start = answer.last_evaluated_key;
            if oldest_at.is_none() || start.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

fn accepted_at(item: &Item) -> Option<Timestamp> {
    let id = keys::delivery_of(item.get(SK)?.as_s().ok()?)?;
    Some(id.message.ulid().time())
}

//! Lists accepted messages, oldest first, and finds those that were never addressed to a
//! destination.

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::event_type::{EventPattern, EventType};
use domain::id::{DeliveryId, DestinationId, MessageId, OrganizationId, Ulid};
use futures_util::future::try_join_all;

use super::item::decode;
use crate::attributes::{Item, Reader, text};
use crate::expression::Condition;
use crate::keys::{self, PK, SK};
use crate::page::Walk;
use crate::unreadable::readable;
use crate::{Store, StoreError};

/// Items that one step reads of each shard.
const STEP: i32 = 200;

/// Selects the messages that a backfill sends to a destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// The destination that missed the messages.
    pub destination: DestinationId,
    /// Messages whose event type matches one of these patterns.
    pub event_types: Vec<EventPattern>,
    /// Messages of exactly this event type. If set, `event_types` is ignored.
    pub event_type: Option<EventType>,
    /// Messages with this reference.
    pub reference: Option<String>,
    /// Messages accepted at this time or later.
    pub since: Timestamp,
    /// Messages accepted before this time.
    pub until: Timestamp,
}

impl Missed {
    /// Whether this is the first delivery of a selected message. Tests and Waybill's own messages
    /// are never selected.
    fn means(&self, first: &Delivery) -> bool {
        let message = &first.message;
        let is_type = match &self.event_type {
            Some(event_type) => *event_type == message.event_type,
            None => self
                .event_types
                .iter()
                .any(|pattern| pattern.matches(&message.event_type)),
        };
        let is_reference = self
            .reference
            .as_ref()
            .is_none_or(|reference| Some(reference) == message.reference.as_ref());
        first.id.position == 0
            && is_type
            && is_reference
            && !message.test
            && !message.event_type.is_reserved()
    }
}

impl Store {
    /// Returns the first deliveries of at most `limit` messages that a destination missed, oldest
    /// first, after `after`. A step covers a part of the history, so it may return nothing without
    /// being the last.
    pub async fn missed(
        &self,
        organization: OrganizationId,
        shards: u8,
        missed: &Missed,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Walk<Delivery, DeliveryId>, StoreError> {
        let low = after.map_or_else(
            || Ulid::first_at(missed.since).to_string(),
            |after| format!("{}~", keys::message_prefix(after.message)),
        );
        let high = Ulid::first_at(missed.until).to_string();
        if low >= high {
            return Ok(Walk {
                items: Vec::new(),
                next: None,
            });
        }
        let reads =
            (0..shards).map(|shard| self.accepted_stretch(organization, shard, &low, &high));
        let stretches = try_join_all(reads).await?;
        // Past the end of the shortest stretch, not every shard has been read.
        let end: Option<MessageId> = stretches.iter().filter_map(|(_, end)| *end).min();
        let mut firsts: Vec<Delivery> = Vec::new();
        let items = stretches.iter().flat_map(|(items, _)| items);
        for delivery in readable(items.filter(|item| self.is_alive(item)).map(decode))? {
            if missed.means(&delivery) && end.is_none_or(|end| delivery.id.message <= end) {
                firsts.push(delivery);
            }
        }
        firsts.sort_by_key(|first| first.id);
        let mut found: Vec<Delivery> = Vec::new();
        for first in firsts {
            if found.len() >= limit {
                return Ok(Walk {
                    next: found.last().map(|first| first.id),
                    items: found,
                });
            }
            let addressed = match first.fan_out {
                1 => first.destination == missed.destination,
                _ => {
                    let deliveries = self
                        .message(organization, first.id.message)
                        .await?
                        .unwrap_or_default();
                    deliveries
                        .iter()
                        .any(|delivery| delivery.destination == missed.destination)
                }
            };
            if !addressed {
                found.push(first);
            }
        }
        Ok(Walk {
            items: found,
            next: end.map(|message| DeliveryId {
                message,
                position: 0,
            }),
        })
    }

    /// Counts the messages that a destination missed.
    pub async fn count_missed(
        &self,
        organization: OrganizationId,
        shards: u8,
        missed: &Missed,
    ) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let step = self
                .missed(organization, shards, missed, after, usize::MAX)
                .await?;
            count += step.items.len() as u64;
            after = step.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Reads the next items of a shard. The message is the last one that was read; `None` if the
    /// shard has no more.
    async fn accepted_stretch(
        &self,
        organization: OrganizationId,
        shard: u8,
        low: &str,
        high: &str,
    ) -> Result<(Vec<Item>, Option<MessageId>), StoreError> {
        let mut condition = Condition::default();
        condition
            .equals(PK, text(keys::deliveries(organization, shard)))
            .between(SK, text(low), text(high));
        let answer = self
            .query(condition)
            .consistent_read(true)
            .limit(STEP)
            .send()
            .await
            .map_err(StoreError::of("read what was accepted"))?;
        let more = answer.last_evaluated_key.is_some();
        let items = answer.items.unwrap_or_default();
        let last = items
            .last()
            .map(|item| Reader(item).text(SK))
            .transpose()?
            .and_then(keys::delivery_of);
        Ok((items, last.map(|last| last.message).filter(|_| more)))
    }
}

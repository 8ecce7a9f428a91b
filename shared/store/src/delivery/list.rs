//! Lists deliveries and messages, newest first. The best fitting index is read, and the rest of the
//! filter is applied here.

use std::collections::{BTreeSet, HashMap};

use domain::Timestamp;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::event_type::EventType;
use domain::id::{DeliveryId, DestinationId, Id, MessageId, OrganizationId, Ulid};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::item::{ATTENTION, decode};
use crate::attributes::Item;
use crate::keys::{
    self, ATTENTION_DST, ATTENTION_ORG, BY_DESTINATION, Key, TROUBLE, TROUBLE_PARTITIONS,
    TroubleKind,
};
use crate::lane::{Entry, Merge, Range, Source, by_reference};
use crate::page::Walk;
use crate::unreadable::readable;
use crate::{Store, StoreError};

/// Entries that one page reads before it is returned even if it is not full.
const ENTRIES_READ_MAX: usize = 2_000;
/// The most entries that one step of a page reads. Each step reads twice as many as the one before.
const STEP_ENTRIES_MAX: usize = 200;
/// The most deliveries on a page of messages, so that the response stays within a function's limit.
/// A message with more is on a page of its own.
const DELIVERIES_MAX: usize = 500;
/// Entries that one query reads.
const QUERY_PAGE: std::ops::RangeInclusive<u32> = 11..=101;

/// Selects deliveries. A field that is `None` or empty does not restrict the selection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryFilter {
    /// Deliveries to this destination.
    pub destination: Option<DestinationId>,
    /// Deliveries in one of these statuses.
    pub statuses: Vec<DeliveryStatus>,
    /// Deliveries of this event type.
    pub event_type: Option<EventType>,
    /// Deliveries of this message.
    pub message: Option<MessageId>,
    /// Deliveries of messages with this reference.
    pub reference: Option<String>,
    /// Deliveries created at this time or later.
    pub since: Option<Timestamp>,
    /// Deliveries created before this time.
    pub until: Option<Timestamp>,
}

/// Selects messages. A field that is `None` does not restrict the selection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageFilter {
    /// Messages of this event type.
    pub event_type: Option<EventType>,
    /// Messages with this reference.
    pub reference: Option<String>,
    /// Messages created at this time or later.
    pub since: Option<Timestamp>,
    /// Messages created before this time.
    pub until: Option<Timestamp>,
    /// Whether to include Waybill's own messages, `waybill.*`.
    pub system: bool,
}

impl DeliveryFilter {
    /// Whether one or more index partitions hold exactly what matches.
    pub(super) fn is_an_index(&self) -> bool {
        let plain = self.event_type.is_none() && self.message.is_none() && self.reference.is_none();
        plain && (self.needs_attention() || self.statuses.is_empty())
    }

    /// Returns the partitions of `trouble` that hold the deliveries of all organizations in these
    /// statuses. `None` if one of the statuses is in no index that spans organizations.
    fn everywhere(&self) -> Option<Vec<Source>> {
        let kinds: Option<BTreeSet<TroubleKind>> = self
            .statuses
            .iter()
            .map(|status| TroubleKind::of(*status))
            .collect();
        let kinds = kinds.filter(|kinds| !kinds.is_empty())?;
        let partitions = kinds
            .into_iter()
            .flat_map(|kind| (0..TROUBLE_PARTITIONS).map(move |n| keys::trouble(kind, n)));
        let source = |partition| Source {
            index: Some(TROUBLE),
            partition,
            whole_messages: false,
        };
        Some(partitions.map(source).collect())
    }

    fn needs_attention(&self) -> bool {
        !self.statuses.is_empty()
            && self
                .statuses
                .iter()
                .all(|status| ATTENTION.contains(status))
    }

    pub(super) fn sources(&self, organization: OrganizationId, shards: u8) -> Vec<Source> {
        let needs_attention = self.needs_attention();
        let source = |index, partition| Source {
            index,
            partition,
            whole_messages: false,
        };
        let attention = |index, partition: &dyn Fn(DeliveryStatus, u8) -> String| {
            let statuses: BTreeSet<DeliveryStatus> = self.statuses.iter().copied().collect();
            let partitions = statuses
                .into_iter()
                .flat_map(|status| (0..shards).map(move |shard| (status, shard)));
            partitions
                .map(|(status, shard)| source(Some(index), partition(status, shard)))
                .collect()
        };
        match (self.message, &self.reference, self.destination) {
            (Some(message), _, _) => vec![source(
                None,
                keys::deliveries(organization, message.ulid().shard()),
            )],
            (None, Some(reference), _) => vec![by_reference(organization, reference, true)],
            (None, None, Some(to)) if needs_attention => {
                attention(ATTENTION_DST, &|status, shard| {
                    keys::attention_dst(to, status, shard)
                })
            }
            (None, None, Some(to)) => (0..shards)
                .map(|shard| source(Some(BY_DESTINATION), keys::by_destination(to, shard)))
                .collect(),
            (None, None, None) if needs_attention => attention(ATTENTION_ORG, &|status, shard| {
                keys::attention_org(organization, status, shard)
            }),
            (None, None, None) => table(organization, shards),
        }
    }

    pub(super) fn range(&self, after: Option<DeliveryId>) -> Range {
        let mut range = range(self.since, self.until);
        if let Some(message) = self.message {
            range.low = range.low.max(keys::message_prefix(message));
            range.high = range
                .high
                .min(format!("{}~", keys::message_prefix(message)));
        }
        range.before = after.map(keys::delivery_sort);
        range.narrow()
    }

    fn admits(&self, delivery: &Delivery) -> bool {
        self.destination.is_none_or(|id| id == delivery.destination)
            && (self.statuses.is_empty() || self.statuses.contains(&delivery.status()))
            && self
                .event_type
                .as_ref()
                .is_none_or(|event_type| *event_type == delivery.message.event_type)
            && self
                .reference
                .as_ref()
                .is_none_or(|reference| Some(reference) == delivery.message.reference.as_ref())
    }
}

impl MessageFilter {
    fn sources(&self, organization: OrganizationId, shards: u8) -> Vec<Source> {
        match &self.reference {
            Some(reference) => vec![by_reference(organization, reference, false)],
            None => table(organization, shards),
        }
    }

    fn range(&self, after: Option<MessageId>) -> Range {
        let first = |message| {
            keys::delivery_sort(DeliveryId {
                message,
                position: 0,
            })
        };
        Range {
            before: after.map(first),
            ..range(self.since, self.until)
        }
        .narrow()
    }

    fn admits(&self, first: &Delivery) -> bool {
        (self.system || !first.message.event_type.is_reserved())
            && self
                .event_type
                .as_ref()
                .is_none_or(|event_type| *event_type == first.message.event_type)
    }
}

fn table(organization: OrganizationId, shards: u8) -> Vec<Source> {
    let source = |shard| Source {
        index: None,
        partition: keys::deliveries(organization, shard),
        whole_messages: false,
    };
    (0..shards).map(source).collect()
}

/// Returns the sort keys of what was created in this time. No delivery's sort key is a bare ULID,
/// so the bounds themselves never match.
fn range(since: Option<Timestamp>, until: Option<Timestamp>) -> Range {
    let bound = |time| Ulid::first_at(time).to_string();
    // A ULID's first digit is 0 to 7.
    Range {
        low: since.map_or("0".to_owned(), bound),
        high: until.map_or("8".to_owned(), bound),
        before: None,
    }
}

impl Store {
    /// Lists an organization's deliveries, newest first. `shards` is the most shards that it ever
    /// had.
    pub async fn deliveries_page(
        &self,
        organization: OrganizationId,
        shards: u8,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Walk<Delivery, DeliveryId>, StoreError> {
        self.walk_deliveries(filter.sources(organization, shards), filter, after, limit)
            .await
    }

    /// Lists the deliveries of all organizations that are in one of the filter's statuses, newest
    /// first. Returns `None` if the filter names no status, or one that cannot be listed across
    /// organizations.
    pub async fn deliveries_everywhere(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Option<Walk<Delivery, DeliveryId>>, StoreError> {
        let Some(sources) = filter.everywhere() else {
            return Ok(None);
        };
        self.walk_deliveries(sources, filter, after, limit)
            .await
            .map(Some)
    }

    async fn walk_deliveries(
        &self,
        sources: Vec<Source>,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Walk<Delivery, DeliveryId>, StoreError> {
        let (count, query_page) = sizes(limit);
        let mut merge = Merge::new(self, sources, filter.range(after), query_page);
        let (mut items, mut looked_at, mut step) = (Vec::new(), 0, count);
        while looked_at < ENTRIES_READ_MAX {
            let entries = merge.take(step).await?;
            step = (2 * step).min(STEP_ENTRIES_MAX);
            let Some(last) = entries
                .last()
                .and_then(|entry| keys::delivery_of(&entry.key.sk))
            else {
                break;
            };
            looked_at += entries.len();
            let read = self.read_entries(entries).await?;
            items.extend(
                self.committed(
                    read.into_iter()
                        .filter(|delivery| filter.admits(delivery))
                        .collect(),
                )
                .await?,
            );
            if items.len() > count {
                items.truncate(count);
                return Ok(Walk {
                    next: items.last().map(|delivery: &Delivery| delivery.id),
                    items,
                });
            }
            if items.len() == count || looked_at >= ENTRIES_READ_MAX {
                return Ok(Walk {
                    items,
                    next: (!merge.is_at_end()).then_some(last),
                });
            }
        }
        Ok(Walk { items, next: None })
    }

    /// Lists an organization's messages, newest first, each with all of its deliveries.
    pub async fn messages_page(
        &self,
        organization: OrganizationId,
        shards: u8,
        filter: &MessageFilter,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Walk<Vec<Delivery>, MessageId>, StoreError> {
        let (count, query_page) = sizes(limit);
        let mut merge = Merge::new(
            self,
            filter.sources(organization, shards),
            filter.range(after),
            query_page,
        );
        let (mut items, mut looked_at, mut step, mut passed, mut deliveries) =
            (Vec::new(), 0, count, None, 0);
        let mut taken = None;
        let mut read_along: HashMap<MessageId, Vec<Item>> = HashMap::new();
        // A message has been passed once its first delivery was read, which comes last.
        while looked_at < ENTRIES_READ_MAX || passed.is_none() {
            let entries = merge.take(step).await?;
            step = (2 * step).min(STEP_ENTRIES_MAX);
            if entries.is_empty() {
                break;
            }
            looked_at += entries.len();
            let (firsts, others): (Vec<Entry>, Vec<Entry>) = entries
                .into_iter()
                .partition(|entry| position_of(entry) == Some(0));
            for Entry { key, item } in others {
                if let Some((id, item)) = keys::delivery_of(&key.sk).zip(item) {
                    read_along.entry(id.message).or_default().push(item);
                }
            }
            passed = firsts
                .last()
                .and_then(|entry| keys::delivery_of(&entry.key.sk))
                .map(|id| id.message)
                .or(passed);
            let read = self.read_entries(firsts).await?;
            let mut wanted: Vec<Delivery> = read
                .into_iter()
                .filter(|first| filter.admits(first))
                .collect();
            let room = wanted.iter().take(count - items.len()).take_while(|first| {
                deliveries += usize::from(first.fan_out);
                deliveries <= DELIVERIES_MAX.max(usize::from(first.fan_out))
            });
            let room = room.count();
            let cut = wanted.len() > room;
            wanted.truncate(room);
            taken = wanted.last().map(|first| first.id.message).or(taken);
            if cut {
                passed = taken;
            }
            let whole = wanted.into_iter().map(|first| {
                let others = read_along.remove(&first.id.message).unwrap_or_default();
                self.whole_message(first, others)
            });
            items.extend(readable(join_all(whole).await)?.into_iter().flatten());
            if cut || items.len() == count || looked_at >= ENTRIES_READ_MAX && passed.is_some() {
                return Ok(Walk {
                    items,
                    next: passed.filter(|_| cut || !merge.is_at_end()),
                });
            }
        }
        Ok(Walk { items, next: None })
    }

    /// Returns all deliveries of a message: those that the list has read already, or else those in
    /// the table. A list that starts within a message, or reads an index, lacks some of them.
    async fn whole_message(
        &self,
        first: Delivery,
        others: Vec<Item>,
    ) -> Result<Option<Vec<Delivery>>, StoreError> {
        if others.len() + 1 < usize::from(first.fan_out) {
            return self.message(first.organization, first.id.message).await;
        }
        let alive = others.iter().filter(|item| self.is_alive(item));
        let mut deliveries = readable(alive.map(decode))?;
        deliveries.push(first);
        deliveries.sort_by_key(|delivery| delivery.id.position);
        Ok(Some(deliveries))
    }

    /// Returns the deliveries of a list's entries, in their order. Entries of an index are read
    /// from the table.
    async fn read_entries(&self, entries: Vec<Entry>) -> Result<Vec<Delivery>, StoreError> {
        let missing: Vec<Key> = entries
            .iter()
            .filter(|entry| entry.item.is_none())
            .map(|entry| entry.key.clone())
            .collect();
        let mut found = self.get_all("list deliveries", &missing).await?.into_iter();
        let items = entries
            .into_iter()
            .filter_map(|entry| entry.item.or_else(|| found.next().flatten()));
        readable(
            items
                .filter(|item| self.is_alive(item))
                .map(|item| decode(&item)),
        )
    }
}

fn position_of(entry: &Entry) -> Option<u16> {
    keys::delivery_of(&entry.key.sk).map(|id| id.position)
}

/// Returns how many items are wanted and how many entries one query reads: one more, so that the
/// end of a list is recognized.
fn sizes(limit: u32) -> (usize, i32) {
    let query_page = (limit.saturating_add(1)).clamp(*QUERY_PAGE.start(), *QUERY_PAGE.end());
    (
        usize::try_from(limit.max(1)).unwrap_or(usize::MAX),
        i32::try_from(query_page).unwrap_or(i32::MAX),
    )
}

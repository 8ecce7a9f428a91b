//! Reads several partitions concurrently and merges them, newest first.
//!
//! A lane is one partition of the table or of an index, read page by page. The merge takes the
//! newest of the lanes' first entries, and only while every lane that is not at its end has one, so
//! that nothing is skipped where a lane's page ended. An entry that is in two lanes, because it
//! changed status, is returned once.

use std::collections::VecDeque;

use domain::id::OrganizationId;
use futures_util::future::try_join_all;

use crate::attributes::{Item, text};
use crate::expression::Condition;
use crate::keys::{self, BY_REFERENCE, Index, Key, PK, SK};
use crate::{Store, StoreError, skip_unreadable};

/// A partition to read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The index; `None` for the table itself, whose items are complete and strongly consistent.
    pub(crate) index: Option<Index>,
    /// The name of the partition.
    pub(crate) partition: String,
    /// Whether to replace each message that is found by all of its deliveries.
    pub(crate) whole_messages: bool,
}

/// The range of sort keys to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The lowest sort key, inclusive.
    pub(crate) low: String,
    /// The highest sort key, inclusive.
    pub(crate) high: String,
    /// Only sort keys below this one are returned: how far an earlier read came.
    pub(crate) before: Option<String>,
}

impl Range {
    /// Narrows the range so that what was returned before is not read again.
    pub(crate) fn narrow(mut self) -> Self {
        if let Some(before) = self.before.as_ref().filter(|before| **before < self.high) {
            self.high.clone_from(before);
        }
        self
    }
}

/// An entry of a list: the key of the listed item, and the item if the lane read it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) item: Option<Item>,
}

/// A partition that is being read, with the entries that are not merged yet.
#[derive(Debug)]
struct Lane {
    source: Source,
    heads: VecDeque<Entry>,
    start: Option<Item>,
    at_end: bool,
}

/// Merges the lanes of a list.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    store: &'a Store,
    range: Range,
    page_size: i32,
    lanes: Vec<Lane>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(
        store: &'a Store,
        sources: Vec<Source>,
        range: Range,
        page_size: i32,
    ) -> Self {
        let lane = |source| Lane {
            source,
            heads: VecDeque::new(),
            start: None,
            at_end: false,
        };
        let lanes = if range.low <= range.high {
            sources.into_iter().map(lane).collect()
        } else {
            Vec::new()
        };
        Self {
            store,
            range,
            page_size,
            lanes,
        }
    }

    /// Returns the next `count` entries, newest first; fewer only at the end.
    pub(crate) async fn take(&mut self, count: usize) -> Result<Vec<Entry>, StoreError> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            self.fill().await?;
            match newest(&mut self.lanes) {
                Some(entry) => taken.push(entry),
                None => break,
            }
        }
        Ok(taken)
    }

    /// Whether every entry has been merged.
    pub(crate) fn is_at_end(&self) -> bool {
        self.lanes
            .iter()
            .all(|lane| lane.at_end && lane.heads.is_empty())
    }

    /// Reads until every lane that is not at its end has an entry.
    async fn fill(&mut self) -> Result<(), StoreError> {
        let Self {
            store,
            range,
            page_size,
            lanes,
        } = self;
        let dry = lanes
            .iter_mut()
            .filter(|lane| lane.heads.is_empty() && !lane.at_end);
        try_join_all(dry.map(|lane| lane.fill(store, range, *page_size)))
            .await
            .map(drop)
    }
}

impl Lane {
    async fn fill(
        &mut self,
        store: &Store,
        range: &Range,
        page_size: i32,
    ) -> Result<(), StoreError> {
        while self.heads.is_empty() && !self.at_end {
            let (pk, sk) = self
                .source
                .index
                .map_or((PK, SK), |index| (index.pk, index.sk));
            let mut condition = Condition::default();
            condition.equals(pk, text(&self.source.partition)).between(
                sk,
                text(&range.low),
                text(&range.high),
            );
            let call = store
                .query(condition)
                .scan_index_forward(false)
                .limit(page_size)
                .set_exclusive_start_key(self.start.take());
            let call = match self.source.index {
                Some(index) => call.index_name(index.name),
                None => call.consistent_read(true),
            };
            let answer = call.send().await.map_err(StoreError::of("read a list"))?;
            self.start = answer.last_evaluated_key;
            self.at_end = self.start.is_none();
            for item in answer.items.unwrap_or_default() {
                self.admit(store, range, item).await?;
            }
        }
        Ok(())
    }

    async fn admit(&mut self, store: &Store, range: &Range, item: Item) -> Result<(), StoreError> {
        let Some(key) = Key::of(&item) else {
            return Ok(());
        };
        let is_wanted = |key: &Key| range.before.as_ref().is_none_or(|before| key.sk < *before);
        if self.source.whole_messages {
            let found = keys::organization_of(&key.pk).zip(keys::delivery_of(&key.sk));
            let Some((organization, id)) = found else {
                return Ok(());
            };
            let deliveries = skip_unreadable(store.message(organization, id.message).await)?
                .flatten()
                .unwrap_or_default();
            let mut keys: Vec<Key> = deliveries
                .iter()
                .map(|delivery| keys::delivery(organization, delivery.id))
                .filter(is_wanted)
                .collect();
            keys.sort_unstable_by(|a, b| b.sk.cmp(&a.sk));
            self.heads
                .extend(keys.into_iter().map(|key| Entry { key, item: None }));
        } else if is_wanted(&key) {
            let item = self.source.index.is_none().then_some(item);
            self.heads.push_back(Entry { key, item });
        }
        Ok(())
    }
}

/// Takes the newest entry from every lane that has it.
fn newest(lanes: &mut [Lane]) -> Option<Entry> {
    let sort = lanes
        .iter()
        .filter_map(|lane| lane.heads.front())
        .map(|head| &head.key.sk)
        .max()?
        .clone();
    let same = lanes
        .iter_mut()
        .filter_map(|lane| lane.heads.pop_front_if(|head| head.key.sk == sort));
    same.reduce(|one, other| if one.item.is_some() { one } else { other })
}

/// Returns the partition of a reference in `by_reference`.
pub(crate) fn by_reference(
    organization: OrganizationId,
    reference: &str,
    whole_messages: bool,
) -> Source {
    Source {
        index: Some(BY_REFERENCE),
        partition: keys::by_reference(organization, reference),
        whole_messages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(sorts: &[&str]) -> Lane {
        let source = Source {
            index: None,
            partition: String::new(),
            whole_messages: false,
        };
        let key = |sort: &&str| Key {
            pk: String::new(),
            sk: (*sort).to_owned(),
        };
        let heads = sorts
            .iter()
            .map(|sort| Entry {
                key: key(sort),
                item: None,
            })
            .collect();
        Lane {
            source,
            heads,
            start: None,
            at_end: true,
        }
    }

    #[test]
    fn lanes_merge_newest_first_and_what_is_in_two_comes_once() {
        let mut lanes = [
            lane(&["9", "5", "1"]),
            lane(&["7", "5"]),
            lane(&[]),
            lane(&["5", "4"]),
        ];
        let merged: Vec<String> = std::iter::from_fn(|| newest(&mut lanes))
            .map(|entry| entry.key.sk)
            .collect();
        assert_eq!(merged, ["9", "7", "5", "4", "1"]);
    }
}

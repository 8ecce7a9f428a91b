//! Lists read several partitions side by side and merge them, newest first.
//!
//! A **lane** is one partition, of the table or of an index, read page by page. The **merge** takes the newest of what the lanes have at their
//! heads, and only while every lane that is not at its end has one: so nothing is skipped where a lane's page was cut, and an entry that two
//! lanes have (it moved between statuses) comes once.

use std::collections::VecDeque;

use domain::id::OrganizationId;
use futures_util::future::try_join_all;

use crate::attributes::{Item, text};
use crate::expression::Condition;
use crate::keys::{self, BY_REFERENCE, Index, PK, SK};
use crate::{Store, StoreError};

/// A partition to read from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The index; `None` is the table itself, whose items come whole and strongly consistent.
    pub(super) index: Option<Index>,
    /// The partition.
    pub(super) partition: String,
    /// Replace each message found, by its first delivery, by all of its deliveries.
    pub(super) whole_messages: bool,
}

/// Which sort keys are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// None below this.
    pub(super) low: String,
    /// None above this.
    pub(super) high: String,
    /// None from this on: how far the walk has come.
    pub(super) before: Option<String>,
}

/// An entry of a list: a delivery's sort key, and its item where the lane had it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) sort: String,
    pub(super) item: Option<Item>,
}

/// A partition that is being read, and what of it is not yet merged.
#[derive(Debug)]
struct Lane {
    source: Source,
    heads: VecDeque<Entry>,
    start: Option<Item>,
    at_end: bool,
}

/// The lanes of a list.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    store: &'a Store,
    organization: OrganizationId,
    range: Range,
    page_size: i32,
    lanes: Vec<Lane>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(store: &'a Store, organization: OrganizationId, sources: Vec<Source>, range: Range, page_size: i32) -> Self {
        let lane = |source| Lane { source, heads: VecDeque::new(), start: None, at_end: false };
        let lanes = if range.low <= range.high { sources.into_iter().map(lane).collect() } else { Vec::new() };
        Self { store, organization, range, page_size, lanes }
    }

    /// The next `count` entries, newest first; fewer only at the end.
    pub(super) async fn take(&mut self, count: usize) -> Result<Vec<Entry>, StoreError> {
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

    /// Is everything merged?
    pub(super) fn is_at_end(&self) -> bool {
        self.lanes.iter().all(|lane| lane.at_end && lane.heads.is_empty())
    }

    /// Sees to it that every lane that is not at its end has a head.
    async fn fill(&mut self) -> Result<(), StoreError> {
        let Self { store, organization, range, page_size, lanes } = self;
        let dry = lanes.iter_mut().filter(|lane| lane.heads.is_empty() && !lane.at_end);
        try_join_all(dry.map(|lane| lane.fill(store, *organization, range, *page_size))).await.map(drop)
    }
}

impl Lane {
    async fn fill(&mut self, store: &Store, organization: OrganizationId, range: &Range, page_size: i32) -> Result<(), StoreError> {
        while self.heads.is_empty() && !self.at_end {
            let (pk, sk) = self.source.index.map_or((PK, SK), |index| (index.pk, index.sk));
            let mut condition = Condition::default();
            condition.equals(pk, text(&self.source.partition)).between(sk, text(&range.low), text(&range.high));
            let call = store.query(condition).scan_index_forward(false).limit(page_size).set_exclusive_start_key(self.start.take());
            let call = match self.source.index {
                Some(index) => call.index_name(index.name),
                None => call.consistent_read(true),
            };
            let answer = call.send().await.map_err(StoreError::of("list deliveries"))?;
            self.start = answer.last_evaluated_key;
            self.at_end = self.start.is_none();
            for item in answer.items.unwrap_or_default() {
                self.admit(store, organization, range, item).await?;
            }
        }
        Ok(())
    }

    async fn admit(&mut self, store: &Store, organization: OrganizationId, range: &Range, item: Item) -> Result<(), StoreError> {
        let Some(sort) = item.get(SK).and_then(|sort| sort.as_s().ok()).cloned() else { return Ok(()) };
        let is_wanted = |sort: &String| range.before.as_ref().is_none_or(|before| sort < before);
        if self.source.whole_messages {
            let Some(id) = keys::delivery_of(&sort) else { return Ok(()) };
            let deliveries = store.message(organization, id.message).await?.unwrap_or_default();
            let mut sorts: Vec<String> = deliveries.iter().map(|delivery| keys::delivery_sort(delivery.id)).filter(is_wanted).collect();
            sorts.sort_unstable_by(|a, b| b.cmp(a));
            self.heads.extend(sorts.into_iter().map(|sort| Entry { sort, item: None }));
        } else if is_wanted(&sort) {
            let item = self.source.index.is_none().then_some(item);
            self.heads.push_back(Entry { sort, item });
        }
        Ok(())
    }
}

/// Takes the newest head, from every lane that has it.
fn newest(lanes: &mut [Lane]) -> Option<Entry> {
    let sort = lanes.iter().filter_map(|lane| lane.heads.front()).map(|head| &head.sort).max()?.clone();
    let same = lanes.iter_mut().filter_map(|lane| lane.heads.pop_front_if(|head| head.sort == sort));
    same.reduce(|one, other| if one.item.is_some() { one } else { other })
}

/// The partition in `by_reference`.
pub(super) fn by_reference(organization: OrganizationId, reference: &str, whole_messages: bool) -> Source {
    Source { index: Some(BY_REFERENCE), partition: keys::by_reference(organization, reference), whole_messages }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(sorts: &[&str]) -> Lane {
        let source = Source { index: None, partition: String::new(), whole_messages: false };
        let heads = sorts.iter().map(|sort| Entry { sort: (*sort).to_owned(), item: None }).collect();
        Lane { source, heads, start: None, at_end: true }
    }

    #[test]
    fn lanes_merge_newest_first_and_what_is_in_two_comes_once() {
        let mut lanes = [lane(&["9", "5", "1"]), lane(&["7", "5"]), lane(&[]), lane(&["5", "4"])];
        let merged: Vec<String> = std::iter::from_fn(|| newest(&mut lanes)).map(|entry| entry.sort).collect();
        assert_eq!(merged, ["9", "7", "5", "4", "1"]);
    }
}

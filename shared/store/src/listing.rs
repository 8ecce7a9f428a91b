//! Reads lists: as many items of a query as are wanted, in as many calls as that takes.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::attributes::Item;
use crate::unreadable::readable;
use crate::{Page, Store, StoreError};

impl Store {
    /// Returns the first `limit` items of a query that have not expired, strongly consistent, and
    /// whether there are more.
    pub(crate) async fn list(
        &self,
        action: &'static str,
        query: QueryFluentBuilder,
        limit: u32,
    ) -> Result<Page<Item>, StoreError> {
        self.list_as(action, query, limit, |item| Ok(item.clone()))
            .await
    }

    /// Lists as [`Self::list`] does, and reads each item with `read`. An unreadable item is left
    /// out as an expired one is, so the page has as many items as are wanted.
    pub(crate) async fn list_as<T>(
        &self,
        action: &'static str,
        query: QueryFluentBuilder,
        limit: u32,
        read: impl Fn(&Item) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let wanted = limit.saturating_add(1);
        let query = query.consistent_read(true);
        let mut start = query.get_exclusive_start_key().clone();
        let mut items = Vec::new();
        loop {
            let left = i32::try_from(wanted - items.len()).unwrap_or(i32::MAX);
            let call = query.clone().limit(left).set_exclusive_start_key(start);
            let answer = call.send().await.map_err(StoreError::of(action))?;
            let alive = answer
                .items
                .iter()
                .flatten()
                .filter(|item| self.is_alive(item));
            items.extend(readable(alive.map(&read))?);
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() >= wanted {
                let more = items.len() > limit;
                items.truncate(limit);
                return Ok(Page { items, more });
            }
        }
    }
}

//! Calls on the table that every entity makes: strongly consistent reads, batches to their end, puts that never overwrite.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::future::try_join_all;

use crate::attributes::{Item, Reader};
use crate::expression::{Change, Condition};
use crate::keys::{Key, PK, TTL};
use crate::{Store, StoreError};

/// `BatchGetItem` takes at most this many keys.
const BATCH_GET_MAX: usize = 100;
/// How often what a batch left undone is asked for again, with a growing wait.
const BATCH_TRIES: u32 = 6;
/// The first of those waits.
const BATCH_FIRST_WAIT: Duration = Duration::from_millis(20);

impl Store {
    /// One item, strongly consistent; `None` when it is expired.
    pub(crate) async fn get(&self, key: Key) -> Result<Option<Item>, StoreError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key.item())).consistent_read(true);
        let answer = call.send().await.map_err(StoreError::of("read an item"))?;
        Ok(answer.item.filter(|item| self.is_alive(item)))
    }

    /// Any number of items, strongly consistent, by their keys; those that are not there or expired are left out.
    pub(crate) async fn get_all(&self, keys: impl IntoIterator<Item = Key>) -> Result<HashMap<Key, Item>, StoreError> {
        self.get_projected(keys, None).await
    }

    /// Those of `keys` that are there.
    pub(crate) async fn existing(&self, keys: impl IntoIterator<Item = Key>) -> Result<HashSet<Key>, StoreError> {
        let found = self.get_projected(keys, Some("pk, sk, #ttl")).await?;
        Ok(found.into_keys().collect())
    }

    async fn get_projected(
        &self,
        keys: impl IntoIterator<Item = Key>,
        projection: Option<&str>,
    ) -> Result<HashMap<Key, Item>, StoreError> {
        // DynamoDB refuses a batch that names an item twice.
        let keys: Vec<Key> = keys.into_iter().collect::<HashSet<_>>().into_iter().collect();
        let batches = try_join_all(keys.chunks(BATCH_GET_MAX).map(|keys| self.get_batch(keys, projection))).await?;
        let items = batches.into_iter().flatten().filter(|item| self.is_alive(item));
        Ok(items.filter_map(|item| Some((Key::of(&item)?, item))).collect())
    }

    async fn get_batch(&self, keys: &[Key], projection: Option<&str>) -> Result<Vec<Item>, StoreError> {
        let names = projection.map(|_| HashMap::from([("#ttl".to_owned(), TTL.to_owned())]));
        let wanted = KeysAndAttributes::builder()
            .consistent_read(true)
            .set_projection_expression(projection.map(str::to_owned))
            .set_expression_attribute_names(names)
            .set_keys(Some(keys.iter().map(Key::item).collect()))
            .build();
        let mut pending = wanted.map(|wanted| HashMap::from([(self.table.clone(), wanted)])).map_err(|error| StoreError::Refused {
            action: "read items",
            source: error.into(),
        })?;
        let (mut items, mut wait) = (Vec::new(), BATCH_FIRST_WAIT);
        for _ in 0..BATCH_TRIES {
            let call = self.client.batch_get_item().set_request_items(Some(pending));
            let answer = call.send().await.map_err(StoreError::of("read items"))?;
            items.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
            pending = answer.unprocessed_keys.unwrap_or_default();
            if pending.is_empty() {
                return Ok(items);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(StoreError::unprocessed("read items"))
    }

    /// Puts an item unless there is one; answers whether it did.
    pub(crate) async fn put_new(&self, item: Item) -> Result<bool, StoreError> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match call.condition_expression(format!("attribute_not_exists({PK})")).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => Ok(false),
            Err(error) => Err(StoreError::of("write an item")(error)),
        }
    }

    /// Puts an item, over one that may be there.
    pub(crate) async fn put(&self, item: Item) -> Result<(), StoreError> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        call.send().await.map(drop).map_err(StoreError::of("write an item"))
    }

    /// Changes an item if its condition holds.
    pub(crate) async fn change(&self, key: Key, change: Change) -> Result<Changed, StoreError> {
        use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
        let update = change.update();
        let (condition, names, values) = change.rest();
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.item()))
            .update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(AllOld);
        match call.send().await {
            Ok(_) => Ok(Changed::Done),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Changed::Refused(refused.item.clone()))
                }
                _ => Err(StoreError::of("change an item")(error)),
            },
        }
    }

    /// A query of the table, or of one of its indexes, that only needs its key condition.
    pub(crate) fn query(&self, condition: Condition) -> QueryFluentBuilder {
        let (expression, names, values) = condition.into_parts();
        let call = self.client.query().table_name(&self.table);
        call.set_key_condition_expression(expression).set_expression_attribute_names(Some(names)).set_expression_attribute_values(values)
    }

    /// Items past their `ttl` are not there, whether DynamoDB has removed them yet or not.
    pub(crate) fn is_alive(&self, item: &Item) -> bool {
        !matches!(Reader(item).number_opt::<i64>(TTL), Ok(Some(ttl)) if ttl <= self.now().as_seconds())
    }
}

/// What became of a conditional change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// It was made.
    Done,
    /// Its condition did not hold; this is what stands, if anything does.
    Refused(Option<Item>),
}

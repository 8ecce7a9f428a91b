//! The calls of the table that all kinds of records use.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValuesOnConditionCheckFailure::AllOld};

use crate::attributes::{Item, Reader};
use crate::expression::{Change, Condition};
use crate::keys::{Key, PK, SK, TTL};
use crate::{Store, StoreError};

/// The most items that DynamoDB reads in one call.
pub(crate) const KEYS_IN_A_READ: usize = 100;
/// How often a read that made no progress is tried again.
const IDLE_READS_MAX: u32 = 8;
const IDLE_READ_WAIT: Duration = Duration::from_millis(20);

/// The outcome of a conditional write.
#[derive(Debug)]
pub(crate) enum Written {
    /// The write was made.
    Done,
    /// The condition did not hold for this item; `None` if no item exists.
    Refused(Option<Item>),
}

impl Written {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// The table and its client. Each method makes a call of its own.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Table {
    /// Reads one item, strongly consistent.
    pub(crate) async fn get(
        &self,
        action: &'static str,
        key: &Key,
    ) -> Result<Option<Item>, StoreError> {
        let call = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .consistent_read(true);
        Ok(call.send().await.map_err(StoreError::of(action))?.item)
    }

    /// Reads these attributes, or all if `parts` is empty, of the items with these keys. No key may
    /// occur twice.
    pub(crate) async fn get_distinct(
        &self,
        action: &'static str,
        keys: &[&Key],
        parts: &[&str],
    ) -> Result<HashMap<Key, Item>, StoreError> {
        let mut found = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(KEYS_IN_A_READ) {
            self.get_chunk(action, chunk, parts, &mut found).await?;
        }
        Ok(found)
    }

    async fn get_chunk(
        &self,
        action: &'static str,
        keys: &[&Key],
        parts: &[&str],
        found: &mut HashMap<Key, Item>,
    ) -> Result<(), StoreError> {
        let (projection, names) = projection(parts);
        let mut left: Vec<Item> = keys.iter().map(|key| key.item()).collect();
        let mut idle = 0;
        while !left.is_empty() {
            let asked = left.len();
            let request = KeysAndAttributes::builder()
                .set_keys(Some(left))
                .consistent_read(true);
            let request = request
                .set_projection_expression(projection.clone())
                .set_expression_attribute_names(names.clone());
            let request = request.build().expect("keys were given");
            let call = self
                .client
                .batch_get_item()
                .request_items(&self.name, request);
            let answer = call.send().await.map_err(StoreError::of(action))?;
            let items = answer
                .responses
                .into_iter()
                .flat_map(HashMap::into_values)
                .flatten();
            found.extend(items.filter_map(|item| Some((Key::of(&item)?, item))));
            left = answer
                .unprocessed_keys
                .into_iter()
                .flat_map(HashMap::into_values)
                .flat_map(|rest| rest.keys)
                .collect();
            if left.len() < asked {
                idle = 0;
                continue;
            }
            if idle == IDLE_READS_MAX {
                return Err(StoreError::unprocessed(action));
            }
            tokio::time::sleep(IDLE_READ_WAIT * 2_u32.pow(idle)).await;
            idle += 1;
        }
        Ok(())
    }

    /// Writes a whole item, under a condition on the existing one.
    pub(crate) async fn put(
        &self,
        action: &'static str,
        item: Item,
        condition: Condition,
    ) -> Result<Written, StoreError> {
        let (condition, names, values) = condition.into_parts();
        let call = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_condition_expression(condition);
        let call = call
            .set_expression_attribute_names((!names.is_empty()).then_some(names))
            .set_expression_attribute_values(values);
        written(
            action,
            call.return_values_on_condition_check_failure(AllOld)
                .send()
                .await,
            |error| match error {
                PutItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            },
        )
    }

    /// Changes one item, under the change's condition.
    pub(crate) async fn change(
        &self,
        action: &'static str,
        key: &Key,
        change: Change,
    ) -> Result<Written, StoreError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .update_expression(change.update());
        let (condition, names, values) = change.rest();
        let call = call
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(names));
        let call = call
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(AllOld);
        written(action, call.send().await, |error| match error {
            UpdateItemError::ConditionalCheckFailedException(failed) => Some(failed),
            _ => None,
        })
    }

    /// Deletes one item, under a condition.
    pub(crate) async fn delete(
        &self,
        action: &'static str,
        key: &Key,
        condition: Condition,
    ) -> Result<Written, StoreError> {
        let (condition, names, values) = condition.into_parts();
        let call = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .set_condition_expression(condition);
        let call = call
            .set_expression_attribute_names((!names.is_empty()).then_some(names))
            .set_expression_attribute_values(values);
        written(
            action,
            call.return_values_on_condition_check_failure(AllOld)
                .send()
                .await,
            |error| match error {
                DeleteItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            },
        )
    }
}

impl Store {
    /// Reads one item, strongly consistent, in a call that concurrent reads share.
    pub(crate) async fn get(
        &self,
        action: &'static str,
        key: &Key,
    ) -> Result<Option<Item>, StoreError> {
        Ok(self
            .get_all(action, std::slice::from_ref(key))
            .await?
            .pop()
            .flatten())
    }

    /// Reads any number of items, strongly consistent and in the order of their keys, in calls that
    /// concurrent reads share.
    pub(crate) async fn get_all(
        &self,
        action: &'static str,
        keys: &[Key],
    ) -> Result<Vec<Option<Item>>, StoreError> {
        self.together.read(action, keys).await
    }

    /// Reads these attributes and the keys of any number of items.
    pub(crate) async fn get_parts(
        &self,
        action: &'static str,
        keys: &[Key],
        parts: &[&str],
    ) -> Result<Vec<Option<Item>>, StoreError> {
        let mut seen = HashSet::with_capacity(keys.len());
        let distinct: Vec<&Key> = keys.iter().filter(|key| seen.insert(*key)).collect();
        let found = self.table.get_distinct(action, &distinct, parts).await?;
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    /// Queries the table or an index by key condition alone.
    pub(crate) fn query(&self, condition: Condition) -> QueryFluentBuilder {
        let (expression, names, values) = condition.into_parts();
        let call = self
            .table
            .client
            .query()
            .table_name(&self.table.name)
            .set_key_condition_expression(expression);
        call.set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(values)
    }

    /// Whether an item has not expired. DynamoDB may remove expired items much later.
    pub(crate) fn is_alive(&self, item: &Item) -> bool {
        !matches!(Reader(item).number_opt::<i64>(TTL),
            Ok(Some(ttl)) if ttl <= self.now().as_seconds())
    }

    /// Writes a whole item, under a condition on the existing one.
    pub(crate) async fn put(
        &self,
        action: &'static str,
        item: Item,
        condition: Condition,
    ) -> Result<Written, StoreError> {
        self.table.put(action, item, condition).await
    }

    /// Changes one item, under the change's condition.
    pub(crate) async fn change(
        &self,
        action: &'static str,
        key: &Key,
        change: Change,
    ) -> Result<Written, StoreError> {
        self.table.change(action, key, change).await
    }

    /// Deletes one item, under a condition.
    pub(crate) async fn delete(
        &self,
        action: &'static str,
        key: &Key,
        condition: Condition,
    ) -> Result<Written, StoreError> {
        self.table.delete(action, key, condition).await
    }
}

/// Returns the projection expression of these attributes and the key's.
fn projection(parts: &[&str]) -> (Option<String>, Option<HashMap<String, String>>) {
    if parts.is_empty() {
        return (None, None);
    }
    let mut names = Condition::default();
    let all: Vec<String> = [PK, SK]
        .iter()
        .chain(parts)
        .map(|name| names.name(name))
        .collect();
    (Some(all.join(", ")), Some(names.into_parts().1))
}

fn written<T, E>(
    action: &'static str,
    answer: Result<T, SdkError<E>>,
    refused: impl FnOnce(&E) -> Option<&ConditionalCheckFailedException>,
) -> Result<Written, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(Written::Done),
        Err(error) => match error.as_service_error().and_then(refused) {
            Some(failed) => Ok(Written::Refused(failed.item.clone())),
            None => Err(StoreError::of(action)(error)),
        },
    }
}

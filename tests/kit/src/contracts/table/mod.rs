//! Amazon DynamoDB.

mod batches;
mod capacity;
mod conditions;
mod indexes;
mod items;
mod partiql;
mod queries;
mod transactions;
mod updates;

use std::collections::HashMap;
use std::fmt::Debug;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};

type Item = HashMap<String, AttributeValue>;

/// A table for the suite, and a client for it.
struct Table {
    client: Client,
    name: String,
}

/// Runs the whole suite. It creates a table named `contract` and does not delete it.
pub async fn hold(client: Client) {
    let table = Table::create(client, "contract").await;
    items::hold(&table).await;
    updates::hold(&table).await;
    conditions::hold(&table).await;
    queries::hold(&table).await;
    indexes::hold(&table).await;
    batches::hold(&table).await;
    transactions::hold(&table).await;
    partiql::hold(&table).await;
    capacity::hold(&table).await;
}

impl Table {
    /// Keys `pk`, `sk`; the sparse indexes `by_text` (`t_pk`, `t_sk`) and `due` (`du_pk`, `du_at`,
    /// a number); expiry in `ttl`.
    async fn create(client: Client, name: &str) -> Self {
        let text = |name: &str| attribute(name, ScalarAttributeType::S);
        client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(vec![
                text("pk"),
                text("sk"),
                text("t_pk"),
                text("t_sk"),
                text("du_pk"),
                attribute("du_at", ScalarAttributeType::N),
            ]))
            .set_key_schema(Some(keys("pk", "sk")))
            .global_secondary_indexes(index("by_text", keys("t_pk", "t_sk")))
            .global_secondary_indexes(index("due", keys("du_pk", "du_at")))
            .send()
            .await
            .unwrap();
        let expiry = TimeToLiveSpecification::builder()
            .attribute_name("ttl")
            .enabled(true)
            .build()
            .unwrap();
        client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(expiry)
            .send()
            .await
            .unwrap();
        Self {
            client,
            name: name.into(),
        }
    }

    async fn put(&self, item: Item) {
        self.client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .send()
            .await
            .unwrap();
    }

    async fn get(&self, pk: &str, sk: &str) -> Option<Item> {
        self.client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(pk, sk)))
            .consistent_read(true)
            .send()
            .await
            .unwrap()
            .item
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind)
        .build()
        .unwrap()
}

fn keys(hash: &str, range: &str) -> Vec<KeySchemaElement> {
    let element = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .unwrap()
    };
    vec![element(hash, KeyType::Hash), element(range, KeyType::Range)]
}

fn index(name: &str, keys: Vec<KeySchemaElement>) -> GlobalSecondaryIndex {
    let projection = Projection::builder()
        .projection_type(ProjectionType::KeysOnly)
        .build();
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(keys))
        .projection(projection)
        .build()
        .unwrap()
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn map<const N: usize>(members: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn key(pk: &str, sk: &str) -> Item {
    item(pk, sk, [])
}

fn item<const N: usize>(pk: &str, sk: &str, attributes: [(&str, AttributeValue); N]) -> Item {
    let keys = [("pk", text(pk)), ("sk", text(sk))];
    keys.into_iter()
        .chain(attributes)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Returns the sort keys of items, in their order.
fn sort_keys(items: &[Item]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["sk"].as_s().unwrap().as_str())
        .collect()
}

/// Returns the error code of a refused call.
fn refusal<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(
    outcome: Result<T, SdkError<E, R>>,
) -> String {
    let error = outcome.expect_err("the call is refused");
    error
        .as_service_error()
        .unwrap_or_else(|| panic!("not an answer: {error:?}"))
        .code()
        .unwrap_or_default()
        .to_owned()
}

//! DynamoDB: the embedded engine behaves like Amazon's DynamoDB Local.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem};
use kit::contracts::table;
use kit::dynamodb_local::DynamoDbLocal;
use local_aws::Options;

use crate::setup::{Local, TABLE};

#[tokio::test]
async fn the_contract_holds() {
    let local = Local::new();
    table::hold(Client::new(&local.config())).await;
}

#[tokio::test]
async fn the_contract_holds_inline_and_in_memory() {
    let local = Local::with(Options::simulated(Options::local().now));
    table::hold(Client::new(&local.config())).await;
}

#[tokio::test]
async fn the_contract_holds_on_dynamodb_local() {
    let server = DynamoDbLocal::start().await;
    table::hold(Client::new(&server.sdk_config())).await;
}

/// AWS charges two units for each KiB written in a transaction. This is not in the contract,
/// because DynamoDB Local counts four.
#[tokio::test]
async fn transactions_pay_double() {
    let local = Local::new();
    let client = Client::new(&local.config());
    let text = |value: &str| AttributeValue::S(value.into());
    let put = Put::builder()
        .table_name(TABLE)
        .item("pk", text("p"))
        .item("sk", text("s"))
        .build()
        .unwrap();
    let write = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put).build());
    let output = write
        .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
        .send()
        .await
        .unwrap();
    assert_eq!(
        output.consumed_capacity.unwrap()[0].capacity_units(),
        Some(2.0)
    );
}

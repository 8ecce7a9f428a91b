//! TransactWriteItems and TransactGetItems.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete, Get, Put, ReturnValuesOnConditionCheckFailure, TransactGetItem,
    TransactWriteItem, Update,
};

use super::{Item, Table, item, key, number, refusal, text};

pub(super) async fn hold(table: &Table) {
    all_happen_or_none(table).await;
    a_token_makes_it_happen_once(table).await;
    an_item_stands_in_a_transaction_once(table).await;
    reads_are_of_one_moment(table).await;
}

impl Table {
    fn put_if_new(&self, item: Item) -> TransactWriteItem {
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        let put = put
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder()
            .put(put.build().unwrap())
            .build()
    }

    fn count_up(&self, key: Item) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(key))
            .update_expression("ADD n :one");
        TransactWriteItem::builder()
            .update(
                update
                    .expression_attribute_values(":one", number(1))
                    .build()
                    .unwrap(),
            )
            .build()
    }

    fn check(&self, key: Item, condition: &str) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(key))
            .condition_expression(condition);
        TransactWriteItem::builder()
            .condition_check(check.build().unwrap())
            .build()
    }
}

async fn all_happen_or_none(table: &Table) {
    table
        .put(item("transactions", "checked", [("a", number(1))]))
        .await;
    table.put(item("transactions", "deleted", [])).await;
    let write = |items| {
        table
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
    };
    let delete = Delete::builder()
        .table_name(&table.name)
        .set_key(Some(key("transactions", "deleted")))
        .build()
        .unwrap();
    let delete = TransactWriteItem::builder().delete(delete).build();
    let all = || {
        vec![
            table.count_up(key("transactions", "counted")),
            table.put_if_new(item("transactions", "new", [("by", text("first"))])),
            table.check(key("transactions", "checked"), "attribute_exists(a)"),
            delete.clone(),
        ]
    };
    write(all()).await.unwrap();
    assert!(table.get("transactions", "new").await.is_some());
    assert!(table.get("transactions", "deleted").await.is_none());

    let error = write(all()).await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        panic!("canceled, not {error:?}")
    };
    let reasons = canceled.cancellation_reasons();
    let codes: Vec<_> = reasons
        .iter()
        .map(|reason| reason.code().unwrap_or("None"))
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed", "None", "None"]);
    assert_eq!(reasons[1].item().unwrap()["by"], text("first"));
    assert_eq!(
        table.get("transactions", "counted").await.unwrap()["n"],
        number(1)
    );
    let failed_check = vec![
        table.check(key("transactions", "nobody"), "attribute_exists(a)"),
        table.count_up(key("transactions", "counted")),
    ];
    assert_eq!(
        refusal(write(failed_check).await),
        "TransactionCanceledException"
    );
    assert_eq!(
        table.get("transactions", "counted").await.unwrap()["n"],
        number(1)
    );
}

async fn a_token_makes_it_happen_once(table: &Table) {
    for _ in 0..2 {
        let items = vec![table.count_up(key("transactions", "token"))];
        table
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token("t-1")
            .send()
            .await
            .unwrap();
    }
    assert_eq!(
        table.get("transactions", "token").await.unwrap()["n"],
        number(1)
    );
    let other = vec![table.count_up(key("transactions", "other"))];
    let other = table
        .client
        .transact_write_items()
        .set_transact_items(Some(other))
        .client_request_token("t-1")
        .send()
        .await;
    assert_eq!(refusal(other), "IdempotentParameterMismatchException");
}

async fn an_item_stands_in_a_transaction_once(table: &Table) {
    let twice = vec![
        table.count_up(key("transactions", "twice")),
        table.count_up(key("transactions", "twice")),
    ];
    let twice = table
        .client
        .transact_write_items()
        .set_transact_items(Some(twice))
        .send()
        .await;
    assert_eq!(refusal(twice), "ValidationException");
}

async fn reads_are_of_one_moment(table: &Table) {
    table
        .put(item("transactions", "read", [("a", number(1))]))
        .await;
    let get = |sk: &str| {
        let get = Get::builder()
            .table_name(&table.name)
            .set_key(Some(key("transactions", sk)))
            .build()
            .unwrap();
        TransactGetItem::builder().get(get).build()
    };
    let output = table
        .client
        .transact_get_items()
        .transact_items(get("read"))
        .transact_items(get("missing"))
        .send()
        .await
        .unwrap();
    let found: Vec<_> = output
        .responses()
        .iter()
        .map(|response| response.item().is_some_and(|item| !item.is_empty()))
        .collect();
    assert_eq!(found, [true, false]);
}

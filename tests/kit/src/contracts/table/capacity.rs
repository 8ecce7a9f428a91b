//! Consumed capacity, exact to the unit, because the write budget is measured in it.

use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity,
};

use super::{Item, Table, item, key, number, text};

pub(super) async fn hold(table: &Table) {
    puts_pay_for_each_kib_and_index(table).await;
    updates_pay_for_indexes_they_change(table).await;
    reads_pay_by_4_kib(table).await;
}

const INDEXES: ReturnConsumedCapacity = ReturnConsumedCapacity::Indexes;

/// Returns the total units, those of the table and those of the indexes.
fn units(consumed: Option<ConsumedCapacity>) -> (f64, f64, f64) {
    let consumed = consumed.expect("capacity was asked for");
    let table = consumed
        .table()
        .and_then(|table| table.capacity_units())
        .unwrap_or_default();
    let indexes = consumed
        .global_secondary_indexes()
        .into_iter()
        .flatten()
        .filter_map(|(_, index)| index.capacity_units())
        .sum();
    (consumed.capacity_units().unwrap(), table, indexes)
}

async fn put(table: &Table, item: Item) -> (f64, f64, f64) {
    let put = table
        .client
        .put_item()
        .table_name(&table.name)
        .set_item(Some(item))
        .return_consumed_capacity(INDEXES);
    units(put.send().await.unwrap().consumed_capacity)
}

async fn puts_pay_for_each_kib_and_index(table: &Table) {
    assert_eq!(
        put(table, item("capacity", "plain", [])).await,
        (1.0, 1.0, 0.0)
    );
    // Names and values count: 2 + 8 + 2 + 4 + 1 + 1007 bytes are exactly one KiB.
    let body = |length: usize| item("capacity", "full", [("b", text(&"x".repeat(length)))]);
    assert_eq!(put(table, body(1007)).await, (1.0, 1.0, 0.0));
    assert_eq!(put(table, body(1008)).await, (2.0, 2.0, 0.0));
    let indexed = item(
        "capacity",
        "indexed",
        [("t_pk", text("capacity")), ("t_sk", text("1"))],
    );
    assert_eq!(put(table, indexed.clone()).await, (2.0, 1.0, 1.0));
    // Writing the same item again does not write to the index.
    assert_eq!(put(table, indexed).await, (1.0, 1.0, 0.0));
}

async fn updates_pay_for_indexes_they_change(table: &Table) {
    let update = async |expression: &str, values: &[(&str, AttributeValue)]| {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let update = table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(key("capacity", "indexed")));
        let update = update
            .update_expression(expression)
            .set_expression_attribute_values(Some(values))
            .return_consumed_capacity(INDEXES);
        units(update.send().await.unwrap().consumed_capacity)
    };
    assert_eq!(
        update("SET settled = :v", &[(":v", number(1))]).await,
        (1.0, 1.0, 0.0)
    );
    // Entering an index costs one write there. Moving within it deletes the old entry and writes a
    // new one.
    let into = [(":p", text("DUE#capacity")), (":at", number(1))];
    assert_eq!(
        update("SET du_pk = :p, du_at = :at", &into).await,
        (2.0, 1.0, 1.0)
    );
    assert_eq!(
        update("SET du_at = :at", &[(":at", number(2))]).await,
        (3.0, 1.0, 2.0)
    );
    assert_eq!(
        update("REMOVE du_pk, du_at SET settled = :v", &[(":v", number(2))]).await,
        (2.0, 1.0, 1.0)
    );
}

async fn reads_pay_by_4_kib(table: &Table) {
    put(
        table,
        item("capacity", "read", [("b", text(&"x".repeat(5000)))]),
    )
    .await;
    for (consistent, expected) in [(false, 1.0), (true, 2.0)] {
        let get = table
            .client
            .get_item()
            .table_name(&table.name)
            .set_key(Some(key("capacity", "read")))
            .consistent_read(consistent);
        assert_eq!(
            units(
                get.return_consumed_capacity(INDEXES)
                    .send()
                    .await
                    .unwrap()
                    .consumed_capacity
            )
            .0,
            expected
        );
    }
    // A batch pays for each item, a query for the sum.
    let keys = KeysAndAttributes::builder()
        .keys(key("capacity", "plain"))
        .keys(key("capacity", "full"))
        .consistent_read(true)
        .build()
        .unwrap();
    let batch = table
        .client
        .batch_get_item()
        .request_items(&table.name, keys)
        .return_consumed_capacity(INDEXES)
        .send()
        .await
        .unwrap();
    assert_eq!(units(batch.consumed_capacity.unwrap().pop()).0, 2.0);
    let query = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("pk = :pk AND begins_with(sk, :f)");
    let query = query
        .expression_attribute_values(":pk", text("capacity"))
        .expression_attribute_values(":f", text("f"));
    assert_eq!(
        units(
            query
                .consistent_read(true)
                .return_consumed_capacity(INDEXES)
                .send()
                .await
                .unwrap()
                .consumed_capacity
        )
        .0,
        1.0
    );
    // Reading a missing item costs as much as reading a small one.
    let absent = table
        .client
        .get_item()
        .table_name(&table.name)
        .set_key(Some(key("capacity", "absent")))
        .consistent_read(true);
    assert_eq!(
        units(
            absent
                .return_consumed_capacity(INDEXES)
                .send()
                .await
                .unwrap()
                .consumed_capacity
        )
        .0,
        1.0
    );
    // Capacity that was not requested is not returned.
    let silent = table
        .client
        .get_item()
        .table_name(&table.name)
        .set_key(Some(key("capacity", "read")))
        .send()
        .await
        .unwrap();
    assert_eq!(silent.consumed_capacity, None);
    let total = table
        .client
        .get_item()
        .table_name(&table.name)
        .set_key(Some(key("capacity", "read")));
    let total = total
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .unwrap()
        .consumed_capacity
        .unwrap();
    assert_eq!(
        (total.capacity_units(), total.table().is_none()),
        (Some(1.0), true)
    );
}

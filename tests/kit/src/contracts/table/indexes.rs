//! Sparse global indexes that hold keys only.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::{Item, Table, item, key, number, refusal, sort_keys, text};

pub(super) async fn hold(table: &Table) {
    an_index_holds_keys_of_items_that_have_its_own(table).await;
    numbers_sort_as_numbers(table).await;
    an_item_moves_and_leaves(table).await;
    items_with_equal_index_keys_are_paged(table).await;
    an_index_is_never_read_consistently(table).await;
}

fn by_text(table: &Table, t_pk: &str) -> QueryFluentBuilder {
    let query = table
        .client
        .query()
        .table_name(&table.name)
        .index_name("by_text")
        .key_condition_expression("t_pk = :t");
    query.expression_attribute_values(":t", text(t_pk))
}

fn due(table: &Table, partition: &str, until: i64) -> QueryFluentBuilder {
    let query = table
        .client
        .query()
        .table_name(&table.name)
        .index_name("due")
        .key_condition_expression("du_pk = :d AND du_at <= :until");
    query
        .expression_attribute_values(":d", text(partition))
        .expression_attribute_values(":until", number(until))
}

async fn an_index_holds_keys_of_items_that_have_its_own(table: &Table) {
    table
        .put(item(
            "indexes",
            "both",
            [
                ("t_pk", text("sparse")),
                ("t_sk", text("1")),
                ("more", text("not projected")),
            ],
        ))
        .await;
    table
        .put(item(
            "indexes",
            "half",
            [("t_pk", text("sparse")), ("more", text("x"))],
        ))
        .await;
    table
        .put(item("indexes", "none", [("more", text("x"))]))
        .await;
    let found = by_text(table, "sparse").send().await.unwrap();
    let keys: Item = item(
        "indexes",
        "both",
        [("t_pk", text("sparse")), ("t_sk", text("1"))],
    );
    assert_eq!(found.items(), [keys]);
}

async fn numbers_sort_as_numbers(table: &Table) {
    for at in [9, 10, 100, 2, -1, 1_767_225_600_000_i64] {
        table
            .put(item(
                "indexes",
                &format!("due {at}"),
                [("du_pk", text("DUE#0")), ("du_at", number(at))],
            ))
            .await;
    }
    let page = due(table, "DUE#0", 100).send().await.unwrap();
    assert_eq!(
        sort_keys(page.items()),
        ["due -1", "due 2", "due 9", "due 10", "due 100"]
    );
    let latest = due(table, "DUE#0", i64::MAX >> 1)
        .scan_index_forward(false)
        .limit(1)
        .send()
        .await
        .unwrap();
    assert_eq!(sort_keys(latest.items()), ["due 1767225600000"]);
}

async fn an_item_moves_and_leaves(table: &Table) {
    table
        .put(item(
            "indexes",
            "moving",
            [("du_pk", text("DUE#1")), ("du_at", number(5))],
        ))
        .await;
    let update = |expression: &str| {
        table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(key("indexes", "moving")))
            .update_expression(expression)
    };
    update("SET du_at = :later")
        .expression_attribute_values(":later", number(50))
        .send()
        .await
        .unwrap();
    assert_eq!(due(table, "DUE#1", 49).send().await.unwrap().count, 0);
    assert_eq!(due(table, "DUE#1", 50).send().await.unwrap().count, 1);
    update("REMOVE du_pk, du_at").send().await.unwrap();
    assert_eq!(due(table, "DUE#1", 100).send().await.unwrap().count, 0);
}

async fn items_with_equal_index_keys_are_paged(table: &Table) {
    for n in 0..7 {
        table
            .put(item(
                "indexes",
                &format!("equal {n}"),
                [("t_pk", text("equal")), ("t_sk", text("same"))],
            ))
            .await;
    }
    for forward in [true, false] {
        let mut seen = Vec::new();
        let mut start = None;
        loop {
            let page = by_text(table, "equal")
                .scan_index_forward(forward)
                .limit(3)
                .set_exclusive_start_key(start)
                .send()
                .await
                .unwrap();
            seen.extend(sort_keys(page.items()).into_iter().map(str::to_owned));
            start = page.last_evaluated_key;
            match &start {
                // The position consists of the table's and the index's keys.
                Some(key) => assert_eq!(key.len(), 4),
                None => break,
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 7, "each item once, forward {forward}");
    }
}

async fn an_index_is_never_read_consistently(table: &Table) {
    assert_eq!(
        refusal(by_text(table, "equal").consistent_read(true).send().await),
        "ValidationException"
    );
}

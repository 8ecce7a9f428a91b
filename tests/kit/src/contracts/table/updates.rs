//! UpdateItem: expressions and what they return.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::{Item, Table, item, key, map, number, refusal, text};

pub(super) async fn hold(table: &Table) {
    an_update_creates_the_item(table).await;
    set_add_and_remove_in_one(table).await;
    if_not_exists_keeps_the_first(table).await;
    nested_paths_need_their_map(table).await;
    lists_grow_at_their_end(table).await;
    returned_values(table).await;
}

fn update(table: &Table, sk: &str, expression: &str) -> UpdateItemFluentBuilder {
    table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key("updates", sk)))
        .update_expression(expression)
}

async fn stored(table: &Table, sk: &str) -> Item {
    table.get("updates", sk).await.unwrap()
}

async fn an_update_creates_the_item(table: &Table) {
    update(table, "new", "SET a = :a")
        .expression_attribute_values(":a", number(1))
        .send()
        .await
        .unwrap();
    assert_eq!(
        stored(table, "new").await,
        item("updates", "new", [("a", number(1))])
    );
}

async fn set_add_and_remove_in_one(table: &Table) {
    table
        .put(item(
            "updates",
            "all",
            [
                ("n", number(5)),
                ("gone", text("x")),
                ("tags", AttributeValue::Ss(vec!["a".into()])),
            ],
        ))
        .await;
    update(
        table,
        "all",
        "SET #s = :s, n = n + :two REMOVE gone, absent ADD hits :one, tags :b",
    )
    .expression_attribute_names("#s", "status")
    .expression_attribute_values(":s", text("queued"))
    .expression_attribute_values(":two", number(2))
    .expression_attribute_values(":one", number(1))
    .expression_attribute_values(":b", AttributeValue::Ss(vec!["b".into()]))
    .send()
    .await
    .unwrap();
    let mut after = stored(table, "all").await;
    let AttributeValue::Ss(mut tags) = after.remove("tags").unwrap() else {
        panic!("a set of texts")
    };
    tags.sort();
    assert_eq!(tags, ["a", "b"]);
    assert_eq!(
        after,
        item(
            "updates",
            "all",
            [
                ("status", text("queued")),
                ("n", number(7)),
                ("hits", number(1))
            ]
        )
    );
    // ADD below zero, and SET on an attribute that does not exist.
    update(table, "all", "ADD hits :down")
        .expression_attribute_values(":down", number(-3))
        .send()
        .await
        .unwrap();
    assert_eq!(stored(table, "all").await["hits"], number(-2));
    let absent = update(table, "all", "SET absent = absent + :one")
        .expression_attribute_values(":one", number(1))
        .send()
        .await;
    assert_eq!(refusal(absent), "ValidationException");
}

async fn if_not_exists_keeps_the_first(table: &Table) {
    for value in [1, 2] {
        update(
            table,
            "first",
            "SET since = if_not_exists(since, :v), n = if_not_exists(n, :zero) + :one",
        )
        .expression_attribute_values(":v", number(value))
        .expression_attribute_values(":zero", number(0))
        .expression_attribute_values(":one", number(1))
        .send()
        .await
        .unwrap();
    }
    assert_eq!(
        stored(table, "first").await,
        item("updates", "first", [("since", number(1)), ("n", number(2))])
    );
}

async fn nested_paths_need_their_map(table: &Table) {
    let set = || {
        update(table, "nested", "SET d.#k = :v")
            .expression_attribute_names("#k", "dst_01.x")
            .expression_attribute_values(":v", map([("enabled", AttributeValue::Bool(true))]))
    };
    table.put(item("updates", "nested", [])).await;
    assert_eq!(refusal(set().send().await), "ValidationException");
    table
        .put(item(
            "updates",
            "nested",
            [("d", map([("former", number(1))]))],
        ))
        .await;
    set().send().await.unwrap();
    let both = map([
        ("former", number(1)),
        ("dst_01.x", map([("enabled", AttributeValue::Bool(true))])),
    ]);
    assert_eq!(stored(table, "nested").await["d"], both);
    let inner = update(
        table,
        "nested",
        "SET d.#k.enabled = :no REMOVE d.former ADD d.#k.revision :one",
    );
    inner
        .expression_attribute_names("#k", "dst_01.x")
        .expression_attribute_values(":no", AttributeValue::Bool(false))
        .expression_attribute_values(":one", number(1))
        .send()
        .await
        .unwrap();
    let after = map([(
        "dst_01.x",
        map([
            ("enabled", AttributeValue::Bool(false)),
            ("revision", number(1)),
        ]),
    )]);
    assert_eq!(stored(table, "nested").await["d"], after);
}

async fn lists_grow_at_their_end(table: &Table) {
    for value in [1, 2] {
        update(
            table,
            "list",
            "SET l = list_append(if_not_exists(l, :none), :more)",
        )
        .expression_attribute_values(":none", AttributeValue::L(vec![]))
        .expression_attribute_values(":more", AttributeValue::L(vec![number(value)]))
        .send()
        .await
        .unwrap();
    }
    assert_eq!(
        stored(table, "list").await["l"],
        AttributeValue::L(vec![number(1), number(2)])
    );
}

async fn returned_values(table: &Table) {
    table
        .put(item(
            "updates",
            "returned",
            [("a", number(1)), ("b", number(2))],
        ))
        .await;
    for (returns, expected) in [
        (ReturnValue::UpdatedNew, Some(vec![("a", number(2))])),
        (ReturnValue::UpdatedOld, Some(vec![("a", number(2))])),
        (
            ReturnValue::AllNew,
            Some(vec![
                ("a", number(4)),
                ("b", number(2)),
                ("pk", text("updates")),
                ("sk", text("returned")),
            ]),
        ),
        (ReturnValue::None, None),
    ] {
        let update =
            update(table, "returned", "ADD a :one").expression_attribute_values(":one", number(1));
        let returned = update
            .return_values(returns)
            .send()
            .await
            .unwrap()
            .attributes;
        let expected = expected.map(|pairs| {
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        });
        assert_eq!(returned, expected);
    }
}

//! Putting, getting and deleting whole items.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::{Table, item, key, map, number, refusal, text};

pub(super) async fn hold(table: &Table) {
    every_type_comes_back(table).await;
    a_put_replaces_the_item_whole(table).await;
    a_deletion_is_idempotent_and_returns_what_was(table).await;
    a_projection_returns_what_it_names(table).await;
    limits_hold(table).await;
}

async fn every_type_comes_back(table: &Table) {
    let item = item(
        "items",
        "types",
        [
            ("text", text("grüße \u{1F600}")),
            ("empty", text("")),
            ("number", number("12345678901234567890.5")),
            ("bytes", AttributeValue::B(Blob::new([0, 1, 255]))),
            ("yes", AttributeValue::Bool(true)),
            ("nothing", AttributeValue::Null(true)),
            (
                "list",
                AttributeValue::L(vec![number(1), text("two"), AttributeValue::L(vec![])]),
            ),
            (
                "map",
                map([("inner", map([("deep", number(-3))])), ("none", map([]))]),
            ),
            ("texts", AttributeValue::Ss(vec!["a".into(), "b".into()])),
        ],
    );
    table.put(item.clone()).await;
    assert_eq!(table.get("items", "types").await, Some(item));
    assert_eq!(table.get("items", "missing").await, None);
}

async fn a_put_replaces_the_item_whole(table: &Table) {
    table
        .put(item(
            "items",
            "replaced",
            [("a", number(1)), ("b", number(2))],
        ))
        .await;
    let put = table
        .client
        .put_item()
        .table_name(&table.name)
        .set_item(Some(item("items", "replaced", [("b", number(3))])));
    let old = put
        .return_values(ReturnValue::AllOld)
        .send()
        .await
        .unwrap()
        .attributes
        .unwrap();
    assert_eq!(old["a"], number(1));
    assert_eq!(
        table.get("items", "replaced").await.unwrap(),
        item("items", "replaced", [("b", number(3))])
    );
}

async fn a_deletion_is_idempotent_and_returns_what_was(table: &Table) {
    table
        .put(item("items", "deleted", [("a", number(1))]))
        .await;
    for expected in [Some(number(1)), None] {
        let delete = table
            .client
            .delete_item()
            .table_name(&table.name)
            .set_key(Some(key("items", "deleted")));
        let old = delete
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .unwrap()
            .attributes;
        assert_eq!(old.and_then(|old| old.get("a").cloned()), expected);
    }
    assert_eq!(table.get("items", "deleted").await, None);
}

async fn a_projection_returns_what_it_names(table: &Table) {
    table
        .put(item(
            "items",
            "projected",
            [
                ("a", number(1)),
                ("m", map([("x", number(2)), ("y", number(3))])),
                ("status", text("s")),
            ],
        ))
        .await;
    let got = table
        .client
        .get_item()
        .table_name(&table.name)
        .set_key(Some(key("items", "projected")))
        .projection_expression("m.#x, #status, absent")
        .expression_attribute_names("#x", "x")
        .expression_attribute_names("#status", "status")
        .send()
        .await
        .unwrap()
        .item
        .unwrap();
    assert_eq!(
        got,
        [
            ("m".to_owned(), map([("x", number(2))])),
            ("status".to_owned(), text("s"))
        ]
        .into()
    );
}

async fn limits_hold(table: &Table) {
    let put = |item| {
        table
            .client
            .put_item()
            .table_name(&table.name)
            .set_item(Some(item))
            .send()
    };
    assert_eq!(
        refusal(
            put(item(
                "items",
                "large",
                [("a", text(&"x".repeat(400 * 1024)))]
            ))
            .await
        ),
        "ValidationException"
    );
    assert_eq!(
        refusal(put(item("items", "", [])).await),
        "ValidationException"
    );
    // An index key may be absent, but not empty and not of another type.
    assert_eq!(
        refusal(
            put(item(
                "items",
                "index",
                [("t_pk", text("")), ("t_sk", text("s"))]
            ))
            .await
        ),
        "ValidationException"
    );
    assert_eq!(
        refusal(
            put(item(
                "items",
                "index",
                [("du_pk", text("d")), ("du_at", text("5"))]
            ))
            .await
        ),
        "ValidationException"
    );
    let missing = table
        .client
        .get_item()
        .table_name("missing")
        .set_key(Some(key("a", "b")))
        .send()
        .await;
    assert_eq!(refusal(missing), "ResourceNotFoundException");
}

//! Query on the base table.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};

use super::{Table, item, number, refusal, sort_keys, text};

pub(super) async fn hold(table: &Table) {
    for n in 1..=9 {
        table
            .put(item(
                "queries",
                &format!("0{n}#a"),
                [("n", number(n)), ("even", AttributeValue::Bool(n % 2 == 0))],
            ))
            .await;
    }
    table
        .put(item("queries", "10#b", [("n", number(10))]))
        .await;
    sort_keys_select(table).await;
    pages_follow_each_other(table).await;
    filters_apply_after_the_limit(table).await;
    projections_and_counts(table).await;
}

fn query(table: &Table, condition: &str) -> QueryFluentBuilder {
    let query = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression(format!("pk = :pk {condition}"));
    query
        .consistent_read(true)
        .expression_attribute_values(":pk", text("queries"))
}

async fn sort_keys_select(table: &Table) {
    let all = query(table, "").send().await.unwrap();
    assert_eq!((all.count, all.scanned_count), (10, 10));
    assert_eq!(
        sort_keys(all.items()),
        [
            "01#a", "02#a", "03#a", "04#a", "05#a", "06#a", "07#a", "08#a", "09#a", "10#b"
        ]
    );
    let newest = query(table, "")
        .scan_index_forward(false)
        .limit(2)
        .send()
        .await
        .unwrap();
    assert_eq!(sort_keys(newest.items()), ["10#b", "09#a"]);
    for (condition, low, high, expected) in [
        ("AND begins_with(sk, :low)", "1", None, vec!["10#b"]),
        (
            "AND sk BETWEEN :low AND :high",
            "08",
            Some("10#b"),
            vec!["08#a", "09#a", "10#b"],
        ),
        ("AND sk < :low", "02#a", None, vec!["01#a"]),
        ("AND sk <= :low", "02#a", None, vec!["01#a", "02#a"]),
        ("AND sk > :low", "09#a", None, vec!["10#b"]),
        ("AND sk >= :low", "09#a", None, vec!["09#a", "10#b"]),
        ("AND sk = :low", "03#a", None, vec!["03#a"]),
        ("AND sk BETWEEN :low AND :high", "x", Some("y"), vec![]),
    ] {
        for forward in [true, false] {
            let mut query = query(table, condition)
                .scan_index_forward(forward)
                .expression_attribute_values(":low", text(low));
            if let Some(high) = high {
                query = query.expression_attribute_values(":high", text(high));
            }
            let mut expected = expected.clone();
            if !forward {
                expected.reverse();
            }
            assert_eq!(
                sort_keys(query.send().await.unwrap().items()),
                expected,
                "{condition}, forward {forward}"
            );
        }
    }
}

async fn pages_follow_each_other(table: &Table) {
    for forward in [true, false] {
        let mut seen = Vec::new();
        let mut start = None;
        loop {
            let page = query(table, "")
                .scan_index_forward(forward)
                .limit(4)
                .set_exclusive_start_key(start)
                .send()
                .await
                .unwrap();
            seen.extend(sort_keys(page.items()).into_iter().map(str::to_owned));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 10);
        assert!(seen.is_sorted() == forward);
    }
    // A page starts after its key even when no item has that key.
    let start = item("queries", "05", []);
    let page = query(table, "")
        .set_exclusive_start_key(Some(start))
        .limit(1)
        .send()
        .await
        .unwrap();
    assert_eq!(sort_keys(page.items()), ["05#a"]);
    // A page that ends with the last item does not show that it is the last page.
    let exact = query(table, "").limit(10).send().await.unwrap();
    assert_eq!(
        exact.last_evaluated_key.map(|key| key["sk"].clone()),
        Some(text("10#b"))
    );
}

async fn filters_apply_after_the_limit(table: &Table) {
    let page = query(table, "")
        .filter_expression("even = :yes AND n > :two")
        .expression_attribute_values(":yes", AttributeValue::Bool(true))
        .expression_attribute_values(":two", number(2))
        .limit(5)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (sort_keys(page.items()), page.count, page.scanned_count),
        (vec!["04#a"], 1, 5)
    );
    assert_eq!(page.last_evaluated_key.unwrap()["sk"], text("05#a"));
    let on_key = query(table, "").filter_expression("sk = :pk").send().await;
    assert_eq!(refusal(on_key), "ValidationException");
}

async fn projections_and_counts(table: &Table) {
    let page = query(table, "")
        .projection_expression("sk, n")
        .limit(1)
        .send()
        .await
        .unwrap();
    assert_eq!(page.items()[0].len(), 2);
    let count = query(table, "").select(Select::Count).send().await.unwrap();
    assert_eq!((count.count, count.items().len()), (10, 0));
    let none = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", text("nobody"))
        .send()
        .await
        .unwrap();
    assert_eq!((none.count, none.last_evaluated_key), (0, None));
}

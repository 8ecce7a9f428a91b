//! Conditions, and what a refusal contains.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::{Table, item, key, number, refusal, text};

pub(super) async fn hold(table: &Table) {
    a_creation_happens_once(table).await;
    a_settle_happens_once(table).await;
    a_refusal_shows_the_item(table).await;
    expressions_decide(table).await;
}

async fn a_creation_happens_once(table: &Table) {
    let create = |value: u32| {
        let item = item("conditions", "created", [("a", number(value))]);
        table
            .client
            .put_item()
            .table_name(&table.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
    };
    create(1).await.unwrap();
    assert_eq!(refusal(create(2).await), "ConditionalCheckFailedException");
    assert_eq!(
        table.get("conditions", "created").await.unwrap()["a"],
        number(1)
    );
    let delete = |value: u32| {
        let delete = table
            .client
            .delete_item()
            .table_name(&table.name)
            .set_key(Some(key("conditions", "created")));
        delete
            .condition_expression("a = :a")
            .expression_attribute_values(":a", number(value))
            .send()
    };
    assert_eq!(refusal(delete(2).await), "ConditionalCheckFailedException");
    delete(1).await.unwrap();
}

async fn a_settle_happens_once(table: &Table) {
    table
        .put(item(
            "conditions",
            "settled",
            [
                ("gen", number(0)),
                ("n", number(0)),
                ("status", text("queued")),
            ],
        ))
        .await;
    let settle = |expected: u32| {
        table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(key("conditions", "settled")))
            .update_expression("SET n = n + :one, #s = :retrying")
            .condition_expression("gen = :g AND n = :n AND #s IN (:queued, :retrying)")
            .expression_attribute_names("#s", "status")
            .expression_attribute_values(":g", number(0))
            .expression_attribute_values(":n", number(expected))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":queued", text("queued"))
            .expression_attribute_values(":retrying", text("retrying"))
            .send()
    };
    settle(0).await.unwrap();
    assert_eq!(refusal(settle(0).await), "ConditionalCheckFailedException");
    settle(1).await.unwrap();
    assert_eq!(
        table.get("conditions", "settled").await.unwrap()["n"],
        number(2)
    );
}

async fn a_refusal_shows_the_item(table: &Table) {
    table
        .put(item("conditions", "shown", [("token", text("mine"))]))
        .await;
    for (sk, expected) in [("shown", Some(text("mine"))), ("absent", None)] {
        let error = table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(key("conditions", sk)))
            .update_expression("SET a = :a")
            .condition_expression("a = :a")
            .expression_attribute_values(":a", number(1))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await
            .unwrap_err();
        let UpdateItemError::ConditionalCheckFailedException(failed) = error.into_service_error()
        else {
            panic!("the condition fails")
        };
        assert_eq!(
            failed.item().and_then(|item| item.get("token").cloned()),
            expected
        );
    }
}

async fn expressions_decide(table: &Table) {
    let stored = item(
        "conditions",
        "expressions",
        [
            ("n", number(5)),
            ("s", text("abc")),
            ("tags", AttributeValue::Ss(vec!["x".into()])),
            ("zero", AttributeValue::Null(true)),
        ],
    );
    table.put(stored).await;
    for (condition, holds) in [
        ("n > :four", true),
        ("n < :four", false),
        ("n BETWEEN :four AND :six", true),
        ("begins_with(s, :ab)", true),
        ("contains(s, :ab) AND contains(tags, :x)", true),
        ("attribute_exists(s) AND attribute_not_exists(absent)", true),
        ("attribute_type(zero, :null)", true),
        ("size(s) = :three", true),
        ("NOT (n = :four OR s = :ab)", true),
        // A comparison with a missing attribute is false, and "not equal" is true.
        ("absent <> :four", true),
        ("absent = :four", false),
        ("absent < :four", false),
        // Numbers and texts are never equal.
        ("s <> :four", true),
    ] {
        let used = [
            (":four", number(4)),
            (":six", number(6)),
            (":three", number(3)),
            (":ab", text("ab")),
            (":x", text("x")),
            (":null", text("NULL")),
        ];
        let values = used
            .into_iter()
            .filter(|(name, _)| condition.contains(name))
            .map(|(name, value)| (name.to_owned(), value));
        let update = table
            .client
            .update_item()
            .table_name(&table.name)
            .set_key(Some(key("conditions", "expressions")));
        let outcome = update
            .update_expression("REMOVE nothing")
            .condition_expression(condition)
            .set_expression_attribute_values(
                Some(values.collect()).filter(|values: &super::Item| !values.is_empty()),
            )
            .send()
            .await;
        if holds {
            outcome.unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        } else {
            assert_eq!(
                refusal(outcome),
                "ConditionalCheckFailedException",
                "{condition}"
            );
        }
    }
}

//! BatchExecuteStatement: writes in one call, each under its own condition.

use aws_sdk_dynamodb::types::{
    BatchStatementErrorCodeEnum, BatchStatementRequest, ReturnValuesOnConditionCheckFailure,
};

use super::{Table, item, number, text};

pub(super) async fn hold(table: &Table) {
    each_statement_stands_alone(table).await;
    existing_items_are_not_inserted_again(table).await;
    a_removal_of_nothing_and_a_choice_of_values_are_ordinary(table).await;
}

async fn existing_items_are_not_inserted_again(table: &Table) {
    table.put(item("inserted", "a", [("n", number(1))])).await;
    let insert = |sk: &str| {
        let statement = format!(
            r#"INSERT INTO "{}" VALUE {{'pk': ?, 'sk': ?, 'n': ?}}"#,
            table.name
        );
        let request = BatchStatementRequest::builder().statement(statement);
        request
            .set_parameters(Some(vec![text("inserted"), text(sk), number(2)]))
            .build()
            .unwrap()
    };
    let output = table
        .client
        .batch_execute_statement()
        .set_statements(Some(vec![insert("a"), insert("b")]))
        .send()
        .await
        .unwrap();
    let responses = output.responses();
    let error = responses[0].error().expect("the item is there");
    assert_eq!(
        error.code(),
        Some(&BatchStatementErrorCodeEnum::DuplicateItem)
    );
    assert!(responses[1].error().is_none(), "{responses:?}");
    assert_eq!(table.get("inserted", "a").await.unwrap()["n"], number(1));
    assert_eq!(table.get("inserted", "b").await.unwrap()["n"], number(2));
}

async fn a_removal_of_nothing_and_a_choice_of_values_are_ordinary(table: &Table) {
    for sk in ["a", "b"] {
        table
            .put(item("chosen", sk, [("s", text("q")), ("l", number(1))]))
            .await;
    }
    let settle = |sk: &str, one: &str, other: &str| {
        let statement = format!(
            r#"UPDATE "{}" SET "s" = ? REMOVE "l" REMOVE "never" WHERE "pk" = ? AND "sk" = ? AND ("s" = ? OR "s" = ?)"#,
            table.name
        );
        let parameters = [text("s"), text("chosen"), text(sk), text(one), text(other)].to_vec();
        BatchStatementRequest::builder()
            .statement(statement)
            .set_parameters(Some(parameters))
            .build()
            .unwrap()
    };
    let statements = vec![settle("a", "r", "q"), settle("b", "r", "f")];
    let output = table
        .client
        .batch_execute_statement()
        .set_statements(Some(statements))
        .send()
        .await
        .unwrap();
    let responses = output.responses();
    assert!(responses[0].error().is_none(), "{responses:?}");
    assert_eq!(
        responses[1].error().and_then(|error| error.code()),
        Some(&BatchStatementErrorCodeEnum::ConditionalCheckFailed)
    );
    assert_eq!(
        table.get("chosen", "a").await.unwrap(),
        item("chosen", "a", [("s", text("s"))])
    );
    assert_eq!(table.get("chosen", "b").await.unwrap()["l"], number(1));
}

async fn each_statement_stands_alone(table: &Table) {
    for sk in ["a", "b"] {
        table
            .put(item("partiql", sk, [("n", number(0)), ("gone", text("x"))]))
            .await;
    }
    let settle = |sk: &str, expected: u32| {
        let statement = format!(
            r#"UPDATE "{}" SET n = n + ? SET s = ? REMOVE gone WHERE pk = ? AND sk = ? AND n = ?"#,
            table.name
        );
        BatchStatementRequest::builder()
            .statement(statement)
            .set_parameters(Some(vec![
                number(1),
                text("delivered"),
                text("partiql"),
                text(sk),
                number(expected),
            ]))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .unwrap()
    };
    let output = table
        .client
        .batch_execute_statement()
        .set_statements(Some(vec![settle("a", 0), settle("b", 7)]))
        .send()
        .await
        .unwrap();
    let responses = output.responses();
    assert!(responses[0].error().is_none(), "{responses:?}");
    let error = responses[1].error().expect("the second condition fails");
    assert_eq!(
        error.code(),
        Some(&BatchStatementErrorCodeEnum::ConditionalCheckFailed)
    );
    // AWS returns the item; this version of DynamoDB Local does not.
    assert!(error.item().is_none_or(|item| item["n"] == number(0)));
    assert_eq!(
        table.get("partiql", "a").await.unwrap(),
        item("partiql", "a", [("n", number(1)), ("s", text("delivered"))])
    );
    assert_eq!(table.get("partiql", "b").await.unwrap()["gone"], text("x"));
}

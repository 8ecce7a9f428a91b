//! BatchExecuteStatement: writes in one call, each under its own condition.

use aws_sdk_dynamodb::types::{BatchStatementErrorCodeEnum, BatchStatementRequest, ReturnValuesOnConditionCheckFailure};

use super::{Table, item, number, text};

pub(super) async fn hold(table: &Table) {
    each_statement_stands_alone(table).await;
}

async fn each_statement_stands_alone(table: &Table) {
    for sk in ["a", "b"] {
        table.put(item("partiql", sk, [("n", number(0)), ("gone", text("x"))])).await;
    }
    let settle = |sk: &str, expected: u32| {
        let statement = format!(r#"UPDATE "{}" SET n = n + ? SET s = ? REMOVE gone WHERE pk = ? AND sk = ? AND n = ?"#, table.name);
        BatchStatementRequest::builder()
            .statement(statement)
            .set_parameters(Some(vec![number(1), text("delivered"), text("partiql"), text(sk), number(expected)]))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .unwrap()
    };
    let output = table.client.batch_execute_statement().set_statements(Some(vec![settle("a", 0), settle("b", 7)])).send().await.unwrap();
    let responses = output.responses();
    assert!(responses[0].error().is_none(), "{responses:?}");
    let error = responses[1].error().expect("the second condition fails");
    assert_eq!(error.code(), Some(&BatchStatementErrorCodeEnum::ConditionalCheckFailed));
    // AWS returns the item; DynamoDB Local is older than that.
    assert!(error.item().is_none_or(|item| item["n"] == number(0)));
    assert_eq!(table.get("partiql", "a").await.unwrap(), item("partiql", "a", [("n", number(1)), ("s", text("delivered"))]));
    assert_eq!(table.get("partiql", "b").await.unwrap()["gone"], text("x"));
}

//! Makes the event for a batch of queue messages as Lambda does, and interprets the function's
//! response.

use std::collections::BTreeSet;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::template::REGION;

/// Makes the event for a batch of messages.
pub(crate) fn event(messages: &[Message], queue_arn: &str) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| record(message, queue_arn))
        .collect();
    json!({ "Records": records })
}

fn record(message: &Message, queue_arn: &str) -> Value {
    let attributes = message
        .attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), json!(value)));
    let message_attributes = message
        .message_attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), message_attribute(value)));
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes.collect::<Map<_, _>>(),
        "messageAttributes": message_attributes.collect::<Map<_, _>>(),
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    })
}

/// Handles text and numbers; no queue here has binary attributes.
fn message_attribute(value: &MessageAttributeValue) -> Value {
    json!({
        "stringValue": value.string_value(),
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value.data_type(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    batch_item_failures: Option<Vec<ItemFailure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

/// Returns the ids of the messages that are done; the others stay in the queue. A response that is
/// malformed, or that names a message not in the batch, fails the whole batch (AWS: "Reporting
/// batch item failures").
pub(crate) fn done<'a>(answer: &Value, ids: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    if answer.is_null() || *answer == json!({}) {
        return ids.clone();
    }
    let Ok(answer) = Answer::deserialize(answer) else {
        return BTreeSet::new();
    };
    let failures: BTreeSet<String> = answer
        .batch_item_failures
        .into_iter()
        .flatten()
        .map(|failure| failure.item_identifier)
        .collect();
    if failures.iter().any(|id| !ids.contains(id.as_str())) {
        return BTreeSet::new();
    }
    ids.iter()
        .filter(|id| !failures.contains(**id))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_which_messages_are_done() {
        let ids = BTreeSet::from(["a", "b", "c"]);
        let cases: [(Value, &[&str]); 8] = [
            (Value::Null, &["a", "b", "c"]),
            (json!({}), &["a", "b", "c"]),
            (json!({"batchItemFailures": []}), &["a", "b", "c"]),
            (json!({"batchItemFailures": null}), &["a", "b", "c"]),
            (
                json!({"batchItemFailures": [{"itemIdentifier": "b"}]}),
                &["a", "c"],
            ),
            (json!({"batchItemFailures": [{"itemIdentifier": "x"}]}), &[]),
            (json!({"batchItemFailures": [{"itemIdentifier": ""}]}), &[]),
            (json!({"batchItemFailures": [{"wrong": "b"}]}), &[]),
        ];
        for (answer, expected) in cases {
            assert_eq!(
                done(&answer, &ids),
                expected.iter().copied().collect(),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_message_is_handed_over_as_lambda_does() {
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("00-1-2-01")
            .build()
            .unwrap();
        let message = Message::builder()
            .message_id("m")
            .receipt_handle("r")
            .body("{}")
            .attributes(
                aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount,
                "2",
            )
            .message_attributes("traceparent", attribute)
            .build();
        let event: aws_lambda_events::sqs::SqsEvent =
            serde_json::from_value(event(&[message], "arn:q")).unwrap();
        let record = &event.records[0];
        assert_eq!(record.message_id.as_deref(), Some("m"));
        assert_eq!(record.attributes["ApproximateReceiveCount"], "2");
        assert_eq!(
            record.message_attributes["traceparent"]
                .string_value
                .as_deref(),
            Some("00-1-2-01")
        );
    }
}

//! Golden files of the table's items: what a released version wrote is read by every later one.
//!
//! Each file holds one item of every kind, as one version wrote it. The newest is compared with
//! what is written today, and all of them are read back. A change of the stored format shows up
//! here first. If it is intended and the newest file's version was released, add a file and keep
//! the earlier ones.

mod flow;
mod one_of_each;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fixture::{Fixture, TABLE};
use flow::Flow;
use one_of_each::OneOfEach;

/// By version, oldest first.
const FILES: [(&str, &str); 2] = [
    ("0.1.0", include_str!("0.1.0.json")),
    ("0.2.0", include_str!("0.2.0.json")),
];

#[tokio::test]
async fn items_written_today_equal_those_of_the_newest_golden_file() {
    let fixture = Fixture::new();
    let one_of_each = OneOfEach::new(&fixture);
    let flow = Flow::new(&fixture, one_of_each.owner());
    one_of_each.write(&fixture).await;
    flow.write(&fixture).await;
    let written = serde_json::to_string_pretty(&dump(&fixture).await).unwrap() + "\n";
    let (version, golden) = FILES[FILES.len() - 1];
    if written != golden {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/items.json");
        std::fs::write(path, &written).unwrap();
        panic!(
            "what is stored differs from tests/golden/{version}.json; the items as they are \
             written today are in {path}"
        );
    }
}

#[tokio::test]
async fn items_of_earlier_versions_are_read_unchanged() {
    for (version, golden) in FILES {
        let fixture = Fixture::new();
        let expected = OneOfEach::new(&fixture);
        let flow = Flow::new(&fixture, expected.owner());
        let items: BTreeMap<String, Value> = serde_json::from_str(golden).unwrap();
        for item in items.values() {
            let item = item
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)));
            fixture
                .table
                .put_item()
                .table_name(TABLE)
                .set_item(Some(item.collect()))
                .send()
                .await
                .unwrap();
        }
        println!("items of version {version}");
        expected.read(&fixture).await;
        if version != "0.1.0" {
            flow.read(&fixture).await;
        }
    }
}

/// Every item of the table by its key, in DynamoDB's JSON.
async fn dump(fixture: &Fixture) -> BTreeMap<String, Value> {
    let scan = fixture.table.scan().table_name(TABLE).send().await.unwrap();
    assert!(scan.last_evaluated_key().is_none(), "one page holds all");
    let key =
        |item: &HashMap<String, AttributeValue>, part: &str| item[part].as_s().unwrap().clone();
    let line = |item: &HashMap<String, AttributeValue>| {
        let attributes: BTreeMap<&String, Value> = item
            .iter()
            .map(|(name, value)| (name, written(value)))
            .collect();
        (
            format!("{} / {}", key(item, "pk"), key(item, "sk")),
            json!(attributes),
        )
    };
    scan.items().iter().map(line).collect()
}

fn written(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        AttributeValue::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::M(map) => {
            json!({"M": map.iter().map(|(name, value)| (name, written(value))).collect::<BTreeMap<_,
                _>>()})
        }
        other => panic!("{other:?} is not stored"),
    }
}

fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value
        .as_object()
        .and_then(|object| object.iter().next())
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text(value)),
        "N" => AttributeValue::N(text(value)),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "B" => AttributeValue::B(Blob::new(STANDARD.decode(text(value)).unwrap())),
        "SS" => AttributeValue::Ss(value.as_array().unwrap().iter().map(text).collect()),
        "M" => AttributeValue::M(
            value
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)))
                .collect(),
        ),
        other => panic!("{other} is not an attribute's type"),
    }
}

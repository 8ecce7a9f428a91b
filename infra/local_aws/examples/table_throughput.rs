//! Measures the table calls per second through the AWS SDK: `cargo run --release -p local_aws
//! --example table_throughput [calls]`.
//!
//! Puts items with one index entry, updates them under a condition, and reads them in batches of
//! ten, from sixteen tasks, with a file in a temporary directory.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a person at a terminal"
)]

use std::collections::HashMap;
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use local_aws::{
    AttributeType, Caller, Engines, IndexSpec, KeySchema, Options, Projection, Resources, TableSpec,
};

const TASKS: usize = 16;
const TABLE: &str = "bench";

#[derive(Clone, Copy, Debug)]
enum Step {
    Put,
    Settle,
    ReadTen,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let calls: usize = std::env::args()
        .nth(1)
        .map_or(20_000, |count| count.parse().unwrap());
    let data = tempfile::tempdir().unwrap();
    let engines = Engines::open(
        data.path(),
        &Resources {
            tables: vec![table()],
            ..Resources::empty()
        },
        Options::local(),
    )
    .unwrap();
    let client = Client::new(&engines.sdk_config(Caller::unlimited("bench")));
    for step in [Step::Put, Step::Settle, Step::ReadTen] {
        let began = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| tokio::spawn(run(client.clone(), step, (task..calls).step_by(TASKS))))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        println!(
            "{step:?}: {:.0} calls/s",
            calls as f64 / began.elapsed().as_secs_f64()
        );
    }
    let began = Instant::now();
    for n in 0..1_000 {
        call(&client, Step::Put, n).await;
    }
    println!(
        "one after another: {:.0} µs a put",
        began.elapsed().as_secs_f64() * 1_000.0
    );
    engines.close().await;
}

async fn run(client: Client, step: Step, numbers: impl Iterator<Item = usize>) {
    for n in numbers {
        call(&client, step, n).await;
    }
}

async fn call(client: &Client, step: Step, n: usize) {
    match step {
        Step::Put => {
            let put = client
                .put_item()
                .table_name(TABLE)
                .set_item(Some(key(n)))
                .item("bd_pk", text("dst"))
                .item("bd_sk", text(&n.to_string()));
            put.item("gen", number(0))
                .item("n", number(0))
                .item("payload", text(&"x".repeat(400)))
                .send()
                .await
                .unwrap();
        }
        Step::Settle => {
            let update = client
                .update_item()
                .table_name(TABLE)
                .set_key(Some(key(n)))
                .update_expression("SET n = n + :one, settled = :one");
            let update = update.condition_expression("gen = :zero AND n = :zero");
            update
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":zero", number(0))
                .send()
                .await
                .unwrap();
        }
        Step::ReadTen => {
            let keys = (n..n + 10).map(key).collect();
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .unwrap();
            client
                .batch_get_item()
                .request_items(TABLE, keys)
                .send()
                .await
                .unwrap();
        }
    }
}

fn table() -> TableSpec {
    let key = |hash: &str, range: &str| KeySchema {
        hash: hash.into(),
        range: Some(range.into()),
    };
    let attributes = ["pk", "sk", "bd_pk", "bd_sk"]
        .map(|name| (name.to_owned(), AttributeType::Text))
        .into();
    let index = IndexSpec {
        name: "by_destination".into(),
        key: key("bd_pk", "bd_sk"),
        projection: Projection::KeysOnly,
    };
    TableSpec {
        name: TABLE.into(),
        attributes,
        key: key("pk", "sk"),
        indexes: vec![index],
        ttl_attribute: None,
    }
}

fn key(n: usize) -> HashMap<String, AttributeValue> {
    [
        ("pk".to_owned(), text(&format!("ORG#org#{}", n % 16))),
        ("sk".to_owned(), text(&format!("{n:026}#00"))),
    ]
    .into()
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

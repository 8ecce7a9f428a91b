//! BatchGetItem and BatchWriteItem.

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};

use super::{Item, Table, item, key, number, refusal, text};

pub(super) async fn hold(table: &Table) {
    a_batch_of_reads_returns_what_exists(table).await;
    keys_beyond_16_mib_are_unprocessed(table).await;
    a_batch_of_writes_puts_and_deletes(table).await;
}

async fn get(table: &Table, keys: Vec<Item>, projection: Option<&str>) -> BatchGetItemOutput {
    let keys = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .set_projection_expression(projection.map(str::to_owned));
    table
        .client
        .batch_get_item()
        .request_items(&table.name, keys.build().unwrap())
        .send()
        .await
        .unwrap()
}

fn found<'a>(table: &Table, output: &'a BatchGetItemOutput) -> &'a [Item] {
    output
        .responses()
        .and_then(|tables| tables.get(&table.name))
        .map_or(&[], Vec::as_slice)
}

async fn a_batch_of_reads_returns_what_exists(table: &Table) {
    for n in 0..3 {
        table
            .put(item(
                "batches",
                &format!("r{n}"),
                [("n", number(n)), ("more", text("x"))],
            ))
            .await;
    }
    let mut keys: Vec<Item> = (0..100).map(|n| key("batches", &format!("r{n}"))).collect();
    let output = get(table, keys.clone(), Some("sk, n")).await;
    let mut numbers: Vec<_> = found(table, &output)
        .iter()
        .map(|item| (item.len(), item["n"].as_n().unwrap().clone()))
        .collect();
    numbers.sort();
    assert_eq!(
        numbers,
        [
            (2, "0".to_owned()),
            (2, "1".to_owned()),
            (2, "2".to_owned())
        ]
    );
    assert!(output.unprocessed_keys().is_none_or(|keys| keys.is_empty()));

    let refused = |keys| {
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .build()
            .unwrap();
        table
            .client
            .batch_get_item()
            .request_items(&table.name, keys)
            .send()
    };
    keys.push(key("batches", "one more"));
    assert_eq!(refusal(refused(keys).await), "ValidationException");
    assert_eq!(
        refusal(refused(vec![key("batches", "r0"), key("batches", "r0")]).await),
        "ValidationException"
    );
}

async fn keys_beyond_16_mib_are_unprocessed(table: &Table) {
    let large = "x".repeat(390 * 1024);
    let keys: Vec<Item> = (0..50)
        .map(|n| key("batches", &format!("large {n}")))
        .collect();
    for n in 0..50 {
        table
            .put(item(
                "batches",
                &format!("large {n}"),
                [("a", text(&large))],
            ))
            .await;
    }
    let output = get(table, keys, Some("sk")).await;
    let rest = output
        .unprocessed_keys()
        .and_then(|tables| tables.get(&table.name))
        .expect("some keys are left over")
        .clone();
    assert_eq!(rest.consistent_read(), Some(true));
    assert_eq!(found(table, &output).len() + rest.keys().len(), 50);
    let again = table
        .client
        .batch_get_item()
        .request_items(&table.name, rest.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(found(table, &again).len(), rest.keys().len());
}

async fn a_batch_of_writes_puts_and_deletes(table: &Table) {
    table.put(item("batches", "old", [])).await;
    let put = |sk: &str| {
        let put = PutRequest::builder()
            .set_item(Some(item("batches", sk, [("n", number(1))])))
            .build()
            .unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    let delete = DeleteRequest::builder()
        .set_key(Some(key("batches", "old")))
        .build()
        .unwrap();
    let delete = WriteRequest::builder().delete_request(delete).build();
    let write = |requests| {
        table
            .client
            .batch_write_item()
            .request_items(&table.name, requests)
            .send()
    };
    let output = write(vec![put("new"), delete]).await.unwrap();
    assert!(
        output
            .unprocessed_items()
            .is_none_or(|items| items.is_empty())
    );
    assert!(table.get("batches", "old").await.is_none());
    assert!(table.get("batches", "new").await.is_some());
    let too_many = (0..26).map(|n| put(&format!("w{n}"))).collect();
    assert_eq!(refusal(write(too_many).await), "ValidationException");
    assert_eq!(
        refusal(write(vec![put("twice"), put("twice")]).await),
        "ValidationException"
    );
}

//! Measures the messages per second of the embedded queues: `cargo run --release -p local_aws
//! --example queue_throughput [messages]`.
//!
//! Sends, then receives and deletes, in batches of ten, from four tasks and for fifty groups, with
//! a file in a temporary directory. Prints each rate for the engine itself and through the AWS SDK,
//! on an empty queue and behind a backlog of 100,000.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a person at a terminal"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use local_aws::sqs::{QueueSpec, Sqs};
use local_aws::{Caller, Engines, Options, Resources};
use serde_json::{Value, json};

const TASKS: usize = 4;
const GROUPS: usize = 50;
const BACKLOG: usize = 100_000;
const BODY: &str = r#"{"v":1,"organization":"org_01ARZ3NDEKTSV4RRFFQ69G5FAV","delivery":"dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV00","generation":0}"#;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let messages: usize = std::env::args()
        .nth(1)
        .map_or(20_000, |count| count.parse().unwrap());
    let data = tempfile::tempdir().unwrap();
    let queue = |name: &str| QueueSpec {
        name: name.to_owned(),
        visibility_timeout_seconds: 540,
        message_retention_seconds: 1_209_600,
        delay_seconds: 0,
        receive_wait_seconds: 0,
        redrive: None,
    };
    let resources = Resources {
        queues: vec![queue("empty"), queue("long")],
        ..Resources::empty()
    };
    let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
    let client = Client::new(&engines.sdk_config(Caller::unlimited("bench")));
    let direct = |name: &str| Access::Engine(engines.sqs().clone(), engines.queue_url(name));
    let sdk = |name: &str| Access::Sdk(client.clone(), engines.queue_url(name));

    measure("engine, empty queue", &direct("empty"), messages).await;
    measure("AWS SDK, empty queue", &sdk("empty"), messages).await;
    rate(BACKLOG, &direct("long"), Step::Send).await;
    measure("engine, backlog of 100,000", &direct("long"), messages).await;
    measure("AWS SDK, backlog of 100,000", &sdk("long"), messages).await;
    engines.close().await;
}

/// How a queue is called.
#[derive(Clone)]
enum Access {
    Engine(Sqs, String),
    Sdk(Client, String),
}

#[derive(Clone, Copy)]
enum Step {
    Send,
    ReceiveAndDelete,
}

async fn measure(what: &str, queue: &Access, messages: usize) {
    let sent = rate(messages, queue, Step::Send).await;
    let received = rate(messages, queue, Step::ReceiveAndDelete).await;
    println!("{what:<28} {sent:>8.0} sent/s {received:>8.0} received and deleted/s");
}

/// Returns the messages per second of a step that all tasks execute together.
async fn rate(messages: usize, queue: &Access, step: Step) -> f64 {
    static GROUP: AtomicUsize = AtomicUsize::new(0);
    let start = Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for _ in 0..messages / 10 / TASKS {
                match step {
                    Step::Send => {
                        queue
                            .send(&format!(
                                "dst_{}",
                                GROUP.fetch_add(1, Ordering::Relaxed) % GROUPS
                            ))
                            .await
                    }
                    Step::ReceiveAndDelete => queue.receive_and_delete().await,
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    messages as f64 / start.elapsed().as_secs_f64()
}

impl Access {
    async fn send(&self, group: &str) {
        match self {
            Self::Engine(sqs, url) => {
                let entry = |id: usize| {
                    json!({ "Id": id.to_string(), "MessageBody": BODY,
                    "MessageGroupId": group })
                };
                let entries: Vec<_> = (0..10).map(entry).collect();
                ask(
                    sqs,
                    "SendMessageBatch",
                    json!({ "QueueUrl": url, "Entries": entries }),
                )
                .await;
            }
            Self::Sdk(client, url) => {
                let entry = |id: usize| {
                    SendMessageBatchRequestEntry::builder()
                        .id(id.to_string())
                        .message_body(BODY)
                        .message_group_id(group)
                        .build()
                };
                let entries = (0..10).map(|id| entry(id).unwrap()).collect();
                client
                    .send_message_batch()
                    .queue_url(url)
                    .set_entries(Some(entries))
                    .send()
                    .await
                    .unwrap();
            }
        }
    }

    async fn receive_and_delete(&self) {
        match self {
            Self::Engine(sqs, url) => {
                let received = ask(
                    sqs,
                    "ReceiveMessage",
                    json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 }),
                )
                .await;
                let messages = received["Messages"].as_array().unwrap();
                assert_eq!(messages.len(), 10);
                let entry = |(id, message): (usize, &Value)| {
                    json!({ "Id": id.to_string(),
                        "ReceiptHandle": message["ReceiptHandle"] })
                };
                let entries: Vec<_> = messages.iter().enumerate().map(entry).collect();
                ask(
                    sqs,
                    "DeleteMessageBatch",
                    json!({ "QueueUrl": url, "Entries": entries }),
                )
                .await;
            }
            Self::Sdk(client, url) => {
                let received = client
                    .receive_message()
                    .queue_url(url)
                    .max_number_of_messages(10)
                    .send()
                    .await
                    .unwrap();
                assert_eq!(received.messages().len(), 10);
                let handles = received
                    .messages()
                    .iter()
                    .map(|message| message.receipt_handle().unwrap());
                let entry = |(id, handle): (usize, &str)| {
                    DeleteMessageBatchRequestEntry::builder()
                        .id(id.to_string())
                        .receipt_handle(handle)
                        .build()
                };
                let entries = handles
                    .enumerate()
                    .map(|pair| entry(pair).unwrap())
                    .collect();
                client
                    .delete_message_batch()
                    .queue_url(url)
                    .set_entries(Some(entries))
                    .send()
                    .await
                    .unwrap();
            }
        }
    }
}

async fn ask(sqs: &Sqs, operation: &str, request: Value) -> Value {
    let answer = sqs
        .call(operation, request.to_string().as_bytes())
        .await
        .unwrap();
    serde_json::from_slice(&answer).unwrap()
}

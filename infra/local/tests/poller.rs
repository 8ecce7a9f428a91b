//! Pollers on the embedded queues: which messages are deleted, which stay, and what runs
//! concurrently.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use local::function::{Frame, Function};
use local::poller::Poller;
use local::template::{COMPILED_IN, Mapping, Template};
use local_aws::sqs::QueueSpec;
use local_aws::{Caller, Engines, Options, Resources};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const URL: &str = "https://sqs.us-east-1.amazonaws.com/000000000000/tasks";

/// A queue with a poller, and the events that its function received.
struct PollerFixture {
    client: Client,
    invoked: UnboundedReceiver<Vec<String>>,
    stop: CancellationToken,
    polling: JoinHandle<()>,
    engines: Engines,
    _directory: TempDir,
}

/// What a function does with the bodies and message ids of a batch.
type Behaviour = fn(Vec<(String, String)>) -> Result<Value, lambda_runtime::Error>;

impl PollerFixture {
    fn start(mapping: Mapping, behaviour: Behaviour) -> Self {
        let (directory, engines, client) = queue();
        let (invocations, invoked) = unbounded_channel();
        let handler: local::function::Handler = Arc::new(move |event| {
            let records = records(&event.payload);
            let bodies = records.iter().map(|(body, _)| body.clone()).collect();
            let sent = invocations.send(bodies);
            Box::pin(async move {
                sent?;
                behaviour(records)
            })
        });
        let stop = CancellationToken::new();
        let poller = Poller::new(
            mapping,
            client.clone(),
            Arc::new(Function::new(frame(), handler)),
        );
        let polling = tokio::spawn(poller.run(stop.clone()));
        Self {
            client,
            invoked,
            stop,
            polling,
            engines,
            _directory: directory,
        }
    }

    async fn send(&self, bodies: &[&str]) {
        let entry = |(id, body): (usize, &&str)| {
            SendMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .message_body(*body)
                .build()
                .unwrap()
        };
        let entries = bodies.iter().enumerate().map(entry).collect();
        self.client
            .send_message_batch()
            .queue_url(URL)
            .set_entries(Some(entries))
            .send()
            .await
            .unwrap();
    }

    async fn bodies(&mut self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < count {
            bodies.extend(
                tokio::time::timeout(Duration::from_secs(10), self.invoked.recv())
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        bodies.sort();
        bodies
    }

    /// Stops the poller and returns the number of messages left in the queue.
    async fn left(self) -> usize {
        self.stop.cancel();
        self.polling.await.unwrap();
        let attributes = [
            aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages,
            aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(URL)
            .set_attribute_names(Some(attributes.to_vec()));
        let answer = asked.send().await.unwrap();
        self.engines.close().await;
        answer
            .attributes
            .unwrap()
            .values()
            .map(|count| count.parse::<usize>().unwrap())
            .sum()
    }
}

fn queue() -> (TempDir, Engines, Client) {
    let directory = tempfile::tempdir().unwrap();
    let mut resources = Resources::empty();
    resources.queues.push(QueueSpec {
        name: "tasks".into(),
        visibility_timeout_seconds: 1,
        message_retention_seconds: 3_600,
        delay_seconds: 0,
        receive_wait_seconds: 0,
        redrive: None,
    });
    let engines = Engines::open(directory.path(), &resources, Options::local()).unwrap();
    let client = Client::new(&engines.sdk_config(Caller::unlimited("test")));
    (directory, engines, client)
}

fn mapping() -> Mapping {
    Mapping {
        queue_arn: "arn:aws:sqs:us-east-1:000000000000:tasks".into(),
        function: "waybill-Test".into(),
        batch_size: 10,
        maximum_concurrency: Some(4),
        reports_item_failures: true,
    }
}

/// Returns the frame of one of the template's functions, for its limits.
fn frame() -> Frame {
    let stack = Template::read(COMPILED_IN, &std::collections::BTreeMap::new())
        .unwrap()
        .stack()
        .unwrap();
    Frame::new(
        &stack.functions[1],
        runtime::platform::system_clock(),
        runtime::platform::system_random(),
    )
}

/// Returns the body and id of every message in an event.
fn records(event: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    event["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (text(&record["body"]), text(&record["messageId"])))
        .collect()
}

#[tokio::test]
async fn completed_messages_are_deleted() {
    let mut fixture = PollerFixture::start(mapping(), |_| Ok(json!({"batchItemFailures": []})));
    fixture.send(&["a", "b", "c"]).await;
    assert_eq!(fixture.bodies(3).await, ["a", "b", "c"]);
    assert_eq!(fixture.left().await, 0);
}

#[tokio::test]
async fn messages_reported_as_failed_are_received_again() {
    let mut fixture = PollerFixture::start(mapping(), |records| {
        let failed: Vec<_> = records
            .iter()
            .filter(|(body, _)| body == "b")
            .map(|(_, id)| json!({"itemIdentifier": id}))
            .collect();
        Ok(json!({ "batchItemFailures": failed }))
    });
    fixture.send(&["a", "b", "c"]).await;
    assert_eq!(fixture.bodies(3).await, ["a", "b", "c"]);
    assert_eq!(fixture.bodies(1).await, ["b"]);
    assert_eq!(fixture.left().await, 1);
}

#[tokio::test]
async fn an_error_or_a_panic_leaves_the_batch() {
    for behaviour in [(|_| Err("no".into())) as Behaviour, |_| {
        panic!("on purpose")
    }] {
        let mut fixture = PollerFixture::start(mapping(), behaviour);
        fixture.send(&["a", "b"]).await;
        assert_eq!(fixture.bodies(2).await, ["a", "b"]);
        assert_eq!(
            fixture.bodies(2).await,
            ["a", "b"],
            "the same batch again, after its visibility"
        );
        assert_eq!(fixture.left().await, 2);
    }
}

#[tokio::test]
async fn without_item_reports_any_answer_is_success() {
    let mut fixture = PollerFixture::start(
        Mapping {
            reports_item_failures: false,
            ..mapping()
        },
        |_| Ok(json!({"batchItemFailures": [{"itemIdentifier": "x"}]})),
    );
    fixture.send(&["a"]).await;
    assert_eq!(fixture.bodies(1).await, ["a"]);
    assert_eq!(fixture.left().await, 0);
}

#[tokio::test]
async fn invocations_run_at_once_up_to_the_limit_and_are_waited_for() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let (_directory, engines, client) = queue();
    let handler: local::function::Handler = Arc::new(|_| {
        Box::pin(async {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(300)).await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            Ok(Value::Null)
        })
    });
    for body in 0..6 {
        client
            .send_message()
            .queue_url(URL)
            .message_body(body.to_string())
            .send()
            .await
            .unwrap();
    }
    let stop = CancellationToken::new();
    let poller = Poller::new(
        Mapping {
            batch_size: 1,
            maximum_concurrency: Some(3),
            ..mapping()
        },
        client,
        Arc::new(Function::new(frame(), handler)),
    );
    let polling = tokio::spawn(poller.run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(150)).await;
    stop.cancel();
    assert_eq!(RUNNING.load(Ordering::SeqCst), 3);
    polling.await.unwrap();
    assert_eq!(
        (MOST.load(Ordering::SeqCst), RUNNING.load(Ordering::SeqCst)),
        (3, 0)
    );
    engines.close().await;
}

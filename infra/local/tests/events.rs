//! Runs the deployed binaries under the Lambda Runtime API with the events of `tests/events`, as
//! API Gateway, SQS, EventBridge and its Scheduler write them, including members that no function
//! reads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::Message;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kit::sink::Sink;
use lambda_runtime::{Context, LambdaEvent};
use local::first_start;
use local::instance::Instance;
use local::local_json::Keys;
use local::processes::Host;
use local::template::{Function, Stack};
use local_aws::{Caller, Engines};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::opened::Opened;

const SOON: Duration = Duration::from_secs(20);
/// A port on which nothing listens.
const NOWHERE: u16 = 1;

/// Returns the folder of the functions' binaries: that of this build, or `WAYBILL_TEST_BINARIES`,
/// such as one that `sam build` made.
fn binaries() -> PathBuf {
    let built = || {
        Path::new(env!("CARGO_BIN_EXE_waybill"))
            .parent()
            .unwrap()
            .to_path_buf()
    };
    std::env::var_os("WAYBILL_TEST_BINARIES").map_or_else(built, PathBuf::from)
}

/// A stack that only these tests trigger.
struct World {
    engines: Engines,
    host: Host,
    stack: Stack,
    keys: Keys,
    sqs: Client,
    /// The binaries that have received an event.
    invoked: Mutex<BTreeSet<String>>,
    _instance: Instance,
    _objects: local_aws::Gateway,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let sources = r#"[{"account": "000000000000", "source": "com.acme.reports", "organization_ids": ["*"]}]"#;
        let Opened {
            template,
            engines,
            directory,
            folder,
        } = Opened::new("127.0.0.0/8", sources);
        let objects = engines
            .serve_objects(TcpListener::bind("127.0.0.1:0").await.unwrap())
            .unwrap();
        let host = Host::start(binaries(), &engines, objects.address())
            .await
            .unwrap();
        let instance = Instance::build(
            template.stack().unwrap(),
            &engines,
            Some(&host),
            &CancellationToken::new(),
        )
        .unwrap();
        let keys = first_start::keys(&directory, &instance).await.unwrap();
        let sqs = Client::new(&engines.sdk_config(Caller::unlimited("the events' tests")));
        let stack = template.stack().unwrap();
        Self {
            engines,
            host,
            stack,
            keys,
            sqs,
            invoked: Mutex::default(),
            _instance: instance,
            _objects: objects,
            _folder: folder,
        }
    }

    /// Invokes a function with an event of `tests/events` after filling in its `{{…}}`.
    async fn hand(&self, binary: &str, event: &str, filled: &[(&str, &str)]) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/events")
            .join(event);
        let mut text = std::fs::read_to_string(path).unwrap();
        for (name, value) in filled {
            let quoted = json!(value).to_string();
            text = text.replace(&format!("{{{{{name}}}}}"), &quoted[1..quoted.len() - 1]);
        }
        assert!(!text.contains("{{"), "{event} is not filled in: {text}");
        let function = self.function(binary);
        let handler = self.host.handler(&function.name).unwrap();
        let mut context = Context::default();
        context.request_id = "8f507cfc-xmpl-4697-b07a-ac58fc914c95".to_owned();
        context.deadline =
            u64::try_from(now_ms()).unwrap() + u64::try_from(function.timeout.as_millis()).unwrap();
        context.invoked_function_arn.clone_from(&function.arn);
        let answer = handler(LambdaEvent::new(
            serde_json::from_str(&text).unwrap(),
            context,
        ))
        .await;
        self.invoked.lock().unwrap().insert(binary.to_owned());
        answer.unwrap_or_else(|error| panic!("{binary} on {event}: {error}"))
    }

    async fn get(&self, binary: &str, path: &str) -> (Value, String) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let filled = [
            ("path", path),
            ("query", query),
            ("api_key", &*self.keys.organization_key),
        ];
        let answer = self.hand(binary, "http_get.json", &filled).await;
        (
            answer["statusCode"].clone(),
            answer["body"].as_str().unwrap_or_default().to_owned(),
        )
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = self.get("api", path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, path: &str, query: &str, body: &Value) -> Value {
        let body = BASE64.encode(body.to_string());
        let filled = [
            ("path", path),
            ("query", query),
            ("api_key", &*self.keys.organization_key),
            ("body", &body),
        ];
        let answer = self.hand("api", "http_post.json", &filled).await;
        assert!(
            answer["statusCode"].as_u64().unwrap() < 300,
            "{path}: {answer}"
        );
        assert_eq!(
            answer["headers"]["content-type"], "application/json",
            "{answer}"
        );
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    async fn destination(&self, kind: &str, settings: Value, credentials: Value) -> String {
        let body =
            json!({"type": kind, "name": kind, "settings": settings, "credentials": credentials});
        self.post("/v1/destinations", "skip_check=true", &body)
            .await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Submits a message to some destinations and returns the paths of its deliveries.
    async fn message(&self, destinations: &[&String]) -> Vec<String> {
        let message = self
            .post(
                "/v1/messages",
                "",
                &json!({"event_type": "report.ready", "payload": {"n": 1},
                "destination_ids": destinations}),
            )
            .await;
        let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());
        let shown = self.read(&path).await;
        let ids = shown["deliveries"].as_array().unwrap().iter();
        ids.map(|delivery| format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap()))
            .collect()
    }

    fn function(&self, binary: &str) -> &Function {
        self.stack
            .functions
            .iter()
            .find(|function| function.binary == binary)
            .unwrap()
    }

    /// Receives the messages in the queue of a function.
    async fn waiting(&self, binary: &str) -> (&str, Vec<Message>) {
        let name = &self.function(binary).name;
        let mapping = self
            .stack
            .mappings
            .iter()
            .find(|mapping| mapping.function == *name)
            .unwrap();
        let queue = mapping.queue_arn.rsplit(':').next().unwrap();
        let url = self
            .sqs
            .get_queue_url()
            .queue_name(queue)
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap();
        let received = self
            .sqs
            .receive_message()
            .queue_url(&url)
            .max_number_of_messages(10)
            .send()
            .await
            .unwrap();
        (queue, received.messages.unwrap_or_default())
    }

    /// Receives the message in the queue of a function, and invokes the function with it as
    /// `sqs.json`.
    async fn work(&self, binary: &str) -> Value {
        let (queue, received) = self.waiting(binary).await;
        let [message] = &received[..] else {
            panic!("{binary}: {} messages wait in {queue}", received.len())
        };
        self.sqs_event(
            binary,
            queue,
            message.receipt_handle().unwrap(),
            message.body().unwrap(),
        )
        .await
    }

    async fn sqs_event(&self, binary: &str, queue: &str, receipt: &str, body: &str) -> Value {
        let now = now_ms().to_string();
        self.hand(
            binary,
            "sqs.json",
            &[
                ("body", body),
                ("receipt", receipt),
                ("queue", queue),
                ("now_ms", &now),
            ],
        )
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.engines.functions().clear();
    }
}

fn now_ms() -> i64 {
    runtime::platform::system_clock().now().as_millis()
}

/// Whether no message of the batch is returned to the queue.
fn is_done(answer: &Value) -> bool {
    answer["batchItemFailures"] == json!([])
}

/// The response that returns the one message of `sqs.json` to the queue.
fn stays_all() -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975830a7d"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_takes_the_events_that_aws_writes() {
    let world = World::new().await;
    let sink = Sink::start().await;
    let password = json!({"kind": "password", "username": "u", "password": "p"});
    let host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    let smtp = json!({"smtp": {"host": "127.0.0.1", "port": NOWHERE, "security": "none"}});
    let webhook = world
        .destination(
            "webhook",
            json!({"url": sink.path("/hook").url()}),
            json!({"kind": "none"}),
        )
        .await;
    let email = world
        .destination(
            "email",
            json!({"transport": smtp, "from": "a@b.example", "to": ["c@d.example"]}),
            json!({"kind": "smtp_password", "username": "u", "password": "p"}),
        )
        .await;
    let storage = world
        .destination(
            "s3",
            json!({"bucket": "bbb", "endpoint": format!("http://127.0.0.1:{NOWHERE}")}),
            json!({"kind": "access_key", "access_key_id": "a", "secret_access_key": "b"}),
        )
        .await;
    let sftp = world
        .destination(
            "sftp",
            json!({"host": "127.0.0.1", "port": NOWHERE, "username": "u", "host_key": host_key}),
            json!({"kind": "password", "password": "p"}),
        )
        .await;
    let database = world
        .destination(
            "postgres",
            json!({"host": "127.0.0.1", "port": NOWHERE, "database": "d", "table": "t"}),
            password,
        )
        .await;

    // One task for each worker. Only the webhook's server exists; the other deliveries fail.
    let deliveries = world
        .message(&[&webhook, &email, &storage, &sftp, &database])
        .await;
    for binary in [
        "worker_webhook",
        "worker_email",
        "worker_storage",
        "worker_sftp",
        "worker_database",
    ] {
        let answer = world.work(binary).await;
        // The task of a delivery that will be retried stays in its queue.
        let stays = binary != "worker_webhook";
        assert_eq!(
            answer,
            if stays {
                stays_all()
            } else {
                json!({"batchItemFailures": []})
            },
            "{binary}"
        );
    }
    assert_eq!(
        sink.path("/hook").wait_for(1, SOON).await[0].text(),
        r#"{"n":1}"#
    );
    let mut outcomes = Vec::new();
    for delivery in &deliveries {
        let shown = world.read(delivery).await;
        assert_eq!(shown["attempt_count"], 1, "{shown}");
        outcomes.push((
            shown["status"].as_str().unwrap().to_owned(),
            shown["attempts"][0]["reason"].clone(),
        ));
    }
    assert_eq!(outcomes[0], ("succeeded".to_owned(), Value::Null));
    assert!(
        outcomes[1..]
            .iter()
            .all(|outcome| *outcome == ("retrying".to_owned(), json!("connect"))),
        "{outcomes:?}"
    );

    // A dead-lettered task ends its delivery; one that cannot be parsed stays in its queue.
    let dead = world.message(&[&email]).await;
    // The task of the retry may have become visible again.
    let (_, waiting) = world.waiting("worker_email").await;
    let id = dead[0].rsplit('/').next().unwrap();
    let task = waiting
        .iter()
        .filter_map(|message| message.body())
        .find(|body| body.contains(id))
        .unwrap();
    let answer = world
        .sqs_event("dead_letters", "waybill-DeadLetters", "receipt", task)
        .await;
    assert!(is_done(&answer), "{answer}");
    let shown = world.read(&dead[0]).await;
    assert_eq!(
        (&shown["status"], &shown["reason"]),
        (&json!("failed"), &json!("dead_lettered")),
        "{shown}"
    );
    let answer = world
        .sqs_event("dead_letters", "waybill-DeadLetters", "receipt", "no task")
        .await;
    assert_eq!(answer, stays_all());

    // A job retries it.
    let job = world
        .post(
            "/v1/jobs",
            "",
            &json!({"kind": "retry", "filter": {"status": ["failed"]}}),
        )
        .await;
    let answer = world.work("jobs").await;
    assert!(is_done(&answer), "{answer}");
    let job = world
        .read(&format!("/v1/jobs/{}", job["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&job["status"], &job["done"]),
        (&json!("finished"), &json!(1)),
        "{job}"
    );

    // The schedules, the bus, and a page of the console.
    assert_eq!(
        world.hand("monitor", "schedule_sweep.json", &[]).await,
        Value::Null
    );
    assert_eq!(
        world.hand("monitor", "schedule_reconcile.json", &[]).await,
        Value::Null
    );
    let filled = [
        ("organization", &*world.keys.organization_id),
        ("destination", &*webhook),
    ];
    assert_eq!(
        world.hand("ingest", "eventbridge.json", &filled).await,
        Value::Null
    );
    let messages = world.read("/v1/messages?limit=50").await;
    assert!(
        messages["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|message| message["event_type"] == "report.bridged"),
        "{messages}"
    );
    let (status, page) = world.get("console", "/sign-in").await;
    assert!(status == 200 && page.contains("API key"), "{page}");

    let all: BTreeSet<String> = world
        .stack
        .functions
        .iter()
        .map(|function| function.binary.clone())
        .collect();
    assert_eq!(*world.invoked.lock().unwrap(), all, "every function");
}

//! The event bus in both directions: a message that arrives as an event is delivered once, and one
//! from a source that is not allowed is refused and recorded; events about destinations and
//! deliveries are published.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use axum::body::Body;
use axum::extract::Request;
use http::Method;
use http_body_util::BodyExt as _;
use kit::sink::Sink;
use local::first_start;
use local::instance::Instance;
use local::local_json::Keys;
use local_aws::{Caller, Engines};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::opened::Opened;

struct World {
    engines: Engines,
    instance: Instance,
    keys: Keys,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(sources: &str) -> Self {
        Self::reaching("127.0.0.0/8", sources).await
    }

    /// Creates a world whose destinations may only be in these private networks.
    async fn reaching(networks: &str, sources: &str) -> Self {
        let Opened {
            template,
            engines,
            directory,
            folder,
        } = Opened::new(networks, sources);
        let stop = CancellationToken::new();
        let instance = Instance::build(template.stack().unwrap(), &engines, None, &stop).unwrap();
        let keys = first_start::keys(&directory, &instance).await.unwrap();
        instance
            .trigger(Some(Duration::from_secs(1)), &stop)
            .detach_all();
        Self {
            engines,
            instance,
            keys,
            stop,
            _folder: folder,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        let request = request.header(
            "authorization",
            format!("Bearer {}", self.keys.organization_key),
        );
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let answer = self
            .instance
            .gateway
            .answer(request.body(body).unwrap())
            .await;
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    async fn put(&self, source: &str, detail: &Value) {
        let client = aws_sdk_eventbridge::Client::new(
            &self.engines.sdk_config(Caller::unlimited("a submitter")),
        );
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name("waybill-Bus")
            .source(source)
            .detail_type("Waybill Message");
        let answer = client
            .put_events()
            .entries(entry.detail(detail.to_string()).build())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.failed_entry_count(), 0);
    }

    /// Returns the events that Waybill published, by their detail type.
    async fn published(&self, detail_type: &str) -> Vec<Value> {
        for _ in 0..200 {
            let events: Vec<Value> = self
                .engines
                .events()
                .into_iter()
                .filter(|event| event["detail-type"] == detail_type)
                .collect();
            if !events.is_empty() {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "nothing of {detail_type} on the bus: {:?}",
            self.engines.events()
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        self.engines.functions().clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_the_bus_is_delivered_once() {
    let world = World::new(
        r#"[{"account": "000000000000", "source": "com.acme", "organization_ids": ["*"]}]"#,
    )
    .await;
    let sink = Sink::start().await;
    let destination =
        json!({"type": "webhook", "name": "A", "settings": {"url": sink.path("/hook").url()}});
    let destination = world
        .call(
            Method::POST,
            "/v1/destinations?skip_check=true",
            destination,
        )
        .await;
    let detail = json!({"organization_id": world.keys.organization_id, "idempotency_key": "k-1",
        "event_type": "report.ready",
        "payload": {"n": 1}, "destination_ids": [destination["id"]]});
    world.put("com.acme", &detail).await;
    world.put("com.acme", &detail).await;
    let requests = sink
        .path("/hook")
        .wait_for(1, Duration::from_secs(20))
        .await;
    assert_eq!(requests[0].text(), r#"{"n":1}"#);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(sink.path("/hook").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_may_not_submit_is_refused_and_recorded() {
    let world = World::new("[]").await;
    let detail = json!({"organization_id": world.keys.organization_id, "event_type": "report.ready",
        "payload": 1});
    world.put("com.evil", &detail).await;
    let event = world.published("Security Event").await.remove(0);
    assert_eq!(
        (&event["source"], &event["detail"]["action"]),
        (&json!("waybill"), &json!("ingest_rejected"))
    );
    assert_eq!(event["detail"]["actor"]["id"], "000000000000/com.evil");
    let trail = world
        .call(
            Method::GET,
            "/v1/audit-events?action=ingest_rejected",
            Value::Null,
        )
        .await;
    assert_eq!(trail["data"][0]["outcome"], "denied");
    assert_eq!(
        world.call(Method::GET, "/v1/messages", Value::Null).await["data"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_refused_as_invalid_are_recorded_too() {
    let world = World::new(r#"[{"account": "*", "source": "*", "organization_ids": ["*"]}]"#).await;
    world
        .put(
            "com.acme",
            &json!({"organization_id": world.keys.organization_id,
        "event_type": "waybill.x", "payload": 1}),
        )
        .await;
    let event = world.published("Security Event").await.remove(0);
    assert!(
        event["detail"]["target"]
            .as_str()
            .unwrap()
            .contains("/event_type"),
        "{event}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_destinations_and_deliveries_are_published_on_the_bus() {
    let world = World::new("[]").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    hook.answers([410]);
    let destination = json!({"type": "webhook", "name": "A",
        "settings": {"url": hook.url(), "disable_on_gone": false},
        "failure_policy": {"alert_after_failures": 1}});
    let destination = world
        .call(
            Method::POST,
            "/v1/destinations?skip_check=true",
            destination,
        )
        .await;
    let message =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination["id"]]});
    let message = world.call(Method::POST, "/v1/messages", message).await;
    let failed = world.published("Delivery Failed").await.remove(0);
    assert_eq!(
        failed["detail"]["data"]["delivery"]["id"],
        message["deliveries"][0]["id"]
    );
    assert_eq!(failed["detail"]["data"]["delivery"]["reason"], "rejected");
    let failing = world.published("Destination Failing").await.remove(0);
    assert_eq!(
        failing["detail"]["data"]["destination"]["id"],
        destination["id"]
    );
    world
        .call(
            Method::POST,
            &format!(
                "/v1/destinations/{}/disable",
                destination["id"].as_str().unwrap()
            ),
            json!({}),
        )
        .await;
    assert_eq!(
        world.published("Destination Disabled").await[0]["detail"]["type"],
        "waybill.destination.disabled"
    );
}

/// Several deliveries, because the ids of one may agree by chance.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_and_the_status_update_about_the_same_failure_have_one_id() {
    const FAILURES: usize = 6;
    let world = World::new("[]").await;
    let sink = Sink::start().await;
    let (broken, listener) = (sink.path("/broken"), sink.path("/listener"));
    broken.answers([410]);
    let mut ids = Vec::new();
    for hook in [&broken, &listener] {
        let destination = json!({"type": "webhook", "name": "A",
            "settings": {"url": hook.url(), "disable_on_gone": false}});
        let path = "/v1/destinations?skip_check=true";
        ids.push(world.call(Method::POST, path, destination).await["id"].clone());
    }
    let settings = json!({"status_destination_ids": [ids[1]],
        "status_events": ["delivery.failed"]});
    let changed = json!({ "settings": settings });
    world.call(Method::PATCH, "/v1/organization", changed).await;
    let message = json!({"event_type": "report.ready", "payload": 1, "destination_ids": [ids[0]]});
    for _ in 0..FAILURES {
        world
            .call(Method::POST, "/v1/messages", message.clone())
            .await;
    }
    let updates = listener.wait_for(FAILURES, Duration::from_secs(20)).await;
    let updates: BTreeMap<String, String> = updates
        .iter()
        .map(|update| summary(&update.json()))
        .collect();
    for _ in 0..200 {
        if world.published("Delivery Failed").await.len() >= FAILURES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let events = world.published("Delivery Failed").await;
    let events: BTreeMap<String, String> = events
        .iter()
        .map(|event| summary(&event["detail"]))
        .collect();
    assert_eq!(events.len(), FAILURES);
    assert_eq!(events, updates);
}

/// Returns which delivery an event or status update is about, and its id.
fn summary(body: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&body["data"]["delivery"]["id"]), text(&body["id"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_published_on_the_bus() {
    let world = World::new("[]").await;
    let never = "dst_00000000000000000000000000";
    world
        .call(
            Method::GET,
            &format!("/v1/destinations/{never}"),
            Value::Null,
        )
        .await;
    let refused = world.published("Security Event").await.remove(0);
    assert_eq!(
        (&refused["detail"]["action"], &refused["detail"]["target"]),
        (&json!("cross_organization_access_denied"), &json!(never))
    );
    assert_eq!(
        refused["detail"]["organization_id"],
        json!(world.keys.organization_id)
    );
}

/// An address that a worker finds behind a name is reported like one that a client spells
/// out.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_a_blocked_address_is_a_security_event_on_the_bus() {
    let world = World::reaching("10.11.12.0/24", "[]").await;
    let destination =
        json!({"type": "webhook", "name": "A", "settings": {"url": "http://localhost:9/hook"}});
    let destination = world
        .call(
            Method::POST,
            "/v1/destinations?skip_check=true",
            destination,
        )
        .await;
    let message =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination["id"]]});
    let message = world.call(Method::POST, "/v1/messages", message).await;
    let event = world.published("Security Event").await.remove(0);
    let detail = &event["detail"];
    assert_eq!(
        (&detail["action"], &detail["outcome"]),
        (&json!("blocked_address"), &json!("denied")),
        "{event}"
    );
    assert_eq!(detail["target"], message["deliveries"][0]["id"], "{event}");
    assert_eq!(
        (&detail["organization_id"], &detail["actor"]["kind"]),
        (&json!(world.keys.organization_id), &json!("system"))
    );
    let trail = world
        .call(
            Method::GET,
            "/v1/audit-events?action=blocked_address",
            Value::Null,
        )
        .await;
    for member in [
        "id", "at", "action", "outcome", "actor", "target", "changes",
    ] {
        assert_eq!(
            detail[member], trail["data"][0][member],
            "{member}: as the audit log has it"
        );
    }
}

/// The worker of a dead letter has crashed, so another function ends its delivery.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_dead_lettered_is_published_on_the_bus() {
    let world = World::new("[]").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    hook.answers([503]);
    let destination = json!({"type": "webhook", "name": "A", "settings": {"url": hook.url()},
        "retry_policy": {"initial_seconds": 3600}});
    let path = "/v1/destinations?skip_check=true";
    let destination = world.call(Method::POST, path, destination).await;
    let message =
        json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination["id"]]});
    let message = world.call(Method::POST, "/v1/messages", message).await;
    let delivery = &message["deliveries"][0];
    let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
    while world.call(Method::GET, &path, Value::Null).await["status"] != "retrying" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let task = json!({"v": 1, "o": delivery["organization_id"], "d": delivery["id"],
        "t": destination["id"], "g": 1000});
    let client = aws_sdk_sqs::Client::new(
        &world
            .engines
            .sdk_config(Caller::unlimited("a worker's queue")),
    );
    let sending = client
        .send_message()
        .queue_url(world.engines.queue_url("waybill-WebhookDeadLetters"))
        .message_body(task.to_string())
        .message_group_id("group");
    sending.send().await.unwrap();
    let failed = world.published("Delivery Failed").await.remove(0);
    let shown = &failed["detail"]["data"]["delivery"];
    assert_eq!(
        (&shown["id"], &shown["reason"]),
        (&delivery["id"], &json!("dead_lettered"))
    );
}

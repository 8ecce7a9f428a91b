//! Status updates: what became of deliveries and messages is told as messages (R9.3).

use std::time::Duration;

use kit::sink::Sink;
use kit::stack::Organization;
use serde_json::{Value, json};

use crate::stage;

async fn listening(name: &str, listener: &Sink, events: Value) -> Organization {
    let acme = stage::organization(name).await;
    let destination = acme.destination().webhook(listener).create().await;
    acme.settings(json!({"status_destination_ids": [destination.id], "status_events": events})).await.ok(200);
    acme
}

async fn told(listener: &Sink, count: usize) -> Vec<Value> {
    listener.wait_for(count, Duration::from_secs(20)).await.iter().map(|request| request.json()).collect()
}

/// Completed once, when all deliveries are finished, and again after a manual retry.
#[tokio::test]
async fn a_message_is_completed_once_and_again_after_a_manual_retry() {
    let (listener, fine, broken) = (Sink::start().await, Sink::start().await, Sink::start().await);
    let acme = listening("Completed", &listener, json!(["message.completed"])).await;
    let fine = acme.destination().webhook(&fine).create().await;
    let destination = acme.destination().webhook(&broken).retries(1).create().await;
    broken.answers([500, 500, 200]);
    let message = acme.send([&fine, &destination], json!(1)).await;
    let first = told(&listener, 1).await.remove(0);
    assert_eq!((&first["type"], &first["data"]["message"]["status"]), (&json!("waybill.message.completed"), &json!("partially_failed")));
    let read = message.read().await;
    for member in ["id", "organization_id", "event_type", "payload_info", "status", "created_at", "url"] {
        assert_eq!(first["data"]["message"][member], read[member], "{member}");
    }
    assert_eq!(first["data"]["message"]["deliveries"][1]["last_attempt"], read["deliveries"][1]["last_attempt"]);
    message.delivery(1).retry().await.ok(202);
    let all = told(&listener, 2).await;
    assert_eq!(all[1]["data"]["message"]["status"], "succeeded");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.count(), 2);
}

/// A failed delivery is told with its attempts, without their bodies; a listener that fails is told nothing of that.
#[tokio::test]
async fn a_failed_delivery_is_told_with_its_attempts() {
    let (listener, broken) = (Sink::start().await, Sink::start().await);
    let acme = listening("Failed", &listener, json!(["delivery.failed", "delivery.succeeded"])).await;
    let destination = acme.destination().webhook(&broken).retries(1).create().await;
    broken.answers_with(500, &[], "a secret of the receiver");
    let submitted = json!({"event_type": "report.ready", "payload": 1, "destination_ids": [destination.id], "reference": "R-1", "metadata": {"k": "v"}});
    let message = acme.submit(submitted).await;
    let failed = told(&listener, 1).await.remove(0);
    let data = &failed["data"];
    assert_eq!((&failed["type"], &data["message_id"]), (&json!("waybill.delivery.failed"), &message.read().await["id"]));
    assert_eq!((&data["reference"], &data["metadata"]), (&json!("R-1"), &json!({"k": "v"})));
    let (told, read) = (&data["delivery"], message.delivery(0).read().await);
    for member in ["id", "status", "reason", "exhausted", "attempt_count", "finished_at", "destination_id", "url"] {
        assert_eq!(told[member], read[member], "{member}");
    }
    assert_eq!(told["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["attempts"][1]["response"]["status"], 500);
    assert!(!failed.to_string().contains("a secret of the receiver"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.count(), 1, "the listener's own deliveries are told to nobody");
}

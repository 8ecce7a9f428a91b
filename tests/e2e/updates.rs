//! Status updates: messages that report the outcome of deliveries and messages.

use std::time::Duration;

use kit::sink::Sink;
use kit::stack::Organization;
use kit::verifier::{Signed, Verifier};
use serde_json::{Value, json};

use crate::stage;

async fn listening(name: &str, listener: &Sink, events: Value) -> Organization {
    let acme = stage::organization(name).await;
    let destination = acme.destination().webhook(listener).create().await;
    acme.settings(json!({"status_destination_ids": [destination.id], "status_events": events}))
        .await
        .ok(200);
    acme
}

async fn received(listener: &Sink, count: usize) -> Vec<Value> {
    listener
        .wait_for(count, Duration::from_secs(20))
        .await
        .iter()
        .map(|request| request.json())
        .collect()
}

/// Completed once, when all deliveries are finished, and again after a manual retry.
#[tokio::test]
async fn a_message_is_completed_once_and_again_after_a_manual_retry() {
    let (listener, fine, broken) = (
        Sink::start().await,
        Sink::start().await,
        Sink::start().await,
    );
    let acme = listening("Completed", &listener, json!(["message.completed"])).await;
    let fine = acme.destination().webhook(&fine).create().await;
    let destination = acme
        .destination()
        .webhook(&broken)
        .retries(1)
        .create()
        .await;
    broken.answers([500, 500, 200]);
    let message = acme.send([&fine, &destination], json!(1)).await;
    let first = received(&listener, 1).await.remove(0);
    assert_eq!(
        (&first["type"], &first["data"]["message"]["status"]),
        (
            &json!("waybill.message.completed"),
            &json!("partially_failed")
        )
    );
    let read = message.read().await;
    for member in [
        "id",
        "organization_id",
        "event_type",
        "payload_info",
        "status",
        "created_at",
        "url",
    ] {
        assert_eq!(first["data"]["message"][member], read[member], "{member}");
    }
    assert_eq!(
        first["data"]["message"]["deliveries"][1]["last_attempt"],
        read["deliveries"][1]["last_attempt"]
    );
    message.delivery(1).retry().await.ok(202);
    let all = received(&listener, 2).await;
    assert_eq!(all[1]["data"]["message"]["status"], "succeeded");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.count(), 2);
}

/// The status update of a failed delivery contains its attempts without their bodies. The failure
/// to send a status update causes no further update.
#[tokio::test]
async fn the_update_of_a_failed_delivery_contains_its_attempts() {
    let (listener, broken) = (Sink::start().await, Sink::start().await);
    let acme = listening(
        "Failed",
        &listener,
        json!(["delivery.failed", "delivery.succeeded"]),
    )
    .await;
    let destination = acme
        .destination()
        .webhook(&broken)
        .retries(1)
        .create()
        .await;
    broken.answers_with(500, &[], "a secret of the receiver");
    let submitted = json!({"event_type": "report.ready", "payload": 1,
        "destination_ids": [destination.id], "reference": "R-1", "metadata": {"k": "v"}});
    let message = acme.submit(submitted).await;
    let failed = received(&listener, 1).await.remove(0);
    let data = &failed["data"];
    assert_eq!(
        (&failed["type"], &data["message_id"]),
        (
            &json!("waybill.delivery.failed"),
            &message.read().await["id"]
        )
    );
    assert_eq!(
        (&data["reference"], &data["metadata"]),
        (&json!("R-1"), &json!({"k": "v"}))
    );
    let (reported, read) = (&data["delivery"], message.delivery(0).read().await);
    for member in [
        "id",
        "status",
        "reason",
        "exhausted",
        "attempt_count",
        "finished_at",
        "destination_id",
        "url",
    ] {
        assert_eq!(reported[member], read[member], "{member}");
    }
    assert_eq!(reported["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(reported["attempts"][1]["response"]["status"], 500);
    assert!(!failed.to_string().contains("a secret of the receiver"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        listener.count(),
        1,
        "the listener's own deliveries are not reported"
    );
}

/// An address of the message's own: signed with the organization's status secret from the moment
/// there is one, and with both while one replaces the other.
#[tokio::test]
async fn updates_of_a_message_go_to_its_callback_signed_with_the_status_secret() {
    let (sink, fine) = (Sink::start().await, Sink::start().await);
    let acme = stage::organization("Called back").await;
    let destination = acme.destination().webhook(&fine).create().await;
    let status = sink.path("/status");
    let submitted = json!({"event_type": "report.ready", "payload": 1,
        "destination_ids": [destination.id], "status_callback": {"url": status.url()}});
    acme.submit(submitted.clone()).await;
    let unsigned = status.wait_for(1, Duration::from_secs(20)).await.remove(0);
    assert_eq!(
        (
            &unsigned.json()["type"],
            unsigned.header("webhook-signature")
        ),
        (&json!("waybill.message.completed"), None)
    );

    let path = "/v1/organization/rotate-status-secret";
    let first = acme.post(path, json!({})).await.ok(200);
    assert_eq!(first["previous_valid_until"], Value::Null);
    acme.submit(submitted.clone()).await;
    status.wait_for(2, Duration::from_secs(20)).await;
    let second = acme.post(path, json!({})).await.ok(200);
    assert!(second["previous_valid_until"].is_string(), "{second}");
    acme.submit(submitted.clone()).await;
    status.wait_for(3, Duration::from_secs(20)).await;
    let third = acme.post(path, json!({"overlap_seconds": 0})).await.ok(200);
    acme.submit(submitted).await;
    let requests = status.wait_for(4, Duration::from_secs(20)).await;
    let verifies = |rotated: &Value, request| {
        let secret = rotated["status_signing_secret"].as_str().unwrap();
        Verifier::Python
            .verdicts(&[Signed::received(secret, request)])
            .remove(0)
            .is_ok()
    };
    let signatures = |n: usize| {
        requests[n]
            .header("webhook-signature")
            .unwrap()
            .split(' ')
            .count()
    };
    assert_eq!(signatures(3), 1);
    assert!(verifies(&third, &requests[3]) && !verifies(&second, &requests[3]));
    assert!(verifies(&second, &requests[2]) && verifies(&first, &requests[1]));
    assert_eq!(
        acme.audited("organization.status_secret_rotated")
            .await
            .len(),
        3
    );
    // It is Waybill's own destination, and nobody's to read or change.
    assert_eq!(acme.list("/v1/destinations").await.len(), 1);
}

#[tokio::test]
async fn a_message_whose_destinations_are_all_disabled_is_reported_as_completed() {
    let sink = Sink::start().await;
    let acme = stage::organization("All disabled").await;
    let destination = acme.destination().webhook(&sink).create().await;
    acme.post(&format!("{}/disable", destination.path()), json!({}))
        .await
        .ok(200);
    let status = sink.path("/status");
    acme.submit(json!({"event_type": "report.ready", "payload": 1,
        "destination_ids": [destination.id], "status_callback": {"url": status.url()}}))
        .await;
    let reported = status.wait_for(1, Duration::from_secs(20)).await.remove(0);
    let reported = reported.json();
    assert_eq!(
        (
            &reported["type"],
            &reported["data"]["message"]["deliveries"][0]["status"]
        ),
        (&json!("waybill.message.completed"), &json!("skipped"))
    );
}

#[tokio::test]
async fn updates_of_a_message_go_once_to_the_destination_that_it_names() {
    let (listener, broken) = (Sink::start().await, Sink::start().await);
    let acme = listening(
        "Named twice",
        &listener,
        json!(["message.completed", "delivery.failed"]),
    )
    .await;
    let named =
        acme.get("/v1/organization").await.ok(200)["settings"]["status_destination_ids"][0].clone();
    broken.answers([500]);
    let destination = acme
        .destination()
        .webhook(&broken)
        .retries(0)
        .skip_check()
        .create()
        .await;
    let submit = |callback: Value| {
        json!({"event_type": "report.ready", "payload": 1,
        "destination_ids": [destination.id], "status_callback": callback})
    };
    acme.submit(submit(json!({"destination_id": named}))).await;
    let reported: Vec<Value> = received(&listener, 2)
        .await
        .iter()
        .map(|body| body["type"].clone())
        .collect();
    assert!(
        reported.contains(&json!("waybill.delivery.failed"))
            && reported.contains(&json!("waybill.message.completed")),
        "{reported:?}"
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.count(), 2);

    let other = stage::organization("Another").await;
    let theirs = other
        .destination()
        .webhook(&broken)
        .skip_check()
        .create()
        .await;
    let answer = acme
        .post("/v1/messages", submit(json!({"destination_id": theirs.id})))
        .await;
    answer.problem(404, "not_found");
    assert_eq!(answer.mistakes(), ["/status_callback/destination_id"]);
    let answer = acme
        .post(
            "/v1/messages",
            submit(json!({"url": "http://169.254.169.254/"})),
        )
        .await;
    assert_eq!(
        (answer.status, answer.mistakes()),
        (422, vec!["/status_callback/url".to_owned()])
    );
    assert_eq!(acme.audited("blocked_address").await.len(), 1);
}

/// The last delivery may end without a worker: cancelled by a person, skipped because its
/// destination is disabled or deleted.
#[tokio::test]
async fn a_message_whose_last_delivery_was_cancelled_or_skipped_is_completed_too() {
    let (listener, broken) = (Sink::start().await, Sink::start().await);
    let acme = listening("Ended otherwise", &listener, json!(["message.completed"])).await;
    let waiting = json!({"max_retries": 5, "initial_seconds": 600});
    broken.answers([500]);
    let destination = acme
        .destination()
        .webhook(&broken)
        .retry(waiting.clone())
        .skip_check()
        .create()
        .await;
    let cancelled = acme.send([&destination], json!(1)).await;
    cancelled.delivery(0).reaches("retrying").await;
    acme.post(
        &format!("{}/cancel", cancelled.delivery(0).path()),
        json!({}),
    )
    .await
    .ok(200);
    let skipped = acme.send([&destination], json!(2)).await;
    skipped.delivery(0).reaches("retrying").await;
    received(&listener, 1).await;
    acme.post(&format!("{}/disable", destination.path()), json!({}))
        .await
        .ok(200);
    let all = received(&listener, 2).await;
    let ids: Vec<&Value> = all
        .iter()
        .map(|body| &body["data"]["message"]["id"])
        .collect();
    assert_eq!(ids, [&json!(cancelled.id), &json!(skipped.id)]);
    assert_eq!(
        all[1]["data"]["message"]["deliveries"][0]["status"],
        "skipped"
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listener.count(), 2, "once each");
}

//! Messages are resent to further destinations, backfilled to a destination that never received
//! them, and sent to fallbacks when their delivery failed.

use std::time::Duration;

use kit::file_s3::{self, FileS3};
use kit::sink::Sink;
use serde_json::{Value, json};

use crate::stage;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_message_is_sent_to_further_destinations_and_one_that_has_it_keeps_its_delivery() {
    let (acme, sink) = (stage::organization("Resend").await, Sink::start().await);
    let mut destinations = Vec::new();
    for number in 0..3 {
        destinations.push(
            acme.destination()
                .webhook(&sink.path(&format!("/{number}")))
                .create()
                .await,
        );
    }
    let message = acme.send([&destinations[0]], json!({"n": 1})).await;
    let first = message.delivery(0).reaches("succeeded").await;
    let ids: Vec<&str> = destinations
        .iter()
        .map(|destination| destination.id.as_str())
        .collect();
    let path = format!("{}/deliveries", message.path());
    let answer = acme
        .post(&path, json!({"destination_ids": ids}))
        .await
        .ok(202);
    let deliveries = answer["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 3, "{answer}");
    assert_eq!(deliveries[0]["id"], first["id"]);
    assert!(
        deliveries[1]["id"].as_str().unwrap().ends_with("_01")
            && deliveries[2]["id"].as_str().unwrap().ends_with("_02"),
        "{answer}"
    );
    let settled = message.settles().await;
    assert_eq!(settled["status"], "succeeded", "{settled}");
    for (number, destination) in destinations.iter().enumerate() {
        let received = sink.path(&format!("/{number}")).wait_for(1, SOON).await;
        assert_eq!(
            (received.len(), received[0].json()),
            (1, json!({"n": 1})),
            "{}",
            destination.id
        );
        assert_eq!(
            received[0].header("webhook-id"),
            settled["deliveries"][number]["id"].as_str()
        );
    }
    let resent = acme.message(settled.clone()).delivery(1).read().await;
    assert_eq!(resent["attempts"][0]["trigger"], "manual");
    let again = acme
        .post(&path, json!({"destination_ids": ids}))
        .await
        .ok(202);
    assert_eq!(again["deliveries"].as_array().unwrap().len(), 3);
    let listed = acme.list("/v1/messages").await;
    assert_eq!(listed[0]["deliveries"].as_array().unwrap().len(), 3);

    let other = stage::organization("Resend, other").await;
    let foreign = other.destination().webhook(&sink).create().await;
    let refused = acme
        .post(&path, json!({"destination_ids": [ids[0], foreign.id]}))
        .await;
    refused.problem(404, "not_found");
    assert_eq!(refused.mistakes(), ["/destination_ids/1"]);
    for (body, pointer) in [
        (json!({"destination_ids": []}), "/destination_ids"),
        (json!({}), "/destination_ids"),
    ] {
        let refused = acme.post(&path, body).await;
        refused.problem(422, "validation_failed");
        assert_eq!(refused.mistakes(), [pointer]);
    }
}

#[tokio::test]
async fn a_failed_delivery_goes_to_its_fallbacks_with_the_reason_and_a_fallback_has_no_fallback() {
    let (acme, sink) = (stage::organization("Fallback").await, Sink::start().await);
    let (dead, second, third) = (
        sink.path("/dead"),
        sink.path("/second"),
        sink.path("/third"),
    );
    let last = acme.destination().webhook(&third).create().await;
    let template = "{{ failed_delivery_id }} {{ reason }}";
    let fallback = acme
        .destination()
        .webhook(&second)
        .retries(0)
        .with("on_exhausted", json!({"destination_ids": [last.id]}));
    let fallback = fallback
        .settings(json!({"body_template": template, "content_type": "text/plain"}))
        .create()
        .await;
    let destination = acme
        .destination()
        .webhook(&dead)
        .retries(1)
        .with("on_exhausted", json!({"destination_ids": [fallback.id]}));
    let destination = destination.create().await;
    assert_eq!(
        destination.created["on_exhausted"]["destination_ids"],
        json!([fallback.id])
    );
    dead.answers([500]);
    second.answers([500]);
    let message = acme.send([&destination], json!(1)).await;
    let failed = message.delivery(0).settles().await;
    assert_eq!(
        (&failed["status"], &failed["exhausted"]),
        (&json!("failed"), &json!(true))
    );
    let request = second.wait_for(1, SOON).await.remove(0);
    let failed_id = failed["id"].as_str().unwrap();
    assert_eq!(request.header("waybill-failed-delivery"), Some(failed_id));
    assert_eq!(
        request.header("waybill-failed-reason"),
        Some("server_error")
    );
    assert_eq!(request.text(), format!("{failed_id} server_error"));
    let made = acme
        .message(message.read().await)
        .delivery(1)
        .settles()
        .await;
    assert_eq!(
        (&made["failed_delivery_id"], &made["failed_reason"]),
        (&failed["id"], &json!("server_error"))
    );
    assert_eq!(
        (&made["attempts"][0]["trigger"], &made["trigger"]),
        (&json!("fallback"), &json!("fallback"))
    );
    assert_eq!(
        (&made["status"], &made["reason"]),
        (&json!("failed"), &json!("server_error"))
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(third.count(), 0, "a fallback has none of its own");

    // Tests and cancellations make none.
    destination.action("test", json!({})).await.ok(202);
    dead.wait_for(3, SOON).await;
    destination
        .change(json!({"retry_policy": {"max_retries": 1, "initial_seconds": 600}}))
        .await;
    let cancelled = acme.send([&destination], json!(2)).await;
    cancelled.delivery(0).reaches("retrying").await;
    cancelled.delivery(0).cancel().await.ok(200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (
            second.count(),
            cancelled.read().await["deliveries"]
                .as_array()
                .unwrap()
                .len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_fallback_is_another_destination_of_the_same_organization() {
    let (acme, sink) = (stage::organization("Fallbacks").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let other = stage::organization("Fallbacks, other")
        .await
        .destination()
        .webhook(&sink)
        .create()
        .await;
    let patch = async |ids: Value| {
        acme.patch(
            &destination.path(),
            json!({"on_exhausted": {"destination_ids": ids}}),
        )
        .await
    };
    let own = patch(json!([destination.id])).await;
    own.problem(422, "validation_failed");
    assert_eq!(own.mistakes(), ["/on_exhausted/destination_ids/0"]);
    let foreign = patch(json!([other.id])).await;
    foreign.problem(404, "not_found");
    assert_eq!(foreign.mistakes(), ["/on_exhausted/destination_ids/0"]);
    for ids in [json!([]), json!([other.id, other.id, other.id, other.id])] {
        let refused = patch(ids).await;
        refused.problem(422, "validation_failed");
        assert_eq!(refused.mistakes(), ["/on_exhausted/destination_ids"]);
    }
    let created = acme
        .destination()
        .webhook(&sink)
        .with("on_exhausted", json!({"destination_ids": [other.id]}))
        .asks()
        .await;
    created.problem(404, "not_found");
}

#[tokio::test]
async fn the_payload_of_a_dead_webhook_is_in_the_bucket_of_its_fallback_within_seconds() {
    let (acme, sink) = (
        stage::organization("Fallback to S3").await,
        Sink::start().await,
    );
    let server = FileS3::start().await;
    let settings = json!({"bucket": file_s3::BUCKET, "endpoint": server.endpoint,
        "region": "us-east-1",
        "key_template": "undelivered/{{ reason }}/{{ failed_delivery_id }}.json"});
    let credentials = json!({"kind": "access_key", "access_key_id": file_s3::ACCESS_KEY_ID,
        "secret_access_key": file_s3::SECRET_ACCESS_KEY});
    let bucket = acme
        .destination()
        .with("type", "s3")
        .settings(settings)
        .credentials(credentials)
        .skip_check()
        .create()
        .await;
    let (dead, second) = (sink.path("/dead"), sink.path("/second"));
    let webhook = acme.destination().webhook(&second).create().await;
    let fallbacks = json!({"destination_ids": [bucket.id, webhook.id]});
    let destination = acme
        .destination()
        .webhook(&dead)
        .retries(0)
        .with("on_exhausted", fallbacks)
        .create()
        .await;
    dead.answers([500]);
    let message = acme.send([&destination], json!({"n": 1})).await;
    let failed = message.delivery(0).reaches("failed").await;
    let key = format!(
        "undelivered/server_error/{}.json",
        failed["id"].as_str().unwrap()
    );
    let object = stage::until("the object is there", async || {
        std::fs::read_to_string(server.files().join(&key)).ok()
    })
    .await;
    assert_eq!(object, r#"{"n":1}"#);
    let metadata = stage::until("its metadata is there", async || {
        server.metadata().pop().filter(Value::is_object)
    })
    .await;
    assert_eq!(
        metadata["waybill-failed-delivery"], failed["id"],
        "{metadata}"
    );
    assert_eq!(
        metadata["waybill-failed-reason"], "server_error",
        "{metadata}"
    );
    second.wait_for(1, SOON).await;
    let deliveries = acme
        .list(&format!("/v1/deliveries?destination_id={}", bucket.id))
        .await;
    assert_eq!(
        (deliveries.len(), &deliveries[0]["failed_delivery_id"]),
        (1, &failed["id"])
    );
    assert_eq!(
        (&deliveries[0]["trigger"], &deliveries[0]["reason"]),
        (&json!("fallback"), &json!("server_error"))
    );
    // Failed once more, the delivery has the same fallbacks: they have the message.
    message.delivery(0).retry().await.ok(202);
    dead.wait_for(2, SOON).await;
    message.delivery(0).reaches("failed").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (
            second.count(),
            message.read().await["deliveries"].as_array().unwrap().len()
        ),
        (1, 3)
    );
    // A refusal without retries falls back, too, and an enabled fallback can be removed.
    assert_eq!(
        destination.change(json!({"on_exhausted": null})).await["on_exhausted"],
        Value::Null
    );
}

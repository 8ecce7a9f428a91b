//! `/v1/deliveries`.

use axum::body::Body;
use serde_json::{Value, json};

use crate::fixture::{Client, Deployment, masked, refused};

async fn delivery(client: &Client<'_>) -> Value {
    let destination = client.destination("a").await["id"].clone();
    let body = json!({"event_type": "report.ready", "payload": [1],
        "destination_ids": [destination], "reference": "r"});
    client.post("/v1/messages", body).await.json()["deliveries"][0].clone()
}

fn path(delivery: &Value) -> String {
    format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_delivery_is_listed_and_read() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let delivery = delivery(&admin).await;
    assert_eq!(
        admin.get("/v1/deliveries").await.json()["data"],
        json!([delivery])
    );
    let read = admin.get(&path(&delivery)).await;
    insta::assert_json_snapshot!(masked(read.json()));
    assert_eq!(
        admin.get(&format!("{}/body", path(&delivery))).await.status,
        404,
        "nothing was sent yet"
    );
}

#[tokio::test]
async fn filters_combine_and_an_unmatched_one_finds_nothing() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let delivery = delivery(&admin).await;
    let text = |name: &str| delivery[name].as_str().unwrap().to_owned();
    let count = async |query: String| {
        admin.get(&format!("/v1/deliveries?{query}")).await.json()["data"]
            .as_array()
            .unwrap()
            .len()
    };
    let all = format!(
        "destination_id={}&status=queued&status=failed&event_type=report.ready&message_id={}&reference=r&since={}",
        text("destination_id"),
        text("message_id"),
        text("created_at")
    );
    assert_eq!(count(all.clone()).await, 1);
    assert_eq!(
        count(format!("{all}&until={}", text("created_at"))).await,
        0
    );
    assert_eq!(count("status=failed".to_owned()).await, 0);
    assert_eq!(count("reference=other".to_owned()).await, 0);
    let bad = admin
        .get("/v1/deliveries?status=lost&destination_id=x&since=2026-01-01")
        .await;
    assert_eq!(
        bad.refusal(),
        refused(
            422,
            "validation_failed",
            &[
                "status: invalid_value",
                "destination_id: invalid_format",
                "since: invalid_format"
            ]
        )
    );
}

#[tokio::test]
async fn a_cancelled_delivery_is_retried_with_a_fresh_budget() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let delivery = delivery(&admin).await;
    let path = path(&delivery);
    let act = async |action: &str| {
        admin
            .request("POST", &format!("{path}/{action}"), &[], Body::empty())
            .await
    };
    let queued = act("retry").await;
    assert_eq!(
        (queued.status, &queued.json()["status"]),
        (202, &json!("queued")),
        "queued: nothing changes"
    );
    let cancelled = act("cancel").await;
    assert_eq!(
        (
            cancelled.status,
            &cancelled.json()["status"],
            &cancelled.json()["reason"]
        ),
        (200, &json!("cancelled"), &json!("cancelled"))
    );
    assert_eq!(
        act("cancel").await.refusal(),
        refused(409, "already_finished", &[])
    );
    let retried = act("retry").await;
    assert_eq!(
        (retried.status, &retried.json()["status"]),
        (202, &json!("retrying"))
    );
    assert!(retried.json()["next_attempt_at"].is_string());
}

#[tokio::test]
async fn waiting_retries_are_skipped_once_their_destination_is_disabled() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let delivery = delivery(&admin).await;
    let path = path(&delivery);
    admin.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(
        admin.post(&format!("{path}/retry"), json!({})).await.json()["status"],
        "retrying"
    );
    admin
        .post(
            &format!(
                "/v1/destinations/{}/disable",
                delivery["destination_id"].as_str().unwrap()
            ),
            json!({}),
        )
        .await;
    let skipped = admin.get(&path).await.json();
    assert_eq!(
        (&skipped["status"], &skipped["reason"]),
        (&json!("skipped"), &json!("destination_disabled"))
    );
}

#[tokio::test]
async fn deliveries_that_would_end_again_at_once_are_not_reopened() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let delivery = delivery(&admin).await;
    let (path, destination) = (
        path(&delivery),
        format!(
            "/v1/destinations/{}",
            delivery["destination_id"].as_str().unwrap()
        ),
    );
    admin.post(&format!("{path}/cancel"), json!({})).await;
    admin
        .post(&format!("{destination}/disable"), json!({}))
        .await;
    assert_eq!(
        admin
            .post(&format!("{path}/retry"), json!({}))
            .await
            .refusal(),
        refused(409, "destination_disabled", &[])
    );
    admin.delete(&destination).await;
    assert_eq!(
        admin
            .post(&format!("{path}/retry"), json!({}))
            .await
            .refusal(),
        refused(409, "destination_deleted", &[])
    );
    assert_eq!(admin.get(&path).await.status, 200, "history stays readable");
    let sender = deployment.role("sender").await;
    assert_eq!(
        sender
            .post(&format!("{path}/retry"), json!({}))
            .await
            .refusal(),
        refused(403, "forbidden", &[])
    );
}

//! `/v1/api-keys`.

use serde_json::json;

use crate::fixture::{Deployment, refused};

#[tokio::test]
async fn a_key_is_shown_once_and_refused_once_revoked() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let made = admin
        .post("/v1/api-keys", json!({"name": "ci", "role": "sender"}))
        .await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let key = made["key"].as_str().unwrap();
    let sender = deployment.client(key);
    assert_eq!(sender.get("/v1/meta").await.status, 200);
    let listed = admin.get("/v1/api-keys").await;
    assert!(!String::from_utf8_lossy(&listed.bytes).contains(key));
    let listed = listed.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&listed["data"][1]["id"], &listed["data"][1]["created_by"]),
        (&made["id"], &listed["data"][0]["id"])
    );
    let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(sender.get("/v1/meta").await.status, 401);
    assert_eq!(admin.delete(&path).await.status, 404);
}

#[tokio::test]
async fn an_expired_key_is_refused() {
    let deployment = Deployment::new().await;
    let body =
        json!({"name": "short", "role": "viewer", "expires_at": "2025-11-24T17:00:02+01:00"});
    let made = deployment.admin().post("/v1/api-keys", body).await.json();
    assert_eq!(made["expires_at"], "2025-11-24T16:00:02.000Z");
    let viewer = deployment.client(made["key"].as_str().unwrap());
    assert_eq!(viewer.get("/v1/destinations").await.status, 200);
    deployment
        .now_ms
        .fetch_add(3000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(viewer.get("/v1/destinations").await.status, 401);
}

#[tokio::test]
async fn a_key_cannot_create_a_key_with_more_rights() {
    let deployment = Deployment::new().await;
    let operator = deployment
        .admin()
        .post("/v1/api-keys", json!({"name": "x", "role": "operator"}))
        .await;
    assert_eq!(operator.refusal(), refused(403, "forbidden", &[]));
    for role in ["manager", "sender", "viewer"] {
        let client = deployment.role(role).await;
        assert_eq!(
            client.get("/v1/api-keys").await.refusal(),
            refused(403, "forbidden", &[]),
            "{role}"
        );
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let deployment = Deployment::new().await;
    let answer = deployment
        .admin()
        .post(
            "/v1/api-keys",
            json!({"role": "boss", "expires_at": "2020-01-01", "key": "x"}),
        )
        .await;
    let expected = [
        "/key: read_only",
        "/name: required",
        "/role: invalid_value",
        "/expires_at: invalid_format",
    ];
    assert_eq!(
        answer.refusal(),
        refused(422, "validation_failed", &expected)
    );
}

#[tokio::test]
async fn a_key_is_shown_although_its_audit_event_cannot_be_recorded() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    deployment.engines.install_faults(|call| {
        if call.operation == "PutItem" {
            local_aws::Fault::throttled()
        } else {
            local_aws::Fault::None
        }
    });
    let made = admin
        .post("/v1/api-keys", json!({"name": "a", "role": "viewer"}))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(made.json()["key"].is_string(), "{made:?}");
}

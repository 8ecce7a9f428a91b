//! `/v1/organizations` and `/v1/organization`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::health::LastError;
use domain::{Reason, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::PendingConfirmation;

use crate::fixture::{Deployment, masked, refused};

#[tokio::test]
async fn the_operator_makes_changes_and_deletes_organizations() {
    let deployment = Deployment::new().await;
    let operator = deployment.operator();
    let made = operator
        .post(
            "/v1/organizations",
            json!({"name": "New", "settings": {"retention_days": 40}}),
        )
        .await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organizations/{id}");
    assert_eq!(made.header("location"), Some(&*path));
    insta::assert_json_snapshot!(masked(made.json()));
    let names: Vec<_> = operator.get("/v1/organizations").await.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["name"].clone())
        .collect();
    assert_eq!(names, ["Acme", "New"]);
    let patched = operator
        .patch(
            &path,
            json!({"external_id": "x", "grants": {"buckets": ["theirs"]},
            "settings": {"retention_days": null, "payload_retention_days": 5}}),
        )
        .await;
    let patched = patched.json();
    assert_eq!(
        (&patched["external_id"], &patched["grants"]["buckets"]),
        (&json!("x"), &json!(["theirs"]))
    );
    assert_eq!(
        (
            &patched["settings"]["retention_days"],
            &patched["settings"]["payload_retention_days"]
        ),
        (&json!(30), &json!(5))
    );
    assert_eq!(operator.delete(&path).await.status, 204);
    assert_eq!(operator.get(&path).await.status, 404);
}

#[tokio::test]
async fn every_mistake_is_named() {
    let deployment = Deployment::new().await;
    let body = json!({"external_id": 7, "colour": 1,
        "settings": {"retention_days": 0, "alert_emails": ["x"]}, "id": "org_x"});
    let answer = deployment.operator().post("/v1/organizations", body).await;
    insta::assert_json_snapshot!(answer.problem());
}

#[tokio::test]
async fn waybills_own_resources_cannot_be_granted() {
    let deployment = Deployment::new().await;
    let path = format!("/v1/organizations/{}", deployment.organization);
    let answer = deployment
        .operator()
        .patch(&path, json!({"grants": {"buckets": ["waybill-Payloads"]}}))
        .await;
    assert_eq!(
        answer.refusal(),
        refused(422, "validation_failed", &["/grants/buckets/0: reserved"])
    );
}

#[tokio::test]
async fn an_organization_always_has_a_status() {
    let deployment = Deployment::new().await;
    let path = format!("/v1/organizations/{}", deployment.organization);
    let answer = deployment
        .operator()
        .patch(&path, json!({"status": null}))
        .await;
    assert_eq!(
        answer.refusal(),
        refused(422, "validation_failed", &["/status: required"])
    );
}

#[tokio::test]
async fn organizations_are_the_operators() {
    let deployment = Deployment::new().await;
    assert_eq!(
        deployment.admin().get("/v1/organizations").await.refusal(),
        refused(403, "forbidden", &[])
    );
    let trail = deployment
        .admin()
        .get("/v1/audit-events?action=forbidden")
        .await
        .json();
    assert_eq!(trail["data"][0]["outcome"], "denied");
}

#[tokio::test]
async fn an_organization_with_destinations_is_not_deleted() {
    let deployment = Deployment::new().await;
    deployment.admin().destination("a").await;
    let answer = deployment
        .operator()
        .delete(&format!("/v1/organizations/{}", deployment.organization))
        .await;
    assert_eq!(answer.refusal(), refused(409, "not_empty", &[]));
}

#[tokio::test]
async fn an_admin_changes_its_own_settings_and_nothing_else() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let patched = admin
        .patch(
            "/v1/organization",
            json!({"settings": {"default_destination_ids": [destination]}}),
        )
        .await;
    assert_eq!(
        patched.json()["settings"]["default_destination_ids"],
        json!([destination])
    );
    let unknown = format!("{}0", &destination.as_str().unwrap()[..29]);
    let missing = admin
        .patch(
            "/v1/organization",
            json!({"settings": {"alert_destination_ids": [unknown]}}),
        )
        .await;
    assert_eq!(
        missing.refusal(),
        refused(
            404,
            "not_found",
            &["/settings/alert_destination_ids/0: not_found"]
        )
    );
    let granted = admin
        .patch(
            "/v1/organization",
            json!({"status": "active", "grants": {}}),
        )
        .await;
    assert_eq!(
        granted.refusal(),
        refused(
            422,
            "read_only",
            &["/status: read_only", "/grants: read_only"]
        )
    );
    assert_eq!(
        deployment
            .role("sender")
            .await
            .get("/v1/organization")
            .await
            .status,
        403
    );
    assert_eq!(
        deployment
            .role("viewer")
            .await
            .get("/v1/organization")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_operator_names_the_organization() {
    let deployment = Deployment::new().await;
    let operator = deployment.operator();
    let answer = operator.get("/v1/destinations").await;
    assert_eq!(
        answer.refusal(),
        refused(422, "organization_required", &["organization_id: required"])
    );
    assert_eq!(
        operator
            .get(&format!(
                "/v1/destinations?organization_id={}",
                deployment.organization
            ))
            .await
            .status,
        200
    );
    assert_eq!(
        operator
            .get("/v1/destinations?organization_id=org_01kavd83802s63efghp3q1cpj4")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_suspended_organization_cannot_submit() {
    let deployment = Deployment::new().await;
    let path = format!("/v1/organizations/{}", deployment.organization);
    assert_eq!(
        deployment
            .operator()
            .patch(&path, json!({"status": "suspended"}))
            .await
            .json()["status"],
        "suspended"
    );
    let answer = deployment
        .admin()
        .post("/v1/messages", json!({"event_type": "a", "payload": 1}))
        .await;
    assert_eq!(
        answer.refusal(),
        refused(403, "organization_suspended", &[])
    );
    assert_eq!(
        deployment.admin().get("/v1/destinations").await.status,
        200,
        "reading goes on"
    );
}

#[tokio::test]
async fn organizations_are_listed_with_their_health_and_worst_first() {
    let deployment = Deployment::new().await;
    let (operator, admin) = (deployment.operator(), deployment.admin());
    let well = operator
        .post("/v1/organizations", json!({"name": "Well"}))
        .await
        .json()["id"]
        .clone();
    let destination = admin.destination("a").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    admin
        .post(
            "/v1/messages",
            json!({"event_type": "a", "payload": 1, "destination_ids": [destination]}),
        )
        .await;
    admin
        .post(
            &format!("/v1/destinations/{destination}/disable"),
            json!({}),
        )
        .await;
    let ids = async |query: &str| -> Vec<serde_json::Value> {
        operator.get(query).await.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].clone())
            .collect()
    };
    let acme = json!(deployment.organization);
    assert_eq!(ids("/v1/organizations").await, [acme.clone(), well.clone()]);
    let later = operator
        .post("/v1/organizations", json!({"name": "Later"}))
        .await
        .json()["id"]
        .clone();
    assert_eq!(
        ids("/v1/organizations?sort=health").await,
        [acme.clone(), well.clone(), later.clone()]
    );
    let first = operator
        .get("/v1/organizations?sort=health&limit=1")
        .await
        .json();
    let health = &first["data"][0]["health"];
    assert_eq!(
        (&health["failing"], &health["disabled"], &health["pending"]),
        (&json!(0), &json!(1), &json!(1)),
        "{first}"
    );
    assert!(health["oldest_pending_at"].is_string());
    let next = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        ids(&format!("/v1/organizations?sort=health&cursor={next}")).await,
        [well, later]
    );
    assert_eq!(
        operator
            .get(&format!("/v1/organizations?cursor={next}"))
            .await
            .refusal(),
        refused(400, "invalid_cursor", &[])
    );
}

#[tokio::test]
async fn a_destination_that_was_disabled_while_it_failed_counts_as_disabled_and_not_as_failing() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let organization = deployment.organization.parse().unwrap();
    let mut ids = Vec::new();
    for name in ["failing", "disabled"] {
        let id = admin.destination(name).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        for token in ["1", "2", "3", "4", "5"] {
            let error = LastError {
                reason: Reason::Connect,
                detail: "connection refused".to_owned(),
            };
            let at = Timestamp::from_millis(deployment.now_ms.load(Ordering::Relaxed));
            let store = deployment.store();
            assert!(
                store
                    .count_failure(id.parse().unwrap(), organization, 0, token, at, error)
                    .await
                    .unwrap()
            );
        }
        ids.push(id);
    }
    let health = async || {
        deployment.operator().get("/v1/organizations").await.json()["data"][0]["health"].clone()
    };
    let before = health().await;
    assert_eq!(
        (&before["failing"], &before["disabled"]),
        (&json!(2), &json!(0)),
        "{before}"
    );
    assert_eq!(
        admin
            .post(&format!("/v1/destinations/{}/disable", ids[1]), json!({}))
            .await
            .status,
        200
    );
    let after = health().await;
    assert_eq!(
        (&after["failing"], &after["disabled"]),
        (&json!(1), &json!(1)),
        "{after}"
    );
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test]
async fn a_confirmation_link_that_has_expired_confirms_nothing() {
    const LIFE: Duration = Duration::from_secs(72 * 3600);
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let addresses = ["a@acme.example", "b@acme.example"];
    let settings = json!({"settings": {"alert_emails": addresses}});
    assert_eq!(admin.patch("/v1/organization", settings).await.status, 200);
    let (operations, store) = (&deployment.operations, deployment.store());
    let organization = deployment.organization.parse().unwrap();
    let now = Timestamp::from_millis(deployment.now_ms.load(Ordering::Relaxed));
    let mut tokens = Vec::new();
    for address in addresses {
        let pending = PendingConfirmation {
            address: address.to_owned(),
            secret_sha256: sha256_hex("secret"),
            expires_at: now.plus(LIFE),
        };
        store
            .save_confirmation(organization, &sha256_hex(address), &pending)
            .await
            .unwrap();
        tokens.push(format!("{organization}.{}.secret", sha256_hex(address)));
    }
    let milliseconds = i64::try_from(LIFE.as_millis()).unwrap();
    deployment
        .now_ms
        .fetch_add(milliseconds - 1000, Ordering::Relaxed);
    assert!(
        operations
            .address_to_confirm(&tokens[1])
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        operations
            .confirm_address(&tokens[0], None, "req")
            .await
            .unwrap()
            .is_some(),
        "in its last second"
    );
    deployment.now_ms.fetch_add(1000, Ordering::Relaxed);
    assert!(
        operations
            .address_to_confirm(&tokens[1])
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        operations
            .confirm_address(&tokens[1], None, "req")
            .await
            .unwrap()
            .is_none()
    );
    let settings = admin.get("/v1/organization").await.json()["settings"].clone();
    assert_eq!(settings["alert_emails"], json!(["a@acme.example"]));
    assert_eq!(
        settings["unconfirmed_alert_emails"],
        json!(["b@acme.example"])
    );
}

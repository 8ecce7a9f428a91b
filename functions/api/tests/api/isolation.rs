//! Requests for another organization's objects get the same response as for objects that never
//! existed, and each attempt is recorded.

use serde_json::json;

use crate::fixture::{Deployment, refused};

#[tokio::test]
async fn an_id_of_another_organization_is_answered_like_an_unknown_id() {
    let deployment = Deployment::new().await;
    let stranger = deployment.stranger().await;
    let destination = stranger.destination("theirs").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let message = stranger
        .post(
            "/v1/messages",
            json!({"event_type": "a", "payload": 1, "destination_ids": [destination]}),
        )
        .await
        .json();
    let (message, delivery) = (
        message["id"].as_str().unwrap(),
        message["deliveries"][0]["id"].as_str().unwrap(),
    );
    let admin = deployment.admin();
    let never = admin
        .get("/v1/destinations/dst_01kavd83802s63efghp3q1cpj4")
        .await
        .problem();
    let paths = [
        format!("/v1/destinations/{destination}"),
        format!("/v1/messages/{message}"),
        format!("/v1/messages/{message}/payload"),
        format!("/v1/deliveries/{delivery}"),
    ];
    for path in &paths {
        let answer = admin.get(path).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (404, never.clone()),
            "{path}"
        );
    }
    for action in ["enable", "disable", "check", "test", "rotate-secret"] {
        assert_eq!(
            admin
                .post(
                    &format!("/v1/destinations/{destination}/{action}"),
                    json!({})
                )
                .await
                .status,
            404,
            "{action}"
        );
    }
    assert_eq!(
        admin.patch(&paths[0], json!({"name": "mine"})).await.status,
        404
    );
    assert_eq!(admin.delete(&paths[0]).await.status, 404);
    let submit = admin
        .post(
            "/v1/messages",
            json!({"event_type": "a", "payload": 1, "destination_ids": [destination]}),
        )
        .await;
    assert_eq!(
        submit.refusal(),
        refused(404, "not_found", &["/destination_ids/0: not_found"])
    );
    let filter = admin
        .get(&format!("/v1/deliveries?destination_id={destination}"))
        .await;
    assert_eq!(
        (filter.status, filter.json()),
        (200, json!({"data": [], "next_cursor": null}))
    );
    let recorded = admin
        .get("/v1/audit-events?action=cross_organization_access_denied&limit=100")
        .await
        .json();
    // The id that never existed is recorded too, because a forged id looks the same.
    assert_eq!(
        recorded["data"].as_array().unwrap().len(),
        1 + paths.len() + 5 + 2 + 1 + 1
    );
    assert!(
        recorded["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|event| event["outcome"] == "denied")
    );
    let theirs = stranger
        .get("/v1/audit-events?action=cross_organization_access_denied")
        .await
        .json();
    assert_eq!(
        theirs["data"],
        json!([]),
        "the caller's audit log records it"
    );
}

#[tokio::test]
async fn a_request_that_names_another_organization_is_refused() {
    let deployment = Deployment::new().await;
    let stranger = deployment.stranger().await;
    let own = format!(
        "/v1/destinations?organization_id={}",
        deployment.organization
    );
    assert_eq!(deployment.admin().get(&own).await.status, 200);
    assert_eq!(
        stranger.get(&own).await.refusal(),
        refused(404, "not_found", &[])
    );
    let recorded = stranger
        .get("/v1/audit-events?action=cross_organization_access_denied")
        .await
        .json();
    assert_eq!(recorded["data"][0]["target"], deployment.organization);
}

#[tokio::test]
async fn a_cursor_of_one_query_or_tenant_is_refused_in_another() {
    let deployment = Deployment::new().await;
    let (admin, stranger) = (deployment.admin(), deployment.stranger().await);
    for name in ["a", "b"] {
        admin.destination(name).await;
    }
    let cursor = admin.get("/v1/destinations?limit=1").await.json()["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        admin
            .get(&format!("/v1/destinations?limit=2&cursor={cursor}"))
            .await
            .status,
        200
    );
    for (client, path) in [
        (&admin, "/v1/destinations?status=enabled&"),
        (&admin, "/v1/messages?"),
        (&stranger, "/v1/destinations?"),
    ] {
        assert_eq!(
            client
                .get(&format!("{path}cursor={cursor}"))
                .await
                .refusal(),
            refused(400, "invalid_cursor", &[]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_same_key_and_reference_of_two_organizations_do_not_meet() {
    let deployment = Deployment::new().await;
    let (admin, stranger) = (deployment.admin(), deployment.stranger().await);
    let mut messages = Vec::new();
    for client in [&admin, &stranger] {
        let destination = client.destination("a").await["id"].clone();
        let body = json!({"event_type": "a", "payload": 1, "reference": "same",
            "destination_ids": [destination]});
        let answer = client.post_once("/v1/messages", "same", body).await;
        assert_eq!(answer.status, 202);
        messages.push(answer.json()["id"].clone());
    }
    assert_ne!(messages[0], messages[1]);
    let found = stranger.get("/v1/messages?reference=same").await.json();
    assert_eq!(
        (
            found["data"].as_array().unwrap().len(),
            &found["data"][0]["id"]
        ),
        (1, &messages[1])
    );
}

//! `/v1/portal-links`, and the sessions they open.

use access::{Caller, Session, Sessions};
use domain::role::Role;
use serde_json::json;

use crate::fixture::{Deployment, refused};

fn token(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_portal_link_opens_once_and_its_session_ends_with_it() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let body = json!({"role": "manager", "subject": {"id": "u7", "name": "Ana"},
        "path": "/deliveries", "session_seconds": 60});
    let made = admin.post("/v1/portal-links", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let (url, id) = (made["url"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(id.starts_with("pln_") && made["expires_at"].is_string());
    let access = &deployment.operations.access();
    let seen = access.portal_link(token(url)).await.unwrap();
    assert_eq!(
        (seen.path.as_deref(), seen.session_until),
        (Some("/deliveries"), None),
        "looking at it uses nothing up"
    );
    let opened = access.open_portal_link(token(url)).await.unwrap();
    assert!(
        access.open_portal_link(token(url)).await.is_err(),
        "a link opens once"
    );
    let sessions = Sessions::new([3; 32]);
    let cookie = sessions.seal(&Session::from(&opened));
    let session = sessions.open(&cookie, deployment.operations.now()).unwrap();
    let Caller { name, role, .. } = access.resume(&session).await.unwrap();
    assert_eq!((&*name, role), ("Ana", Role::Manager));
    assert_eq!(
        admin.delete(&format!("/v1/portal-links/{id}")).await.status,
        204
    );
    assert!(
        access.resume(&session).await.is_err(),
        "the session ends with its link"
    );
    assert_eq!(
        admin.delete(&format!("/v1/portal-links/{id}")).await.status,
        404
    );
    let trail = admin.get("/v1/audit-events").await.json()["data"].clone();
    assert_eq!(
        (&trail[0]["action"], &trail[1]["action"]),
        (&json!("portal_link.deleted"), &json!("portal_link.created"))
    );
}

#[tokio::test]
async fn a_portal_link_is_an_admins_to_give_and_its_address_is_shown_once() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let first = admin
        .post_once("/v1/portal-links", "k", json!({"role": "viewer"}))
        .await
        .json();
    let again = admin
        .post_once("/v1/portal-links", "k", json!({"role": "viewer"}))
        .await
        .json();
    assert_eq!((&again["id"], &again["url"]), (&first["id"], &json!(null)));
    let manager = deployment.role("manager").await;
    assert_eq!(
        manager
            .post("/v1/portal-links", json!({"role": "viewer"}))
            .await
            .refusal(),
        refused(403, "forbidden", &[])
    );
    let wrong = json!({"role": "operator", "expires_in_seconds": 86401, "session_seconds": 0,
        "path": "//evil.example", "x": 1});
    let errors = [
        "/role: invalid_value",
        "/expires_in_seconds: out_of_range",
        "/session_seconds: out_of_range",
        "/path: invalid_format",
        "/x: unknown_field",
    ];
    assert_eq!(
        admin.post("/v1/portal-links", wrong).await.refusal(),
        refused(422, "validation_failed", &errors)
    );
    let stranger = deployment.stranger().await;
    let path = format!("/v1/portal-links/{}", first["id"].as_str().unwrap());
    assert_eq!(
        stranger.delete(&path).await.refusal(),
        refused(404, "not_found", &[])
    );
}

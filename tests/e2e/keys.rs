//! The permissions of each role.

use std::time::Duration;

use http::Method;
use kit::sink::Sink;
use serde_json::{Value, json};

use crate::stage;

/// Every invalid key gets the same response.
#[tokio::test]
async fn without_a_valid_key_every_response_is_the_same() {
    let (acme, stack) = (stage::organization("Acme").await, stage::stack().await);
    let anonymous = stack.anonymous();
    let good = acme.plain_key().to_owned();
    let other_secret = format!(
        "{}{}",
        &good[..good.len() - 1],
        if good.ends_with('A') { 'B' } else { 'A' }
    );
    let unknown = format!("wbk_01jzzzzzzzzzzzzzzzzzzzzzzz{}", &good[30..]);
    let mut bodies: Vec<Value> = Vec::new();
    for authorization in [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer x".into()),
        Some(format!("Basic {good}")),
        Some(format!("Bearer {other_secret}")),
        Some(format!("Bearer {unknown}")),
    ] {
        let call = anonymous.call(Method::GET, "/v1/destinations");
        let call = match &authorization {
            Some(value) => call.header("authorization", value),
            None => call,
        };
        let answer = call.send().await;
        let mut problem = answer.problem(401, "unauthenticated");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer"),
            "{authorization:?}"
        );
        problem.as_object_mut().unwrap().remove("request_id");
        bodies.push(problem);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_the_next_request() {
    let acme = stage::organization("Acme").await;
    let key = acme.key("manager").await;
    key.caller.get("/v1/destinations").await.ok(200);
    acme.delete(&format!("/v1/api-keys/{}", key.id))
        .await
        .ok(204);
    key.caller
        .get("/v1/destinations")
        .await
        .problem(401, "unauthenticated");
    acme.delete(&format!("/v1/api-keys/{}", key.id))
        .await
        .problem(404, "not_found");
    assert_eq!(acme.audited("api_key.revoked").await.len(), 1);
}

/// A key expires at its time.
#[tokio::test]
async fn an_expired_key_is_refused() {
    let acme = stage::organization("Acme").await;
    let expires_at = jiff::Timestamp::try_from(in_a_moment())
        .unwrap()
        .to_string();
    let created = acme
        .post(
            "/v1/api-keys",
            json!({"name": "short", "role": "viewer", "expires_at": expires_at}),
        )
        .await
        .ok(201);
    let short = acme.with_key(created["key"].as_str().unwrap());
    short.get("/v1/destinations").await.ok(200);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    short
        .get("/v1/destinations")
        .await
        .problem(401, "unauthenticated");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client is outside of Waybill and has a clock of its own"
)]
fn in_a_moment() -> std::time::SystemTime {
    std::time::SystemTime::now() + Duration::from_secs(3)
}

/// A key is shown once.
#[tokio::test]
async fn a_key_is_shown_once_and_listed_without_its_secret() {
    let acme = stage::organization("Acme").await;
    let created = acme
        .post("/v1/api-keys", json!({"name": "ci", "role": "sender"}))
        .await
        .ok(201);
    let (id, key) = (
        created["id"].as_str().unwrap(),
        created["key"].as_str().unwrap(),
    );
    assert_eq!(key.len(), "wbk_".len() + 26 + 1 + 43);
    assert_eq!(key[4..30], id[4..]);
    let listed = acme.list("/v1/api-keys").await;
    let shown = listed
        .iter()
        .find(|shown| shown["id"] == id)
        .expect("it is listed");
    assert_eq!(
        (&shown["name"], &shown["role"]),
        (&json!("ci"), &json!("sender"))
    );
    assert!(
        shown.get("key").is_none_or(Value::is_null) && !shown.to_string().contains(&key[31..]),
        "{shown}"
    );
    assert!(
        shown["created_by"].is_string() || shown["created_by"].is_object(),
        "{shown}"
    );
}

/// Each role can do what it permits, and nothing else.
#[tokio::test]
async fn every_role_can_do_what_it_permits_and_nothing_else() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let submitted = acme.send([&destination], json!(1)).await;
    submitted.settles().await;
    let message = json!({"event_type": "a", "payload": 1, "destination_ids": [destination.id]});
    let named = |path: &str| format!("{}{path}", destination.path());
    // Whether manager, sender and viewer may.
    let cases = [
        (
            Method::GET,
            "/v1/destinations".to_owned(),
            None,
            [true, false, true],
        ),
        (Method::GET, named(""), None, [true, false, true]),
        (
            Method::GET,
            "/v1/messages".to_owned(),
            None,
            [true, true, true],
        ),
        (Method::GET, submitted.path(), None, [true, true, true]),
        (
            Method::GET,
            "/v1/deliveries".to_owned(),
            None,
            [true, true, true],
        ),
        (
            Method::GET,
            "/v1/audit-events".to_owned(),
            None,
            [true, false, true],
        ),
        (
            Method::GET,
            "/v1/organization".to_owned(),
            None,
            [true, false, true],
        ),
        (
            Method::POST,
            "/v1/messages".to_owned(),
            Some(message),
            [true, true, false],
        ),
        (
            Method::POST,
            "/v1/destinations".to_owned(),
            Some(acme.destination().webhook(&sink).body()),
            [true, false, false],
        ),
        (
            Method::PATCH,
            named(""),
            Some(json!({"name": "x"})),
            [true, false, false],
        ),
        (
            Method::POST,
            named("/check"),
            Some(json!({})),
            [true, false, false],
        ),
        (
            Method::POST,
            named("/test"),
            Some(json!({})),
            [true, false, false],
        ),
        (
            Method::POST,
            named("/rotate-secret"),
            Some(json!({})),
            [true, false, false],
        ),
        (
            Method::POST,
            format!("{}/retry", submitted.delivery(0).path()),
            Some(json!({"force": true})),
            [true, false, false],
        ),
        (
            Method::GET,
            "/v1/api-keys".to_owned(),
            None,
            [false, false, false],
        ),
        (
            Method::POST,
            "/v1/api-keys".to_owned(),
            Some(json!({"name": "x", "role": "viewer"})),
            [false, false, false],
        ),
        (
            Method::PATCH,
            "/v1/organization".to_owned(),
            Some(json!({"settings": {"retention_days": 30}})),
            [false, false, false],
        ),
        (
            Method::GET,
            "/v1/organizations".to_owned(),
            None,
            [false, false, false],
        ),
    ];
    for (position, role) in ["manager", "sender", "viewer"].into_iter().enumerate() {
        let key = acme.key(role).await;
        for (method, path, body, allowed) in &cases {
            let call = key.caller.call(method.clone(), path);
            let answer = match body {
                Some(body) => call.json(body).send().await,
                None => call.send().await,
            };
            if allowed[position] {
                assert!(
                    answer.status < 300,
                    "{role} {method} {path}: {}",
                    answer.text()
                );
            } else {
                answer.problem(403, "forbidden");
            }
        }
    }
    let refused = acme.audited("forbidden").await;
    assert!(
        refused.len() >= 20,
        "every refusal is recorded, not {}",
        refused.len()
    );
}

/// A caller cannot extend its own permissions.
#[tokio::test]
async fn a_caller_cannot_create_a_key_with_more_rights() {
    let acme = stage::organization("Acme").await;
    let answer = acme
        .post("/v1/api-keys", json!({"name": "x", "role": "operator"}))
        .await;
    assert!(
        answer.status == 403 || answer.status == 422,
        "{}",
        answer.text()
    );
    acme.post("/v1/api-keys", json!({"name": "x", "role": "admin"}))
        .await
        .ok(201);
}

/// The role is checked before the object, and the object before the body.
#[tokio::test]
async fn refusals_come_in_order() {
    let (acme, stack) = (stage::organization("Acme").await, stage::stack().await);
    let viewer = acme.key("viewer").await.caller;
    let unknown = "/v1/destinations/dst_01jzzzzzzzzzzzzzzzzzzzzzzz";
    let broken = |method: Method| (method, "{");
    let (method, body) = broken(Method::PATCH);
    stack
        .anonymous()
        .call(method.clone(), unknown)
        .json_text(body)
        .send()
        .await
        .problem(401, "unauthenticated");
    viewer
        .call(method.clone(), unknown)
        .json_text(body)
        .send()
        .await
        .problem(403, "forbidden");
    acme.call(method.clone(), unknown)
        .json_text(body)
        .send()
        .await
        .problem(404, "not_found");
    acme.call(Method::POST, "/v1/messages")
        .json_text(body)
        .send()
        .await
        .problem(400, "malformed_request");
}

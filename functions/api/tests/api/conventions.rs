//! The conventions of every request.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::fixture::{Deployment, refused, webhook};

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let deployment = Deployment::new().await;
    let bad = [
        None,
        Some("Bearer"),
        Some("Bearer wbk_x"),
        Some("Basic dXNlcjpwYXNz"),
    ];
    let wrong_secret = format!(
        "Bearer {}{}",
        &deployment.admin[..deployment.admin.len() - 4],
        "AAAA"
    );
    let mut problems = Vec::new();
    for header in bad.into_iter().chain([Some(&*wrong_secret)]) {
        let mut request = Request::builder().uri("/v1/destinations");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = deployment.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, Some("Bearer"))
        );
        problems.push(answer.problem());
    }
    insta::assert_json_snapshot!("unauthenticated", problems[0]);
    assert!(problems.iter().all(|problem| *problem == problems[0]));
    // The response is sent before the refusal is recorded.
    let mut recorded = 0;
    while recorded == 0 {
        let trail = deployment
            .admin()
            .get("/v1/audit-events?action=authentication_failed")
            .await
            .json();
        recorded = trail["data"].as_array().unwrap().len();
    }
    assert_eq!(
        recorded, 1,
        "only the refusal that names an existing key belongs to an organization"
    );
}

/// The duration of a refusal must not reveal whether a key exists. This counts all work that is not
/// done in memory.
#[tokio::test]
async fn a_wrong_secret_costs_the_same_work_as_an_unknown_key() {
    let deployment = Deployment::new().await;
    let created = deployment
        .admin()
        .post("/v1/api-keys", json!({"name": "a", "role": "viewer"}))
        .await
        .json();
    let key = created["key"].as_str().unwrap();
    let (id, secret) = key.rsplit_once('_').unwrap();
    let wrong = format!("{id}_{}", secret.chars().rev().collect::<String>());
    let (start, last) = id.split_at(id.len() - 1);
    let unknown = format!("{start}{}_{secret}", if last == "0" { "1" } else { "0" });
    let work = async |key: &str| {
        let recorder = deployment.engines.record();
        assert_eq!(
            deployment.client(key).get("/v1/destinations").await.status,
            401
        );
        // The refusal is recorded after the response.
        let calls = recorder.calls();
        let reads = calls
            .iter()
            .filter(|call| call.operation.contains("GetItem"));
        reads
            .map(|call| format!("{} {:?}", call.operation, call.consumed))
            .collect::<Vec<_>>()
    };
    let of_unknown = work(&unknown).await;
    assert_eq!(of_unknown.len(), 1, "{of_unknown:?}");
    assert_eq!(
        work(&wrong).await[..1],
        of_unknown[..],
        "a key that this process has not seen"
    );
    assert_eq!(
        deployment.client(key).get("/v1/destinations").await.status,
        200
    );
    assert_eq!(
        work(&wrong).await[..1],
        of_unknown[..],
        "a key that it has seen"
    );
}

#[tokio::test]
async fn a_flood_of_refusals_is_recorded_up_to_a_limit() {
    let deployment = Deployment::new().await;
    let (viewer, stranger) = (deployment.role("viewer").await, deployment.stranger().await);
    let theirs = stranger.destination("theirs").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let flood = async |count: usize| {
        for _ in 0..count {
            assert_eq!(
                viewer
                    .post("/v1/api-keys", json!({"name": "a", "role": "viewer"}))
                    .await
                    .status,
                403
            );
            assert_eq!(
                viewer
                    .get(&format!("/v1/destinations/{theirs}"))
                    .await
                    .status,
                404
            );
        }
    };
    let recorded = async |action: &str| {
        let mut path = format!("/v1/audit-events?action={action}&limit=100");
        let mut found = 0;
        loop {
            let page = deployment.admin().get(&path).await.json();
            found += page["data"].as_array().unwrap().len();
            let Some(cursor) = page["next_cursor"].as_str() else {
                return found;
            };
            path = format!("/v1/audit-events?action={action}&limit=100&cursor={cursor}");
        }
    };
    flood(1100).await;
    for action in ["forbidden", "cross_organization_access_denied"] {
        assert_eq!(recorded(action).await, 1000, "{action}");
    }
    deployment.now_ms.fetch_add(60_000, Ordering::Relaxed);
    flood(1).await;
    assert_eq!(recorded("forbidden").await, 1001, "the next minute");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_without_details() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let mut body = webhook("Panics");
    body["settings"]["url"] = "https://panics.example.com/".into();
    let answer = admin.post("/v1/destinations", body).await;
    assert_eq!(answer.refusal(), refused(500, "internal_error", &[]));
    assert!(!answer.problem().to_string().contains("hunter2"));
    // Nothing is left half-done, and the next request is not affected.
    assert_eq!(
        admin.get("/v1/destinations").await.json()["data"],
        json!([])
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let unknown = admin.get("/v1/nothing").await;
    insta::assert_json_snapshot!("not_found", unknown.problem());
    assert_eq!(admin.get("/nothing").await.status, 404);
    assert_eq!(admin.get("/v1/messages/").await.status, 404);
    let wrong = admin
        .request("PUT", "/v1/destinations", &[], Body::empty())
        .await;
    insta::assert_json_snapshot!("method_not_allowed", wrong.problem());
    assert_eq!(wrong.header("allow"), Some("GET,HEAD,POST"));
    let unauthenticated = deployment.client("wbk_x");
    assert_eq!(
        unauthenticated
            .request("PUT", "/v1/destinations", &[], Body::empty())
            .await
            .status,
        401,
        "401 comes before 405"
    );
    assert_eq!(unauthenticated.get("/v1/nothing").await.status, 401);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let there = admin.request("HEAD", "/v1/meta", &[], Body::empty()).await;
    assert_eq!((there.status, there.bytes.len()), (200, 0));
    let missing = admin
        .request("HEAD", "/v1/messages/msg_x", &[], Body::empty())
        .await;
    assert_eq!((missing.status, missing.bytes.len()), (404, 0));
    assert!(missing.header("request-id").is_some());
}

#[tokio::test]
async fn bodies_are_refused_in_order() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let post = async |content_type: &str, body: &str| {
        admin
            .request(
                "POST",
                "/v1/destinations",
                &[("content-type", content_type)],
                Body::from(body.to_owned()),
            )
            .await
    };
    assert_eq!(
        post("text/plain", "{}").await.refusal(),
        refused(415, "unsupported_media_type", &[])
    );
    assert_eq!(
        post("application/json", "{").await.code(),
        "malformed_request"
    );
    assert_eq!(post("application/json", "[]").await.status, 400);
    assert_eq!(post("application/json", "").await.status, 400);
    assert_eq!(
        post("application/json", r#"{"name": "a", "name": "b"}"#)
            .await
            .status,
        400
    );
    assert_eq!(
        post("application/json; charset=utf-8", "{}").await.status,
        422
    );
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(5 << 20));
    assert_eq!(
        post("application/json", &huge).await.refusal(),
        refused(413, "payload_too_large", &[])
    );
    let viewer = deployment.role("viewer").await;
    let refusal = viewer
        .request(
            "POST",
            "/v1/destinations",
            &[("content-type", "text/plain")],
            Body::from("x"),
        )
        .await;
    assert_eq!(
        refusal.refusal(),
        refused(403, "forbidden", &[]),
        "the role comes before the body"
    );
    let patch = admin
        .request(
            "PATCH",
            "/v1/destinations/dst_x",
            &[("content-type", "text/plain")],
            Body::from("x"),
        )
        .await;
    assert_eq!(patch.status, 404, "the object comes before the body");
}

#[tokio::test]
async fn an_unknown_query_parameter_is_named() {
    let deployment = Deployment::new().await;
    let answer = deployment
        .admin()
        .get("/v1/destinations?limit=0&colour=red")
        .await;
    insta::assert_json_snapshot!("bad_parameters", answer.problem());
    let mixed = deployment
        .admin()
        .post(
            "/v1/destinations?skip_check=maybe",
            json!({"type": "webhook"}),
        )
        .await;
    let expected = [
        "skip_check: invalid_value",
        "/name: required",
        "/settings: required",
    ];
    assert_eq!(
        mixed.refusal(),
        refused(422, "validation_failed", &expected)
    );
}

#[tokio::test]
async fn a_bad_cursor_is_400() {
    let deployment = Deployment::new().await;
    assert_eq!(
        deployment
            .admin()
            .get("/v1/messages?cursor=x")
            .await
            .refusal(),
        refused(400, "invalid_cursor", &[])
    );
}

#[tokio::test]
async fn a_failing_dependency_is_reported_without_internal_details() {
    let deployment = Deployment::new().await;
    deployment.engines.install_faults(|call| {
        if call.service == local_aws::Service::DynamoDb {
            local_aws::Fault::throttled()
        } else {
            local_aws::Fault::None
        }
    });
    let answer = deployment.admin().get("/v1/destinations").await;
    assert!(answer.status >= 500, "{answer:?}");
    let text = String::from_utf8(answer.bytes.clone())
        .unwrap()
        .to_lowercase();
    assert!(
        !text.contains("dynamo") && !text.contains("table"),
        "{text}"
    );
}

#[tokio::test]
async fn the_public_pages_need_no_key() {
    let deployment = Deployment::new().await;
    for path in ["/healthz", "/docs", "/v1/openapi.json"] {
        let answer = deployment
            .send(Request::builder().uri(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let meta = deployment.admin().get("/v1/meta").await;
    insta::assert_json_snapshot!("meta", meta.json());
}

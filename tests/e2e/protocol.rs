//! The HTTP protocol of the API.

use http::Method;
use serde_json::{Value, json};

use crate::stage;

/// Pages that need no key.
#[tokio::test]
async fn health_and_the_document_need_no_key() {
    let anonymous = stage::stack().await.anonymous();
    anonymous.get("/healthz").await.ok(200);
    let document = anonymous.get("/v1/openapi.json").await.ok(200);
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1")),
        "{}",
        document["openapi"]
    );
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/v1/messages",
        "/v1/messages/batch",
        "/v1/destinations",
        "/v1/deliveries",
        "/v1/api-keys",
        "/v1/organizations",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let docs = anonymous.get("/docs").await;
    assert!(
        docs.status == 200
            && docs
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html"))
    );
}

/// Every `$ref` of the document resolves.
#[tokio::test]
async fn every_reference_in_the_document_resolves() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(
                    members
                        .get("$ref")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = stage::stack()
        .await
        .anonymous()
        .get("/v1/openapi.json")
        .await
        .ok(200);
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("{reference} is in another document"));
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} does not resolve"
        );
    }
}

/// `GET /v1/meta` describes the deployment.
#[tokio::test]
async fn meta_says_what_this_waybill_is() {
    let acme = stage::organization("Acme").await;
    let meta = acme.get("/v1/meta").await.ok(200);
    assert!(
        meta["version"].is_string() && meta["limits"].is_object() && meta["egress_ips"].is_array(),
        "{meta}"
    );
    assert_eq!(
        meta["roles"],
        json!(["operator", "admin", "manager", "sender", "viewer"])
    );
    let types = acme.get("/v1/destination-types").await.ok(200);
    assert_eq!(types["data"][0]["type"], "webhook", "{types}");
}

/// Paths and methods that do not exist.
#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let acme = stage::organization("Acme").await;
    for path in [
        "/v1/nothing",
        "/v1/destinations/7",
        "/v1/destinations/msg_01jzzzzzzzzzzzzzzzzzzzzzzz",
        "/v1/messages/x/y",
        "/v1/",
        "/v2/messages",
    ] {
        acme.get(path).await.problem(404, "not_found");
    }
    for (method, path) in [
        (Method::PUT, "/v1/messages"),
        (Method::DELETE, "/v1/deliveries"),
        (Method::PATCH, "/v1/api-keys"),
    ] {
        let answer = acme.call(method, path).send().await;
        answer.problem(405, "method_not_allowed");
        let allowed = answer.header("allow").expect("Allow is there");
        assert!(allowed.contains("GET"), "{path}: {allowed}");
    }
}

/// HEAD is GET without a body, every response has an id, and no response has CORS headers.
#[tokio::test]
async fn head_works_every_answer_has_an_id_and_no_answer_has_cors_headers() {
    let acme = stage::organization("Acme").await;
    let head = acme.call(Method::HEAD, "/v1/destinations").send().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let mut ids = Vec::new();
    for answer in [
        head,
        acme.get("/v1/destinations").await,
        acme.get("/v1/nothing").await,
        acme.get("/healthz").await,
    ] {
        ids.push(
            answer
                .header("request-id")
                .expect("every answer has one")
                .to_owned(),
        );
        assert!(
            answer
                .headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control-")),
            "{:?}",
            answer.headers
        );
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

/// Times are UTC with milliseconds.
#[tokio::test]
async fn times_are_utc_with_milliseconds() {
    let acme = stage::organization("Acme").await;
    let created_at = acme.get("/v1/organization").await.ok(200)["created_at"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        created_at.len(),
        "2026-01-01T00:00:00.000Z".len(),
        "{created_at}"
    );
    assert!(created_at.ends_with('Z'), "{created_at}");
}

//! The OpenAPI document agrees with the router.

use api::openapi::DOCUMENT;
use axum::body::Body;
use serde_json::Value;

use crate::fixture::Deployment;

#[test]
fn the_document_is_as_kept() {
    let is_as_kept = api::openapi::written() == DOCUMENT.as_bytes();
    assert!(
        is_as_kept,
        "handlers or views have changed: cargo run --example openapi, and look at what changed in \
         openapi.json"
    );
}

#[tokio::test]
async fn every_path_takes_exactly_the_methods_that_the_document_names() {
    let deployment = Deployment::new().await;
    let document = serde_json::from_str::<Value>(DOCUMENT).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{id}", "x").replace("{secret_id}", "x");
        let answer = deployment
            .admin()
            .request("TRACE", &concrete, &[], Body::empty())
            .await;
        assert_eq!(answer.status, 405, "{path}");
        let mut allowed: Vec<String> = answer
            .header("allow")
            .unwrap()
            .split(',')
            .map(str::to_lowercase)
            .filter(|m| m != "head")
            .collect();
        allowed.sort();
        let documented: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        assert_eq!(allowed, documented, "{path}");
    }
}

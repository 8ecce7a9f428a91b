//! Limits on what an organization keeps hold when many requests arrive at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::limits::{AUTHORIZATIONS_MAX, JOBS_MAX, PORTAL_LINKS_MAX};
use futures_util::future::join_all;
use local_aws::Fault;
use serde_json::{Value, json};

use crate::fixture::{Client, Deployment};

/// Creates `count` objects, some concurrently, and returns the paths of those that were created.
async fn made(admin: &Client<'_>, path: &str, body: &Value, count: usize) -> Vec<String> {
    let mut paths = Vec::new();
    for start in (0..count).step_by(10) {
        let group = (start..count.min(start + 10)).map(|_| admin.post(path, body.clone()));
        for answer in join_all(group).await {
            match answer.status {
                201 | 202 => {
                    paths.push(format!("{path}/{}", answer.json()["id"].as_str().unwrap()))
                }
                status => assert_eq!(
                    (status, &*answer.code()),
                    (409, "limit_reached"),
                    "{answer:?}"
                ),
            }
        }
    }
    paths
}

/// Reaches the limit, ends one object with `end`, and creates one more.
async fn holds(path: &str, body: Value, most: usize, end: impl AsyncFn(&Client<'_>, &str)) {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let paths = made(&admin, path, &body, most + 15).await;
    assert_eq!(paths.len(), most, "{path}");
    end(&admin, &paths[3]).await;
    assert_eq!(
        made(&admin, path, &body, 2).await.len(),
        1,
        "{path}: the place of one that ended"
    );
}

#[tokio::test]
async fn an_organization_has_a_limited_number_of_jobs_that_are_not_over() {
    let body = json!({"kind": "retry", "filter": {}});
    holds("/v1/jobs", body, JOBS_MAX, async |admin, path| {
        assert_eq!(
            admin
                .post(&format!("{path}/cancel"), json!({}))
                .await
                .status,
            200
        );
    })
    .await;
}

#[tokio::test]
async fn an_organization_has_a_limited_number_of_portal_links_that_can_be_opened() {
    let body = json!({"role": "viewer"});
    holds(
        "/v1/portal-links",
        body,
        PORTAL_LINKS_MAX,
        async |admin, path| {
            assert_eq!(admin.delete(path).await.status, 204);
        },
    )
    .await;
}

#[tokio::test]
async fn an_organization_has_a_limited_number_of_authorizations() {
    let body = json!({
        "provider": "google", "client_id": "app", "client_secret": "s3cret",
    });
    holds(
        "/v1/oauth2/authorizations",
        body,
        AUTHORIZATIONS_MAX,
        async |admin, path| {
            assert_eq!(admin.delete(path).await.status, 204);
        },
    )
    .await;
}

#[tokio::test]
async fn a_destination_is_not_enabled_when_there_is_no_room_for_its_replay() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await;
    let path = format!("/v1/destinations/{}", destination["id"].as_str().unwrap());
    assert_eq!(
        admin
            .post(&format!("{path}/disable"), json!({}))
            .await
            .status,
        200
    );
    made(
        &admin,
        "/v1/jobs",
        &json!({"kind": "retry", "filter": {}}),
        JOBS_MAX,
    )
    .await;
    let enable = admin
        .post(
            &format!("{path}/enable"),
            json!({"replay_since": "disabled_at"}),
        )
        .await;
    assert_eq!(
        (enable.status, &*enable.code()),
        (409, "limit_reached"),
        "{enable:?}"
    );
    assert_eq!(admin.get(&path).await.json()["status"], "disabled");
    assert_eq!(
        admin
            .post(&format!("{path}/enable"), json!({}))
            .await
            .status,
        200
    );
}

/// A batch reports as accepted exactly what it commits within its function's time.
#[tokio::test]
async fn a_batch_that_runs_out_of_time_answers_what_it_accepted() {
    let deployment = Deployment::with(&[("FUNCTION_TIMEOUT_SECONDS", "8")]).await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let writes = AtomicUsize::new(0);
    deployment.engines.install_faults(move |call| {
        // Some commits succeed without a confirmation, and those after them fail.
        match call.operation.as_str() {
            // Messages that are accepted at the same time share calls.
            "PutItem" | "TransactWriteItems" | "BatchWriteItem" | "BatchExecuteStatement" => {
                match writes.fetch_add(1, Ordering::Relaxed) {
                    0..2 => Fault::None,
                    2 => Fault::HangAfter,
                    _ => Fault::HangBefore,
                }
            }
            _ => Fault::None,
        }
    });
    let message = json!({"event_type": "a.b", "payload": 1, "destination_ids": [destination]});
    let answer = admin
        .post(
            "/v1/messages/batch",
            json!({"messages": vec![message; 100]}),
        )
        .await;
    deployment.engines.clear_faults();
    assert_eq!(answer.status, 202, "{answer:?}");
    let results = answer.json()["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), 100);
    let (accepted, late): (Vec<&Value>, Vec<&Value>) =
        results.iter().partition(|result| result["status"] == 202);
    assert!(
        !accepted.is_empty() && late.len() >= 25,
        "{} accepted, {} late",
        accepted.len(),
        late.len()
    );
    for result in late {
        assert_eq!(
            (&result["status"], &result["error"]["code"]),
            (&json!(503), &json!("unavailable")),
            "{result}"
        );
    }
    let mut answered: Vec<String> = accepted
        .iter()
        .map(|result| result["message"]["id"].as_str().unwrap().to_owned())
        .collect();
    let stored = admin.get("/v1/messages?limit=100").await.json()["data"].clone();
    let mut stored: Vec<String> = stored
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["id"].as_str().unwrap().to_owned())
        .collect();
    answered.sort();
    stored.sort();
    assert_eq!(answered, stored);
}

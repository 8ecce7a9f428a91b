//! Quotas: at the limit and over it, for a request, a batch and an upload; and the cost of
//! counting.

use axum::body::Body;
use serde_json::{Value, json};

use crate::fixture::{Answer, Client, Deployment, webhook};

async fn enforcing() -> Deployment {
    Deployment::with(&[("RATE_LIMITS", "on")]).await
}

/// Creates a deployment whose operator sets these quotas for the organization.
async fn with_quotas(quotas: Value) -> Deployment {
    let deployment = enforcing().await;
    let path = format!("/v1/organizations/{}", deployment.organization);
    let patched = deployment
        .operator()
        .patch(&path, json!({"quotas": quotas}))
        .await;
    assert_eq!(patched.status, 200, "{patched:?}");
    deployment
}

fn is_over(answer: &Answer, quota: &str) {
    assert_eq!(
        (answer.status, &*answer.code()),
        (429, "rate_limited"),
        "{answer:?}"
    );
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds), "{seconds}");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(quota), "{detail}");
}

fn message(destinations: &[String]) -> Value {
    json!({"event_type": "report.ready", "payload": 1, "destination_ids": destinations})
}

async fn destinations(admin: &Client<'_>, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let made = admin
            .post("/v1/destinations?skip_check=true", webhook(&n.to_string()))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        ids.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn messages(admin: &Client<'_>) -> usize {
    admin.get("/v1/messages?limit=100").await.json()["data"]
        .as_array()
        .unwrap()
        .len()
}

#[tokio::test]
async fn quotas_are_the_deployment_s_until_the_operator_sets_others() {
    let deployment = Deployment::with(&[("REQUESTS_PER_SECOND", "70")]).await;
    let admin = deployment.admin();
    let own = admin.get("/v1/organization").await.json()["quotas"].clone();
    let expected = json!({"requests_per_second": 70, "deliveries_per_second": 1000,
        "checks_per_minute": 30, "previews_per_minute": 60,
        "upload_bytes_outstanding": 53_687_091_200_u64});
    assert_eq!(own, expected);

    let path = format!("/v1/organizations/{}", deployment.organization);
    let quotas = json!({"requests_per_second": 5, "upload_bytes_outstanding": 1000});
    let patched = deployment
        .operator()
        .patch(&path, json!({"quotas": quotas}))
        .await
        .json();
    assert_eq!(
        (
            &patched["quotas"]["requests_per_second"],
            &patched["quotas"]["checks_per_minute"]
        ),
        (&json!(5), &json!(30))
    );
    assert_eq!(
        admin.get("/v1/organization").await.json()["quotas"],
        patched["quotas"]
    );
    let reset = deployment
        .operator()
        .patch(&path, json!({"quotas": {"requests_per_second": null}}))
        .await
        .json();
    assert_eq!(reset["quotas"]["requests_per_second"], 70);

    let own = admin
        .patch(
            "/v1/organization",
            json!({"quotas": {"requests_per_second": 1000}}),
        )
        .await;
    assert_eq!(own.code(), "read_only");
    let wrong = deployment
        .operator()
        .patch(
            &path,
            json!({"quotas": {"requests_per_second": 0, "requests_per_minute": 1}}),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json()["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn requests_are_limited_by_the_second_with_a_burst_of_four() {
    let deployment = with_quotas(json!({"requests_per_second": 5})).await;
    let admin = deployment.admin();
    for _ in 0..20 {
        assert_eq!(admin.get("/v1/organization").await.status, 200);
    }
    is_over(&admin.get("/v1/organization").await, "requests_per_second");
    is_over(
        &admin.post("/v1/destinations", webhook("a")).await,
        "requests_per_second",
    );
    assert_eq!(
        deployment
            .stranger()
            .await
            .get("/v1/organization")
            .await
            .status,
        200,
        "another organization is not concerned"
    );
    let path = format!(
        "/v1/organization?organization_id={}",
        deployment.organization
    );
    assert_eq!(
        deployment.operator().get(&path).await.status,
        200,
        "nor is the operator"
    );
    deployment
        .now_ms
        .fetch_add(1000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(admin.get("/v1/organization").await.status, 200);
}

#[tokio::test]
async fn deliveries_are_limited_by_the_second_with_a_burst_of_twenty() {
    let deployment = with_quotas(json!({"deliveries_per_second": 1})).await;
    let admin = deployment.admin();
    let targets = destinations(&admin, 21).await;
    is_over(
        &admin.post("/v1/messages", message(&targets)).await,
        "deliveries_per_second",
    );
    assert_eq!(
        admin
            .post("/v1/messages", message(&targets[..20]))
            .await
            .status,
        202
    );
    is_over(
        &admin.post("/v1/messages", message(&targets[..1])).await,
        "deliveries_per_second",
    );
    assert_eq!(messages(&admin).await, 1, "what was refused was not stored");
}

#[tokio::test]
async fn a_batch_over_the_quota_is_refused_as_a_whole() {
    let deployment = with_quotas(json!({"deliveries_per_second": 1})).await;
    let admin = deployment.admin();
    let targets = destinations(&admin, 7).await;
    let batch = |messages: usize| json!({"messages": vec![message(&targets); messages]});
    is_over(
        &admin.post_once("/v1/messages/batch", "k", batch(3)).await,
        "deliveries_per_second",
    );
    assert_eq!(messages(&admin).await, 0);
    let accepted = admin.post_once("/v1/messages/batch", "k", batch(2)).await;
    assert_eq!(
        accepted.status, 202,
        "the refusal did not take the key: {accepted:?}"
    );
    let again = admin.post_once("/v1/messages/batch", "k", batch(2)).await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (202, Some("true")),
        "a replay is not counted"
    );
    assert_eq!(messages(&admin).await, 2);
    is_over(
        &admin.post("/v1/messages/batch", batch(1)).await,
        "deliveries_per_second",
    );
    let keyed = json!({"messages": [{"event_type": "a", "payload": 1, "destination_ids": targets,
        "idempotency_key": "one"}]});
    is_over(
        &admin.post("/v1/messages/batch", keyed).await,
        "deliveries_per_second",
    );
}

/// A repeat accepts what has become acceptable since, once and within the quota.
#[tokio::test]
async fn messages_that_a_repeated_batch_newly_accepts_are_sent_once_and_counted() {
    let deployment = with_quotas(json!({"deliveries_per_second": 1})).await;
    let admin = deployment.admin();
    let targets = destinations(&admin, 7).await;
    let mut early = message(&targets);
    // A minute more than 30 days ahead.
    early["expires_at"] = "2025-12-24T16:01:00Z".into();
    let batch = json!({"messages": [early.clone(), early.clone(), early]});
    let post = async || {
        let answer = admin
            .post_once("/v1/messages/batch", "k", batch.clone())
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let results = answer.json()["results"].as_array().unwrap().clone();
        let of = |member: &str| -> Vec<Value> {
            results
                .iter()
                .map(|result| result[member].clone())
                .collect()
        };
        let ids: Vec<Value> = of("message")
            .iter()
            .map(|view| view["id"].clone())
            .collect();
        (of("status"), ids)
    };
    assert_eq!(post().await.0, [422, 422, 422]);
    deployment
        .now_ms
        .fetch_add(120_000, std::sync::atomic::Ordering::Relaxed);
    let (statuses, ids) = post().await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 202).count(),
        2,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(post().await, (statuses, ids));
    assert_eq!(messages(&admin).await, 2);
}

#[tokio::test]
async fn a_batch_of_more_than_a_thousand_deliveries_is_too_large() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let targets = destinations(&admin, 11).await;
    let of = |messages: usize, last: usize| {
        let mut messages = vec![message(&targets[..10]); messages];
        messages.push(message(&targets[..last]));
        json!({"messages": messages})
    };
    let too_large = admin.post_once("/v1/messages/batch", "k", of(99, 11)).await;
    assert_eq!(
        too_large.refusal(),
        (
            422,
            "batch_too_large".to_owned(),
            vec!["/messages: too_long".to_owned()]
        )
    );
    assert_eq!(messages(&admin).await, 0);
    let mut keyed = of(99, 11);
    for (n, message) in keyed["messages"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        message["idempotency_key"] = n.to_string().into();
    }
    assert_eq!(
        admin.post("/v1/messages/batch", keyed).await.code(),
        "batch_too_large"
    );
    let accepted = admin.post_once("/v1/messages/batch", "k", of(99, 10)).await;
    assert_eq!(accepted.status, 202);
    let results = accepted.json()["results"].clone();
    assert!(
        results
            .as_array()
            .unwrap()
            .iter()
            .all(|result| result["status"] == 202)
    );
    assert_eq!(results.as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn every_connection_check_counts_whatever_asks_for_it() {
    let deployment = with_quotas(json!({"checks_per_minute": 6})).await;
    let admin = deployment.admin();
    let made = admin.destination("a").await;
    let path = format!("/v1/destinations/{}", made["id"].as_str().unwrap());
    let authorization =
        json!({"provider": "google", "client_id": "app", "client_secret": "s3cret"});
    assert_eq!(
        admin
            .patch(
                &path,
                json!({"settings": {"url": "https://hooks.example.com/other"}})
            )
            .await
            .status,
        200
    );
    assert_eq!(
        admin.post(&format!("{path}/check"), json!({})).await.status,
        200
    );
    assert_eq!(
        admin
            .post("/v1/destinations/check", webhook("b"))
            .await
            .status,
        200
    );
    assert_eq!(
        admin
            .post("/v1/oauth2/authorizations", authorization.clone())
            .await
            .status,
        201
    );
    assert_eq!(
        admin
            .post("/v1/destinations", webhook("refuses"))
            .await
            .status,
        201
    );
    for _ in 0..2 {
        is_over(
            &admin.post("/v1/destinations", webhook("c")).await,
            "checks_per_minute",
        );
        is_over(
            &admin
                .patch(
                    &path,
                    json!({"settings": {"url": "https://hooks.example.com/more"}}),
                )
                .await,
            "checks_per_minute",
        );
        is_over(
            &admin.post(&format!("{path}/check"), json!({})).await,
            "checks_per_minute",
        );
        is_over(
            &admin.post("/v1/destinations/check", webhook("b")).await,
            "checks_per_minute",
        );
        is_over(
            &admin
                .post("/v1/oauth2/authorizations", authorization.clone())
                .await,
            "checks_per_minute",
        );
        is_over(
            &admin
                .post("/v1/host-keys", json!({"host": "sftp.example.com"}))
                .await,
            "checks_per_minute",
        );
    }
    assert_eq!(
        deployment.checks.load(std::sync::atomic::Ordering::Relaxed),
        5,
        "the worker was asked for nothing over the quota"
    );
    assert_eq!(
        admin.get("/v1/destinations").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        admin.get(&path).await.json()["settings"]["url"],
        "https://hooks.example.com/other"
    );
    assert_eq!(
        admin.patch(&path, json!({"name": "renamed"})).await.status,
        200,
        "what checks nothing is not limited"
    );
    assert_eq!(
        admin
            .post("/v1/destinations?skip_check=true", webhook("d"))
            .await
            .status,
        201
    );
    assert_eq!(
        admin.post(&format!("{path}/test"), json!({})).await.status,
        202,
        "tests have a limit of their own"
    );
    deployment
        .now_ms
        .fetch_add(60_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        admin.post("/v1/destinations", webhook("c")).await.status,
        201
    );
}

#[tokio::test]
async fn previews_are_limited_by_the_minute() {
    let deployment = with_quotas(json!({"previews_per_minute": 3})).await;
    let admin = deployment.admin();
    let preview = json!({"type": "webhook", "settings": {"url": "https://hooks.example.com/in"}});
    for _ in 0..3 {
        assert_eq!(
            admin
                .post("/v1/destinations/preview", preview.clone())
                .await
                .status,
            200
        );
    }
    is_over(
        &admin.post("/v1/destinations/preview", preview).await,
        "previews_per_minute",
    );
}

#[tokio::test]
async fn outstanding_uploads_are_limited_until_a_message_uses_them_or_they_expire() {
    let deployment = with_quotas(json!({"upload_bytes_outstanding": 100})).await;
    let admin = deployment.admin();
    let upload = |bytes: u64| json!({"content_type": "text/csv", "size_bytes": bytes});
    assert_eq!(admin.post("/v1/uploads", upload(60)).await.status, 201);
    is_over(
        &admin.post("/v1/uploads", upload(41)).await,
        "upload_bytes_outstanding",
    );
    is_over(
        &admin.post("/v1/uploads", upload(101)).await,
        "upload_bytes_outstanding",
    );
    assert_eq!(admin.post("/v1/uploads", upload(40)).await.status, 201);
    is_over(
        &admin.post("/v1/uploads", upload(1)).await,
        "upload_bytes_outstanding",
    );
    deployment
        .now_ms
        .fetch_add(86_400_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        admin.post("/v1/uploads", upload(100)).await.status,
        201,
        "those that cannot be put any more do not count"
    );
}

#[tokio::test]
async fn where_quotas_are_off_nothing_is_limited() {
    let deployment = Deployment::new().await;
    let path = format!("/v1/organizations/{}", deployment.organization);
    let quotas = json!({"requests_per_second": 1, "checks_per_minute": 1, "previews_per_minute": 1,
        "upload_bytes_outstanding": 1});
    deployment
        .operator()
        .patch(&path, json!({"quotas": quotas}))
        .await;
    for _ in 0..10 {
        assert_eq!(
            deployment
                .admin()
                .post("/v1/destinations/check", webhook("a"))
                .await
                .status,
            200
        );
    }
}

/// What quotas add to the cost of a message: at most 0.1 write units.
#[tokio::test]
async fn keeping_count_costs_at_most_a_tenth_of_a_write_unit_a_message() {
    let units = |deployment: &Deployment| {
        let recorder = deployment.engines.record();
        move || {
            recorder
                .take()
                .iter()
                .map(local_aws::Call::write_units)
                .sum::<f64>()
        }
    };
    for (single, fan_out) in [(true, 1), (true, 7), (false, 1), (false, 7)] {
        let mut costs = Vec::new();
        for limits in ["on", "off"] {
            let deployment =
                Deployment::with(&[("RATE_LIMITS", limits), ("REQUESTS_PER_SECOND", "100000")])
                    .await;
            let admin = deployment.admin();
            let targets = destinations(&admin, fan_out).await;
            let cost = units(&deployment);
            if single {
                for _ in 0..160 {
                    assert_eq!(
                        admin.post("/v1/messages", message(&targets)).await.status,
                        202
                    );
                }
            } else {
                for _ in 0..4 {
                    assert_eq!(
                        admin
                            .post(
                                "/v1/messages/batch",
                                json!({"messages": vec![message(&targets); 40]})
                            )
                            .await
                            .status,
                        202
                    );
                }
            }
            costs.push(cost());
        }
        let a_message = (costs[0] - costs[1]) / 160.0;
        assert!(
            (0.0..=0.1).contains(&a_message),
            "{a_message} write units a message, to {fan_out}: {costs:?}"
        );
    }
}

#[tokio::test]
async fn the_limit_on_keys_holds_when_many_are_made_at_once() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let make = |n: usize| {
        let admin = admin.clone();
        async move {
            admin
                .post(
                    "/v1/api-keys",
                    json!({"name": n.to_string(), "role": "viewer"}),
                )
                .await
        }
    };
    let mut statuses = Vec::new();
    for group in 0..12 {
        let made = futures_util::future::join_all((0..10).map(|n| make(group * 10 + n))).await;
        statuses.extend(made.iter().map(|answer| answer.status));
        assert!(
            made.iter()
                .all(|answer| answer.status == 201 || answer.code() == "limit_reached")
        );
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        99,
        "one was there"
    );
}

#[tokio::test]
async fn a_suspended_organization_announces_no_uploads_and_makes_no_keys() {
    let deployment = Deployment::new().await;
    let path = format!("/v1/organizations/{}", deployment.organization);
    deployment
        .operator()
        .patch(&path, json!({"status": "suspended"}))
        .await;
    let admin = deployment.admin();
    let upload = admin
        .post(
            "/v1/uploads",
            json!({"content_type": "text/csv", "size_bytes": 1}),
        )
        .await;
    assert_eq!(
        (upload.status, &*upload.code()),
        (403, "organization_suspended")
    );
    let key = admin
        .post("/v1/api-keys", json!({"name": "a", "role": "viewer"}))
        .await;
    assert_eq!((key.status, &*key.code()), (403, "organization_suspended"));
    deployment
        .operator()
        .patch(&path, json!({"status": "active"}))
        .await;
    assert_eq!(
        admin
            .post("/v1/api-keys", json!({"name": "a", "role": "viewer"}))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn the_last_admin_key_does_not_revoke_itself() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let own = admin.get("/v1/api-keys").await.json()["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/api-keys/{own}");
    let soon = "2025-11-24T16:00:10Z";
    for (role, expires_at) in [("manager", None), ("admin", Some(soon))] {
        let made = admin
            .post(
                "/v1/api-keys",
                json!({"name": role, "role": role, "expires_at": expires_at}),
            )
            .await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    deployment
        .now_ms
        .fetch_add(20_000, std::sync::atomic::Ordering::Relaxed);
    let refused = admin.delete(&path).await;
    assert_eq!(
        (refused.status, &*refused.code()),
        (409, "last_admin_key"),
        "an expired one does not count"
    );
    let second = deployment.role("admin").await;
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(admin.get("/v1/api-keys").await.status, 401);
    let id = second.get("/v1/api-keys").await.json();
    let id = id["data"]
        .as_array()
        .unwrap()
        .iter()
        .rfind(|key| key["role"] == "admin")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        second.delete(&format!("/v1/api-keys/{id}")).await.code(),
        "last_admin_key"
    );
    let by_operator = format!(
        "/v1/api-keys/{id}?organization_id={}",
        deployment.organization
    );
    assert_eq!(
        deployment.operator().delete(&by_operator).await.status,
        204,
        "the operator can make the next"
    );
}

#[tokio::test]
async fn a_compressed_body_is_refused_by_the_name_of_its_coding() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    for coding in ["gzip", "br", "deflate, gzip"] {
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        for (method, path) in [
            ("POST", "/v1/messages"),
            ("POST", "/v1/destinations"),
            ("PATCH", "/v1/organization"),
        ] {
            let answer = admin
                .request(method, path, &headers, Body::from(vec![0x1f, 0x8b, 8, 0]))
                .await;
            assert_eq!(
                (answer.status, &*answer.code()),
                (415, "unsupported_media_type"),
                "{method} {path}"
            );
            assert!(
                answer.json()["detail"].as_str().unwrap().contains(coding),
                "{answer:?}"
            );
        }
    }
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "identity"),
    ];
    assert_eq!(
        admin
            .request("PATCH", "/v1/organization", &headers, Body::from("{}"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_name_that_reads_as_another_is_refused() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    for name in ["\u{202e}gnp.exe", "a\u{2067}b", "a\nb", "a\u{200f}"] {
        let bodies = [
            (
                "/v1/destinations",
                json!({"type": "webhook", "name": name,
                    "settings": {"url": "https://hooks.example.com/in"}}),
                "/name",
            ),
            (
                "/v1/api-keys",
                json!({"name": name, "role": "viewer"}),
                "/name",
            ),
            (
                "/v1/portal-links",
                json!({"role": "viewer", "subject": {"name": name}}),
                "/subject/name",
            ),
            (
                "/v1/uploads",
                json!({"content_type": "text/csv", "size_bytes": 1, "filename": name}),
                "/filename",
            ),
        ];
        for (path, body, pointer) in bodies {
            let answer = admin.post(path, body).await;
            let expected = (
                422,
                "validation_failed".to_owned(),
                vec![format!("{pointer}: invalid_format")],
            );
            assert_eq!(answer.refusal(), expected, "{path} {name:?}");
        }
        let patched = admin.patch("/v1/organization", json!({"name": name})).await;
        assert_eq!(patched.status, 422, "{name:?}");
    }
}

#[tokio::test]
async fn a_blocked_literal_is_recorded_with_its_address_wherever_it_is_sent() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let custom = json!({"provider": "custom", "client_id": "a", "client_secret": "b",
        "authorize_url": "https://id.example.com/a",
        "token_url": "https://169.254.169.254/token"});
    let requests = [
        ("/v1/host-keys", json!({"host": "169.254.169.254"})),
        ("/v1/oauth2/authorizations", custom),
        (
            "/v1/destinations/preview",
            json!({"type": "webhook", "settings": {"url": "https://169.254.169.254/"}}),
        ),
        (
            "/v1/destinations",
            json!({"type": "webhook", "name": "a",
                "settings": {"url": "https://169.254.169.254/"}}),
        ),
    ];
    for (count, (path, body)) in (1..).zip(requests) {
        assert_eq!(admin.post(path, body).await.status, 422, "{path}");
        let trail = admin
            .get("/v1/audit-events?action=blocked_address")
            .await
            .json();
        assert_eq!(trail["data"].as_array().unwrap().len(), count, "{path}");
        assert!(
            trail["data"][0].to_string().contains("169.254.169.254"),
            "{path}: {}",
            trail["data"][0]
        );
    }
}

#[tokio::test]
async fn an_authorization_s_address_is_not_replayed() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let body = json!({"provider": "google", "client_id": "app", "client_secret": "s3cret"});
    let first = admin
        .post_once("/v1/oauth2/authorizations", "k", body.clone())
        .await;
    assert_eq!(first.status, 201);
    assert!(
        first.json()["url"]
            .as_str()
            .unwrap()
            .starts_with("https://")
    );
    let again = admin
        .post_once("/v1/oauth2/authorizations", "k", body)
        .await;
    assert_eq!(
        (again.status, &again.json()["url"], &again.json()["id"]),
        (201, &Value::Null, &first.json()["id"])
    );
}

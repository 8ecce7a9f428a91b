//! `/v1/destinations`.

use std::sync::atomic::Ordering;

use axum::body::Body;
use serde_json::{Value, json};

use crate::fixture::{Deployment, SECRET, masked, refused, webhook};

fn path(destination: &Value) -> String {
    format!("/v1/destinations/{}", destination["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_destination_is_checked_saved_and_read_without_its_secrets() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let mut body = webhook("Billing");
    body["credentials"] =
        json!({"kind": "api_key", "header": "X-Key", "value": "0123456789abcdefWXYZ"});
    body["event_types"] = json!(["invoice.*"]);
    let made = admin.post("/v1/destinations", body).await;
    assert_eq!(
        (made.status, deployment.checks.load(Ordering::Relaxed)),
        (201, 1)
    );
    let made = made.json();
    assert!(
        made["signing_secret"]
            .as_str()
            .unwrap()
            .starts_with("whsec_")
    );
    let read = admin.get(&path(&made)).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    let text = String::from_utf8_lossy(&read.bytes).into_owned();
    assert!(!text.contains("0123456789abcdef") && !text.contains("whsec_"));
    insta::assert_json_snapshot!(masked(read.json()));
    assert_eq!(
        read.json()["url"],
        format!(
            "http://waybill.example/destinations/{}",
            made["id"].as_str().unwrap()
        )
    );
}

#[tokio::test]
async fn a_destination_that_fails_its_check_is_not_saved() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let mut body = webhook("Down");
    body["settings"]["url"] = "https://refuses.example.com/".into();
    let answer = admin.post("/v1/destinations", body.clone()).await;
    insta::assert_json_snapshot!("connection_check_failed", answer.problem());
    assert_eq!(
        admin.get("/v1/destinations").await.json()["data"],
        json!([])
    );
    let checked = admin.post("/v1/destinations/check", body.clone()).await;
    assert_eq!(
        (checked.status, &checked.json()["check"]["ok"]),
        (200, &json!(false))
    );
    let skipped = admin.post("/v1/destinations?skip_check=true", body).await;
    assert_eq!(
        (skipped.status, &skipped.json()["verified_at"]),
        (201, &Value::Null)
    );
    let trail = admin
        .get("/v1/audit-events?action=destination.created")
        .await
        .json();
    assert_eq!(trail["data"][0]["changes"][0]["path"], "/skip_check");
    let again = admin
        .post(&format!("{}/check", path(&skipped.json())), json!({}))
        .await;
    assert_eq!(
        (again.status, &again.json()["check"]["steps"][1]["name"]),
        (200, &json!("connect"))
    );
}

#[tokio::test]
async fn all_mistakes_are_named_at_once() {
    let deployment = Deployment::new().await;
    let body = json!({
        "type": "webhook", "colour": "red", "event_types": ["a..b"],
        "retry_policy": {"max_retries": 21},
        "settings": {"url": "http://169.254.169.254/", "headers": {"Host": "x", "X-A": "a\r\nb"},
            "timeout_seconds": 0},
        "credentials": {"kind": "bearer", "token": {"set": true}},
        "signing_secret": "whsec_c2hvcnQ=",
    });
    let answer = deployment.admin().post("/v1/destinations", body).await;
    insta::assert_json_snapshot!(answer.problem());
}

#[tokio::test]
async fn literal_inner_addresses_are_refused_whatever_their_spelling() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "169.254.169.254",
        "10.0.0.1.",
    ] {
        let body = json!({"type": "webhook", "name": "x",
            "settings": {"url": format!("https://{host}/")}});
        let answer = admin.post("/v1/destinations?skip_check=true", body).await;
        assert_eq!(
            answer.refusal(),
            refused(
                422,
                "validation_failed",
                &["/settings/url: blocked_address"]
            ),
            "{host}"
        );
    }
    for url in [
        "https://user:pass@example.com/",
        "https://example.com:0/",
        "https://a..example.com/",
        "ftp://example.com/",
        "http://example.com/",
    ] {
        let body = json!({"type": "webhook", "name": "x", "settings": {"url": url}});
        let answer = admin.post("/v1/destinations", body).await;
        assert_eq!(
            answer.refusal(),
            refused(422, "validation_failed", &["/settings/url: invalid_format"]),
            "{url}"
        );
    }
    let allowing = Deployment::with(&[
        ("EGRESS_ALLOW", "127.0.0.0/8"),
        ("ALLOW_PLAIN_HTTP", "true"),
    ])
    .await;
    let body =
        json!({"type": "webhook", "name": "x", "settings": {"url": "http://127.0.0.1:9000/"}});
    assert_eq!(
        allowing.admin().post("/v1/destinations", body).await.status,
        201
    );
}

#[tokio::test]
async fn a_patch_merges_and_a_replaced_revision_is_a_conflict() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let made = admin.destination("a").await;
    let path = path(&made);
    let checks = deployment.checks.load(Ordering::Relaxed);
    let renamed = admin
        .patch(&path, json!({"name": "b", "description": "d"}))
        .await;
    assert_eq!(
        (renamed.header("etag"), &renamed.json()["name"]),
        (Some("\"2\""), &json!("b"))
    );
    assert_eq!(
        deployment.checks.load(Ordering::Relaxed),
        checks,
        "a name needs no check"
    );
    let settings = admin
        .patch(
            &path,
            json!({"settings": {"headers": {"X-A": "1"}, "timeout_seconds": 20}}),
        )
        .await
        .json();
    assert_eq!(
        (
            &settings["settings"]["headers"],
            &settings["settings"]["url"]
        ),
        (&json!({"X-A": "1"}), &made["settings"]["url"])
    );
    assert_eq!(deployment.checks.load(Ordering::Relaxed), checks + 1);
    let dropped = admin
        .patch(
            &path,
            json!({"settings": {"timeout_seconds": null}, "description": null}),
        )
        .await
        .json();
    assert_eq!(
        (
            &dropped["settings"]["timeout_seconds"],
            &dropped["description"]
        ),
        (&json!(15), &Value::Null)
    );
    let revision = dropped["revision"].as_u64().unwrap();
    assert_eq!(
        admin.patch(&path, json!({})).await.json()["revision"],
        revision,
        "an empty patch changes nothing"
    );
    let stale = [("content-type", "application/json"), ("if-match", "\"1\"")];
    let conflict = admin
        .request("PATCH", &path, &stale, Body::from(r#"{"name": "c"}"#))
        .await;
    assert_eq!(conflict.refusal(), refused(412, "revision_conflict", &[]));
    let etag = format!("\"{revision}\"");
    let fresh = [("content-type", "application/json"), ("if-match", &*etag)];
    assert_eq!(
        admin
            .request("PATCH", &path, &fresh, Body::from(r#"{"name": "c"}"#))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_patch_that_moves_a_destination_carries_every_secret_again() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let mut body = webhook("a");
    body["credentials"] = json!({"kind": "bearer", "token": "secret"});
    let path = path(&admin.post("/v1/destinations", body).await.json());
    let same_place = json!({"settings": {"url": "https://hooks.example.com:443/other"}});
    assert_eq!(admin.patch(&path, same_place).await.status, 200);
    let moved = json!({"settings": {"url": "https://elsewhere.example.com/"}});
    assert_eq!(
        admin.patch(&path, moved).await.refusal(),
        refused(
            422,
            "credentials_required",
            &["/credentials/token: required"]
        )
    );
    let again = json!({"settings": {"url": "https://elsewhere.example.com/"},
        "credentials": {"token": "secret"}});
    assert_eq!(admin.patch(&path, again).await.status, 200);
    let masked = admin
        .patch(
            &path,
            json!({"credentials": {"token": {"set": true, "hint": null}}}),
        )
        .await;
    assert_eq!(
        masked.refusal(),
        refused(422, "masked_value", &["/credentials/token: masked_value"])
    );
    let read_only = admin
        .patch(&path, json!({"id": "dst_x", "type": "email"}))
        .await;
    assert_eq!(
        read_only.refusal(),
        refused(422, "read_only", &["/type: read_only", "/id: read_only"])
    );
    let replaced = admin
        .patch(&path, json!({"credentials": {"kind": "none"}}))
        .await
        .json();
    assert_eq!(replaced["credentials"], json!({"kind": "none"}));
}

#[tokio::test]
async fn a_rotation_reports_its_mistakes_before_the_conflict() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let settings = json!({"host": "files.example.com", "username": "u",
        "host_key": format!("SHA256:{}E", "A".repeat(42))});
    let made = admin
        .post(
            "/v1/destinations",
            json!({"type": "sftp", "name": "Files", "settings": settings,
                "credentials": {"kind": "password", "password": "secret"}}),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.json());
    let rotate = format!("{}/rotate-secret", path(&made.json()));
    let mistaken = admin.post(&rotate, json!({"overlap_seconds": -1})).await;
    assert_eq!(
        mistaken.refusal(),
        refused(
            422,
            "validation_failed",
            &["/overlap_seconds: out_of_range"]
        )
    );
    let conflict = admin.post(&rotate, json!({})).await;
    assert_eq!(conflict.refusal(), refused(409, "not_signed", &[]));
}

#[tokio::test]
async fn a_patched_host_key_takes_the_place_of_all_pinned_ones() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let [one, two, three] = ["E", "I", "M"].map(|last| format!("SHA256:{}{last}", "A".repeat(42)));
    let credentials = json!({"kind": "password", "password": "secret"});
    let settings = json!({"host": "files.example.com", "username": "u", "host_keys": [one, two]});
    let body =
        json!({"type": "sftp", "name": "Files", "settings": settings, "credentials": credentials});
    let made = admin.post("/v1/destinations", body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let path = path(&made.json());

    let alone = admin
        .patch(&path, json!({"settings": {"host_key": three}}))
        .await;
    assert_eq!(
        alone.refusal(),
        refused(
            422,
            "credentials_required",
            &["/credentials/password: required"]
        )
    );
    let patched = admin
        .patch(
            &path,
            json!({"settings": {"host_key": three}, "credentials": credentials}),
        )
        .await;
    assert_eq!(
        (patched.status, &patched.json()["settings"]["host_keys"]),
        (200, &json!([three]))
    );

    let both =
        json!({"settings": {"host_key": one, "host_keys": [two]}, "credentials": credentials});
    assert_eq!(
        admin.patch(&path, both).await.status,
        422,
        "two names for one setting"
    );
    let unchanged = admin
        .patch(&path, json!({"settings": {"host_key": null}}))
        .await;
    assert_eq!(
        (unchanged.status, &unchanged.json()["settings"]["host_keys"]),
        (200, &json!([three]))
    );
}

#[tokio::test]
async fn headers_that_carry_secrets_belong_to_the_credentials() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    for name in [
        "Authorization",
        "COOKIE",
        "X-Api-Key",
        "Proxy-Authorization",
        "X-Auth-Token",
        "Api_Key",
        "X-Client-Secret",
    ] {
        let mut body = webhook("a");
        body["settings"]["headers"] = json!({name: "s3cret", "X-Team": "billing"});
        let expected = refused(
            422,
            "validation_failed",
            &[&format!("/settings/headers/{name}: reserved")],
        );
        let refusal = admin.post("/v1/destinations", body).await;
        assert_eq!(refusal.refusal(), expected, "{name}");
        assert!(
            !String::from_utf8_lossy(&refusal.bytes).contains("s3cret"),
            "{name}"
        );
    }
    let path = path(&admin.destination("b").await);
    let patched = admin
        .patch(
            &path,
            json!({"settings": {"headers": {"x-api-key": "s3cret"}}}),
        )
        .await;
    assert_eq!(
        patched.refusal(),
        refused(
            422,
            "validation_failed",
            &["/settings/headers/x-api-key: reserved"]
        )
    );
    let mut body = webhook("c");
    body["credentials"] = json!({"kind": "headers", "headers": {"X-Api-Key": "s3cret"}});
    assert_eq!(admin.post("/v1/destinations", body).await.status, 201);
}

#[tokio::test]
async fn a_deleted_destination_is_not_found() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let path = path(&admin.destination("a").await);
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(admin.get(&path).await.status, 404);
    assert_eq!(admin.delete(&path).await.status, 404);
    assert_eq!(
        admin.get("/v1/destinations").await.json()["data"],
        json!([])
    );
}

#[tokio::test]
async fn disabling_and_enabling_are_idempotent() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let path = path(&admin.destination("a").await);
    let disabled = admin
        .post(&format!("{path}/disable"), json!({"reason": "maintenance"}))
        .await;
    let disabled = disabled.json();
    assert_eq!(
        (
            &disabled["status"],
            &disabled["disabled"]["by"],
            &disabled["disabled"]["reason"]
        ),
        (&json!("disabled"), &json!("user"), &json!("maintenance"))
    );
    let again = admin
        .request("POST", &format!("{path}/disable"), &[], Body::empty())
        .await;
    assert_eq!(
        (again.status, &again.json()["revision"]),
        (200, &disabled["revision"])
    );
    assert_eq!(
        admin.get("/v1/destinations?status=enabled").await.json()["data"],
        json!([])
    );
    let enabled = admin
        .request("POST", &format!("{path}/enable"), &[], Body::empty())
        .await
        .json();
    assert_eq!(
        (&enabled["status"], &enabled["disabled"]),
        (&json!("enabled"), &Value::Null)
    );
}

#[tokio::test]
async fn secrets_rotate_with_an_overlap_and_end_early() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let path = path(&admin.destination("a").await);
    let rotate = async |body: Value| admin.post(&format!("{path}/rotate-secret"), body).await;
    let first = rotate(json!({})).await.json();
    assert!(
        first["signing_secret"]
            .as_str()
            .unwrap()
            .starts_with("whsec_")
    );
    assert_eq!(first["previous_valid_until"], "2025-11-25T16:00:00.002Z");
    let brought =
        rotate(json!({"secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "overlap_seconds": 60}))
            .await
            .json();
    assert!(brought.get("signing_secret").is_none());
    let secrets = admin.get(&path).await.json()["signing_secrets"].clone();
    assert_eq!(
        secrets
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["source"].clone())
            .collect::<Vec<_>>(),
        ["provided", "generated", "generated"]
    );
    for _ in 0..2 {
        assert_eq!(rotate(json!({})).await.status, 200);
    }
    assert_eq!(
        rotate(json!({})).await.refusal(),
        refused(409, "too_many_secrets", &[])
    );
    let last = rotate(json!({"overlap_seconds": 0})).await.json();
    assert_eq!(last["previous_valid_until"], Value::Null);
    let secret = admin.get(&path).await.json()["signing_secrets"][0]["id"].clone();
    let secret_path = format!("{path}/signing-secrets/{}", secret.as_str().unwrap());
    assert_eq!(
        admin.delete(&secret_path).await.refusal(),
        refused(409, "last_secret", &[])
    );
    rotate(json!({})).await;
    assert_eq!(admin.delete(&secret_path).await.status, 204);
    assert_eq!(admin.delete(&secret_path).await.status, 404);
    let refusal = rotate(json!({"secret": "sk_live", "overlap_seconds": 700_000, "force": true}))
        .await
        .refusal();
    assert_eq!(
        refusal,
        refused(
            422,
            "validation_failed",
            &[
                "/secret: invalid_format",
                "/overlap_seconds: out_of_range",
                "/force: unknown_field"
            ]
        )
    );
}

#[tokio::test]
async fn a_secret_in_secrets_manager_must_be_granted() {
    let deployment = Deployment::new().await;
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:theirs-AbCdEf";
    let mut body = webhook("a");
    body["signing_secret"] = json!({"secret_arn": arn});
    let refusal = deployment
        .admin()
        .post("/v1/destinations", body.clone())
        .await
        .refusal();
    assert_eq!(
        refusal,
        refused(
            422,
            "validation_failed",
            &["/signing_secret/secret_arn: invalid_value"]
        )
    );
    let path = format!("/v1/organizations/{}", deployment.organization);
    deployment
        .operator()
        .patch(&path, json!({"grants": {"secret_arns": [arn]}}))
        .await;
    let made = deployment.admin().post("/v1/destinations", body).await;
    assert_eq!(
        (made.status, &made.json()["signing_secrets"][0]["source"]),
        (201, &json!("secrets_manager"))
    );
}

#[tokio::test]
async fn a_secret_in_secrets_manager_may_be_read_by_a_role_of_the_customers() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:theirs-AbCdEf";
    let role = "arn:aws:iam::123456789012:role/waybill";
    let mut body = webhook("a");
    body["signing_secret"] = json!({"secret_arn": arn, "role_arn": role});
    let made = admin.post("/v1/destinations", body.clone()).await;
    assert_eq!(
        (made.status, &made.json()["signing_secrets"][0]["source"]),
        (201, &json!("secrets_manager"))
    );
    let rotate = format!("{}/rotate-secret", path(&made.json()));
    assert_eq!(
        admin
            .post(
                &rotate,
                json!({"secret": {"secret_arn": arn, "role_arn": role}})
            )
            .await
            .status,
        200
    );

    let own_role = "arn:aws:iam::000000000000:role/waybill-ApiRole";
    for (secret, mistakes) in [
        (
            json!({"secret_arn": arn, "role_arn": own_role}),
            ["/signing_secret/role_arn: reserved"].as_slice(),
        ),
        (
            json!({"secret_arn": arn, "role_arn": "arn:aws:iam::123456789012:role/*"}),
            &["/signing_secret/role_arn: invalid_format"],
        ),
        (
            json!({"secret_arn": arn, "role_arn": 1}),
            &["/signing_secret/role_arn: invalid_type"],
        ),
        (
            json!({"role_arn": role}),
            &["/signing_secret/secret_arn: required"],
        ),
        (
            json!({"secret_arn": "arn:aws:secretsmanager:evil.example/:123456789012:secret:a"}),
            &["/signing_secret/secret_arn: invalid_format"],
        ),
        (
            json!({"secret_arn": arn, "role": role}),
            &["/signing_secret/role: unknown_field"],
        ),
    ] {
        body["signing_secret"] = secret.clone();
        assert_eq!(
            admin.post("/v1/destinations", body.clone()).await.refusal(),
            refused(422, "validation_failed", mistakes),
            "{secret}"
        );
    }
}

#[tokio::test]
async fn waybills_own_secrets_are_neither_named_nor_granted_also_by_a_partial_arn() {
    let deployment = Deployment::new().await;
    let own = deployment.engines.secret_arn(SECRET).unwrap().to_owned();
    let partial = own.rsplit_once('-').unwrap().0.to_owned();
    let organization = format!("/v1/organizations/{}", deployment.organization);
    for arn in [own, partial] {
        let refusal = deployment
            .operator()
            .patch(&organization, json!({"grants": {"secret_arns": [arn]}}))
            .await
            .refusal();
        assert_eq!(
            refusal,
            refused(
                422,
                "validation_failed",
                &["/grants/secret_arns/0: reserved"]
            ),
            "{arn}"
        );
        for role in [Value::Null, json!("arn:aws:iam::123456789012:role/waybill")] {
            let mut body = webhook("a");
            body["signing_secret"] = json!({"secret_arn": arn, "role_arn": role});
            let refusal = deployment
                .admin()
                .post("/v1/destinations", body)
                .await
                .refusal();
            assert_eq!(
                refusal,
                refused(
                    422,
                    "validation_failed",
                    &["/signing_secret/secret_arn: reserved"]
                ),
                "{arn} {role}"
            );
        }
    }
}

#[tokio::test]
async fn a_test_is_a_message_for_one_destination_even_a_disabled_one() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let path = path(&admin.destination("a").await);
    admin.post(&format!("{path}/disable"), json!({})).await;
    let test = admin
        .request("POST", &format!("{path}/test"), &[], Body::empty())
        .await;
    assert_eq!(test.status, 202);
    let test = test.json();
    assert_eq!(
        (
            &test["event_type"],
            &test["deliveries"][0]["test"],
            &test["status"]
        ),
        (&json!("waybill.test"), &json!(true), &json!("pending"))
    );
    let own = admin
        .post(
            &format!("{path}/test"),
            json!({"event_type": "my.test", "payload": [1]}),
        )
        .await
        .json();
    assert_eq!(
        (&own["event_type"], &own["payload_info"]["size_bytes"]),
        (&json!("my.test"), &json!(3))
    );
    let reserved = admin
        .post(&format!("{path}/test"), json!({"event_type": "waybill.x"}))
        .await;
    assert_eq!(
        reserved.refusal(),
        refused(422, "validation_failed", &["/event_type: reserved"])
    );
}

#[tokio::test]
async fn checks_and_tests_are_limited_each_on_its_own() {
    let deployment = Deployment::with(&[("RATE_LIMITS", "on")]).await;
    let admin = deployment.admin();
    let path = path(&admin.destination("a").await);
    for _ in 0..29 {
        assert_eq!(
            admin.post(&format!("{path}/check"), json!({})).await.status,
            200
        );
    }
    let limited = admin.post("/v1/destinations/check", webhook("b")).await;
    assert_eq!(limited.refusal(), refused(429, "rate_limited", &[]));
    assert!(
        limited
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            <= 60
    );
    assert_eq!(
        admin.post(&format!("{path}/test"), json!({})).await.status,
        202
    );
    assert_eq!(
        admin.post("/v1/destinations", webhook("c")).await.status,
        429,
        "saving checks, too"
    );
}

#[tokio::test]
async fn the_list_walks_every_destination_once() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    for n in 0..5 {
        admin.destination(&n.to_string()).await;
    }
    let mut names = Vec::new();
    let mut path = "/v1/destinations?limit=2&include=health".to_owned();
    loop {
        let page = admin.get(&path).await.json();
        names.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|d| d["name"].as_str().unwrap().to_owned()),
        );
        assert_eq!(page["data"][0]["health"]["status"], "unknown");
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/destinations?limit=2&include=health&cursor={cursor}");
    }
    assert_eq!(names, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn destination_types_are_described() {
    let deployment = Deployment::new().await;
    insta::assert_json_snapshot!(deployment.admin().get("/v1/destination-types").await.json());
}

#[tokio::test]
async fn a_blocked_address_is_recorded_when_it_is_saved_changed_or_tried() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let blocked =
        json!({"type": "webhook", "name": "a", "settings": {"url": "https://169.254.169.254/"}});
    for path in [
        "/v1/destinations",
        "/v1/destinations?skip_check=true",
        "/v1/destinations/check",
    ] {
        assert_eq!(
            admin.post(path, blocked.clone()).await.refusal(),
            refused(
                422,
                "validation_failed",
                &["/settings/url: blocked_address"]
            )
        );
    }
    let saved = admin.destination("b").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let patched = admin
        .patch(
            &format!("/v1/destinations/{saved}"),
            json!({"settings": {"url": "https://[::1]/"}}),
        )
        .await;
    assert_eq!(patched.status, 422);
    let trail = admin
        .get("/v1/audit-events?action=blocked_address")
        .await
        .json();
    let lines = trail["data"].as_array().unwrap();
    assert_eq!(
        (
            lines.len(),
            &lines[0]["outcome"],
            &lines[0]["actor"]["kind"]
        ),
        (4, &json!("denied"), &json!("key")),
        "{trail}"
    );
}

/// What a step says in words decides nothing: its reason does.
#[tokio::test]
async fn a_blocked_address_that_a_check_finds_is_recorded_by_its_reason_alone() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    for (host, audited) in [("refuses", 0), ("resolves-inside", 1)] {
        let url =
            format!("https://{host}.example.com/is-not-an-address-that-Waybill-may-connect-to");
        let answer = admin
            .post(
                "/v1/destinations",
                json!({"type": "webhook", "name": "a", "settings": {"url": url}}),
            )
            .await;
        assert_eq!(
            answer.refusal(),
            refused(422, "connection_check_failed", &[])
        );
        let trail = admin
            .get("/v1/audit-events?action=blocked_address")
            .await
            .json();
        assert_eq!(trail["data"].as_array().unwrap().len(), audited, "{trail}");
    }
}

//! What managers do: find failures, correct, create, retry, rotate and enable.

use std::time::Duration;

use kit::postgres::Postgres;
use kit::sink::{Reply, Sink};
use kit::sshd::{self, Sshd};
use kit::tls::Authority;
use kit::verifier::{Signed, Verifier};
use serde_json::{Value, json};

use crate::stage::{self, does, key};

#[tokio::test]
async fn the_reason_of_a_failure_is_found_and_the_credentials_are_corrected() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let crm = sink.path("/crm");
    // Five deliveries and the first guess at the new token.
    crm.answers([401; 6].into_iter().chain([200]));
    let credentials = json!({"kind": "bearer", "token": "the-token-of-last-year"});
    let destination = acme
        .destination()
        .with("name", "CRM")
        .webhook(&crm)
        .credentials(credentials)
        .retries(0)
        .skip_check()
        .create()
        .await;
    for n in 0..5 {
        acme.send([&destination], json!({"n": n}))
            .await
            .delivery(0)
            .reaches("failed")
            .await;
    }
    does("mend", json!({"key": key(&acme)})).await;
    let sent = crm.requests();
    assert_eq!(
        sent.last().unwrap().header("authorization"),
        Some("Bearer the-right-token")
    );
    acme.send([&destination], json!(1))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
}

#[tokio::test]
async fn a_destination_of_each_type_is_made() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    let sftp = Sshd::start().await;
    let postgres = Postgres::start(&Authority::new(), &["localhost"]);
    postgres.sql(
        "postgres",
        "CREATE ROLE app LOGIN PASSWORD 'a-long-password'",
    );
    postgres.sql("postgres", "CREATE DATABASE app OWNER app");
    let types = json!({
        "webhook": {"card": "Webhook", "checked": true,
            "fields": {"settings.url": hook.url(),
                "settings.headers": "X-Team: data\nX-Env: test"}},
        "sftp": {"card": "SFTP", "checked": true, "fields": {
            "settings.host": "127.0.0.1", "settings.port": sftp.port.to_string(),
            "settings.username": sshd::USERNAME,
            "settings.host_keys": sftp.host_key("ed25519"),
            "credentials.password.password": sshd::PASSWORD}},
        "postgres": {"card": "PostgreSQL", "checked": false, "fields": {
            "settings.host": "localhost", "settings.port": postgres.port.to_string(),
            "settings.database": "app", "settings.table": "public.reports",
            "credentials.password.username": "app",
            "credentials.password.password": "a-long-password"},
            "choices": {"credentials.kind": "password"}},
        "mysql": {"card": "MySQL", "checked": false,
            "choices": {"credentials.kind": "connection_string"}, "fields": {
            "settings.table": "reports",
            "credentials.connection_string.connection_string": "mysql://app:secret-word@db.example.com/app"}},
        "email": {"card": "Email", "checked": false,
            "choices": {"settings.transport": "smtp", "credentials.kind": "smtp_password"},
            "fields": {
            "settings.transport.smtp.host": "mail.example.com",
            "settings.from": "Reports <reports@example.com>",
            "settings.to": "ann@example.com\nbob@example.com",
            "credentials.smtp_password.username": "reports",
            "credentials.smtp_password.password": "secret-word"}},
        "s3": {"card": "Amazon S3", "checked": false, "choices": {"credentials.kind": "access_key"},
            "fields": {
            "settings.bucket": "reports", "settings.region": "eu-west-1",
            "credentials.access_key.access_key_id": "AKIAEXAMPLE",
            "credentials.access_key.secret_access_key": "secret-secret-word"}},
        "gcs": {"card": "Google Cloud Storage", "checked": false, "fields": {
            "settings.bucket": "reports",
            "credentials.service_account.json": kit::gcs::stranger().to_string()}},
        "azure_blob": {"card": "Azure Blob Storage", "checked": false,
            "choices": {"credentials.kind": "account_key"}, "fields": {
            "settings.account": "acme", "settings.container": "reports",
            "credentials.account_key.account_key": "c2VjcmV0LXNlY3JldA=="}},
    });
    let made = does("create", json!({"key": key(&acme), "types": types})).await;
    let read = async |kind: &str| {
        acme.get(&format!(
            "/v1/destinations/{}",
            made[kind].as_str().unwrap()
        ))
        .await
        .ok(200)
    };
    let webhook = read("webhook").await;
    assert_eq!(
        webhook["settings"]["headers"],
        json!({"X-Team": "data", "X-Env": "test"})
    );
    assert!(webhook["verified_at"].is_string() && read("sftp").await["verified_at"].is_string());
    assert_eq!(
        read("email").await["settings"]["transport"],
        json!({"smtp": {"host": "mail.example.com", "port": 587, "security": "starttls"}})
    );
    assert_eq!(
        read("email").await["settings"]["to"],
        json!(["ann@example.com", "bob@example.com"])
    );
    assert_eq!(read("mysql").await["credentials"]["host"], "db.example.com");
    for kind in ["postgres", "s3", "gcs", "azure_blob"] {
        let destination = read(kind).await;
        assert_eq!(
            (&destination["type"], &destination["verified_at"]),
            (&json!(kind), &Value::Null)
        );
    }
    assert_eq!(hook.requests().len(), 1, "the webhook's check");
}

#[tokio::test]
async fn mistakes_are_shown_at_their_fields_with_and_without_scripts() {
    let acme = stage::organization("Acme").await;
    does("mistakes", json!({"key": key(&acme)})).await;
    assert_eq!(acme.list("/v1/destinations").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_delivery_is_watched_as_it_retries_and_succeeds() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    hook.answers([503, 503, 200]);
    let destination = acme
        .destination()
        .webhook(&hook)
        .skip_check()
        .create()
        .await;
    does(
        "watch",
        json!({"key": key(&acme), "destination": destination.id}),
    )
    .await;
}

#[tokio::test]
async fn one_is_retried_and_then_all_that_match() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    hook.answers([500; 6].into_iter().chain([200]));
    let destination = acme
        .destination()
        .webhook(&hook)
        .retries(0)
        .skip_check()
        .create()
        .await;
    for n in 0..6 {
        acme.send([&destination], json!({"n": n}))
            .await
            .delivery(0)
            .reaches("failed")
            .await;
    }
    does(
        "retry",
        json!({"key": key(&acme), "destination": destination.id, "left": 5}),
    )
    .await;
    assert_eq!(hook.count(), 12);
}

#[tokio::test]
async fn a_secret_is_rotated_and_both_sign_until_the_overlap_ends() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    let destination = acme
        .destination()
        .webhook(&hook)
        .skip_check()
        .create()
        .await;
    let old = destination.signing_secret().to_owned();
    let said = does(
        "rotate",
        json!({"key": key(&acme), "destination": destination.id}),
    )
    .await;
    acme.send([&destination], json!(1))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    let request = &hook.requests()[0];
    let signed = [
        Signed::received(said["secret"].as_str().unwrap(), request),
        Signed::received(&old, request),
    ];
    assert_eq!(Verifier::JavaScript.verdicts(&signed), [Ok(()), Ok(())]);
}

#[tokio::test]
async fn a_disabled_destination_is_enabled_and_what_it_missed_is_replayed() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    let destination = acme
        .destination()
        .with("name", "Warehouse")
        .webhook(&hook)
        .skip_check()
        .create()
        .await;
    acme.post(&format!("{}/disable", destination.path()), json!({}))
        .await
        .ok(200);
    for n in 0..3 {
        acme.send([&destination], json!({"n": n}))
            .await
            .delivery(0)
            .reaches("skipped")
            .await;
    }
    does(
        "enable",
        json!({"key": key(&acme), "destination": destination.id, "missed": 3}),
    )
    .await;
    assert_eq!(hook.count(), 3);
}

/// The tokens of a CRM were revoked: twelve deliveries failed, and the last one disabled the
/// destination.
#[tokio::test]
async fn missed_messages_of_a_disabled_destination_arrive_after_four_clicks() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let crm = sink.path("/crm");
    crm.answers([401; 12].into_iter().chain([200]));
    let destination = acme
        .destination()
        .with("name", "CRM")
        .with(
            "failure_policy",
            json!({"alert_after_failures": 5, "disable_after_failures": 12,
            "disable_min_failing_seconds": 0}),
        )
        .webhook(&crm)
        .credentials(json!({"kind": "bearer", "token": "the-token-of-last-year"}))
        .retries(0)
        .skip_check()
        .create()
        .await;
    for n in 0..12 {
        acme.send([&destination], json!({"n": n}))
            .await
            .delivery(0)
            .reaches("failed")
            .await;
    }
    let disabled = async {
        while destination.read().await["status"] != "disabled" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), disabled)
        .await
        .expect("the monitor disables it");
    let clicks = does(
        "story",
        json!({"key": key(&acme), "missed": 12, "destination": destination.id}),
    )
    .await;
    assert_eq!(clicks, 4);
    assert_eq!(
        crm.count(),
        12 + 1 + 12,
        "twelve failures, a check, and all twelve again"
    );
}

#[tokio::test]
async fn a_servers_host_keys_are_fetched_into_the_form() {
    let acme = stage::organization("Acme").await;
    let sftp = Sshd::start().await;
    let asked = acme
        .post(
            "/v1/host-keys",
            json!({"host": "127.0.0.1", "port": sftp.port}),
        )
        .await
        .ok(200);
    let first = &asked["host_keys"][0];
    let knows = json!({
        "key": key(&acme), "host": "127.0.0.1", "port": sftp.port.to_string(),
        "fingerprint": first["fingerprint"], "public_key": first["public_key"],
    });
    does("host_keys", knows).await;
}

#[tokio::test]
async fn a_mailbox_is_connected_by_a_persons_consent() {
    let acme = stage::organization("Acme").await;
    let provider = Sink::start().await;
    let token = provider.path("/token");
    let granted = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": "rt"});
    token.replies([Reply::status(200)
        .header("content-type", "application/json")
        .body(granted.to_string())]);
    let knows = json!({"key": key(&acme), "authorize_url": provider.path("/authorize").url(),
        "token_url": token.url()});
    does("mailbox", knows).await;
    assert_eq!(acme.audited("authorization.granted").await.len(), 1);
}

#[tokio::test]
async fn a_form_acts_once_and_keeps_what_was_typed() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    let hook = sink.path("/hook");
    hook.answers([410]);
    let destination = acme
        .destination()
        .webhook(&hook)
        .retries(0)
        .skip_check()
        .create()
        .await;
    let message = acme.send([&destination], json!(1)).await;
    let delivery = message.delivery(0).reaches("failed").await;
    acme.post(&format!("{}/disable", destination.path()), json!({}))
        .await
        .ok(200);
    does(
        "once",
        json!({"key": key(&acme), "destination": destination.id, "delivery": delivery["id"]}),
    )
    .await;
    assert_eq!(
        hook.count(),
        1,
        "nothing was sent by a form that was refused"
    );
}

#[tokio::test]
async fn a_recovering_destination_shows_its_next_check_and_the_forms_set_rate_and_recovery() {
    let acme = stage::organization("Acme").await;
    let sink = Sink::start().await;
    sink.answers([500]);
    let policy = json!({"alert_after_failures": 1, "disable_after_failures": 2,
        "disable_min_failing_seconds": 0, "auto_recover": true});
    let disabled = acme
        .destination()
        .webhook(&sink)
        .retries(0)
        .with("failure_policy", policy)
        .skip_check()
        .create()
        .await;
    let other = acme
        .destination()
        .webhook(&sink.path("/other"))
        .skip_check()
        .create()
        .await;
    for n in 0..2 {
        acme.send([&disabled], json!({"n": n}))
            .await
            .delivery(0)
            .reaches("failed")
            .await;
    }
    let waiting = async {
        while disabled.read().await["disabled"]["next_check_at"].is_null() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .expect("the monitor disables it");
    does(
        "recovery",
        json!({"key": key(&acme), "disabled": disabled.id, "other": other.id}),
    )
    .await;
    let changed = other.read().await["failure_policy"].clone();
    assert_eq!(
        (&changed["failure_rate"], &changed["auto_recover"]),
        (&json!(null), &json!(true))
    );
    let settings = acme.get("/v1/organization").await.ok(200)["settings"]["failure_policy"].clone();
    let rate = json!({"percent": 30, "window_seconds": 300, "min_attempts": 10});
    assert_eq!(
        (&settings["failure_rate"], &settings["auto_recover"]),
        (&rate, &json!(true))
    );
}

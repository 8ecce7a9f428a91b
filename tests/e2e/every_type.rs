//! Every type of destination with a real server, through the running process: the check, a
//! delivery, a repeated delivery, and refused credentials.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::Method;
use kit::azurite::{self, Azurite};
use kit::fetch::fetch;
use kit::file_s3::{self, FileS3};
use kit::gcs::{self, Gcs};
use kit::mariadb::MariaDb;
use kit::postgres::Postgres;
use kit::sshd::{self, Sshd};
use kit::stack::{Destination, NewDestination, Organization};
use kit::tls::Authority;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage;

/// A destination that works, and credentials that its server refuses.
struct Case {
    kind: &'static str,
    settings: Value,
    credentials: Value,
    wrong: Value,
}

impl Case {
    fn described(&self, acme: &Organization, credentials: &Value) -> NewDestination {
        acme.destination()
            .with("type", self.kind)
            .settings(self.settings.clone())
            .credentials(credentials.clone())
            .retries(0)
    }

    /// Creates the destination, delivers a message, delivers it again, and verifies that the check
    /// reports wrong credentials at the step `authenticate`.
    async fn plays(&self, acme: &Organization) -> (Destination, Value) {
        let destination = self.described(acme, &self.credentials).create().await;
        assert_eq!(destination.created["type"], self.kind);
        assert!(
            destination.created["verified_at"].is_string(),
            "{}",
            destination.created
        );
        let message = acme
            .send([&destination], json!({"n": 1, "text": "ü"}))
            .await;
        let delivery = message.delivery(0).reaches("succeeded").await;
        let path = format!("{}/retry", message.delivery(0).path());
        acme.post(&path, json!({"force": true})).await.ok(202);
        let again = loop {
            let again = message.delivery(0).read().await;
            if again["attempt_count"] == 2 && again["status"] == "succeeded" {
                break again;
            }
            assert_ne!(again["status"], "failed", "{again}");
            sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(again["tracking"]["kind"], delivery["tracking"]["kind"]);
        let body = acme
            .get(&format!("{}/body", message.delivery(0).path()))
            .await;
        assert_eq!(
            (body.text(), body.header("content-type")),
            (r#"{"n":1,"text":"ü"}"#, Some("application/json")),
            "{}",
            self.kind
        );

        let answer = self.described(acme, &self.wrong).asks().await;
        let problem = answer.problem(422, "connection_check_failed");
        assert_eq!(
            stage::failed_step(&problem["check"]),
            "authenticate",
            "{}: {problem}",
            self.kind
        );
        let refused = self
            .described(acme, &self.wrong)
            .skip_check()
            .create()
            .await;
        let refused = acme
            .send([&refused], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&refused["status"], &refused["reason"]),
            (&json!("failed"), &json!("authentication")),
            "{}: {refused}",
            self.kind
        );
        for secret in [&self.credentials, &self.wrong]
            .into_iter()
            .flat_map(secrets)
        {
            assert!(
                !destination.read().await.to_string().contains(&secret),
                "{}: a secret is shown",
                self.kind
            );
        }
        (destination, delivery)
    }
}

/// The long texts among credentials.
fn secrets(credentials: &Value) -> Vec<String> {
    const NAMES: [&str; 6] = [
        "password",
        "secret_access_key",
        "account_key",
        "sas_token",
        "private_key",
        "connection_string",
    ];
    NAMES
        .iter()
        .filter_map(|name| credentials[*name].as_str())
        .filter(|text| text.len() >= 8)
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn objects_reach_a_bucket_that_speaks_s3() {
    let acme = stage::organization("Acme").await;
    let server = FileS3::start().await;
    let settings = json!({"bucket": file_s3::BUCKET, "endpoint": server.endpoint,
        "region": "us-east-1", "key_template": "in/{{ event_type }}/{{ message_id }}.json"});
    let credentials = json!({"kind": "access_key", "access_key_id": file_s3::ACCESS_KEY_ID,
        "secret_access_key": file_s3::SECRET_ACCESS_KEY});
    let wrong = json!({"kind": "access_key", "access_key_id": file_s3::ACCESS_KEY_ID,
        "secret_access_key": "wrong-secret-access-key"});
    let case = Case {
        kind: "s3",
        settings,
        credentials,
        wrong,
    };
    let (_, delivery) = case.plays(&acme).await;
    let key = delivery["tracking"]["key"].as_str().unwrap();
    assert_eq!(
        std::fs::read_to_string(server.files().join(key)).unwrap(),
        r#"{"n":1,"text":"ü"}"#
    );
}

#[tokio::test]
async fn objects_reach_google_cloud_storage() {
    let acme = stage::organization("Acme").await;
    let server = Gcs::start().await;
    let credentials = json!({"kind": "service_account", "json": server.service_account});
    let wrong = json!({"kind": "service_account", "json": gcs::stranger()});
    let settings = json!({"bucket": gcs::BUCKET, "endpoint": server.endpoint});
    let (destination, delivery) = Case {
        kind: "gcs",
        settings,
        credentials,
        wrong,
    }
    .plays(&acme)
    .await;
    let key = delivery["tracking"]["key"].as_str().unwrap();
    assert_eq!(server.object(key).unwrap().bytes, r#"{"n":1,"text":"ü"}"#);
    let shown = destination.read().await["credentials"].to_string();
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}

#[tokio::test]
async fn objects_reach_azure_blob_storage() {
    let acme = stage::organization("Acme").await;
    let server = Azurite::start();
    server.make_container("reports").await;
    let settings =
        json!({"account": azurite::ACCOUNT, "container": "reports", "endpoint": server.endpoint});
    let other = BASE64.encode([7; 64]);
    let by_key = |key: &str| json!({"kind": "account_key", "account_key": key});
    let by_token =
        |key: &str| json!({"kind": "sas_token", "sas_token": azurite::sas("rwdlc", key)});
    let kinds = [
        (by_key(azurite::ACCOUNT_KEY), by_key(&other)),
        (by_token(azurite::ACCOUNT_KEY), by_token(&other)),
    ];
    for (credentials, wrong) in kinds {
        let (_, delivery) = Case {
            kind: "azure_blob",
            settings: settings.clone(),
            credentials,
            wrong,
        }
        .plays(&acme)
        .await;
        let key = delivery["tracking"]["key"].as_str().unwrap();
        let object = fetch(
            Method::GET,
            &format!("{}/reports/{key}", server.endpoint),
            &[],
            Bytes::new(),
        )
        .await;
        assert_eq!(object.text(), r#"{"n":1,"text":"ü"}"#);
    }
}

#[tokio::test]
async fn files_reach_an_sftp_server_behind_its_pinned_key() {
    let acme = stage::organization("Acme").await;
    let server = Sshd::start().await;
    let shown = acme
        .post(
            "/v1/host-keys",
            json!({"host": "127.0.0.1", "port": server.port}),
        )
        .await
        .ok(200);
    let keys = shown["host_keys"].as_array().unwrap();
    let pinned = keys
        .iter()
        .find(|key| key["algorithm"] == "ssh-ed25519")
        .unwrap()["fingerprint"]
        .clone();
    let settings = json!({"host": "127.0.0.1", "port": server.port, "username": sshd::USERNAME,
        "host_keys": [pinned],
        "directory_template": "in/{{ event_type }}", "filename_template": "{{ message_id }}.json"});
    let credentials = json!({"kind": "password", "password": sshd::PASSWORD});
    let wrong = json!({"kind": "password", "password": "wrong-password"});
    let case = Case {
        kind: "sftp",
        settings: settings.clone(),
        credentials: credentials.clone(),
        wrong,
    };
    case.plays(&acme).await;
    assert_eq!(
        server.names("in/report.ready").len(),
        1,
        "once, under its name alone"
    );

    let key = server.authorize_key("ed25519", "");
    let by_key = json!({"kind": "private_key", "private_key": key});
    let case = Case {
        settings: settings.clone(),
        credentials: by_key,
        ..case
    };
    case.described(&acme, &case.credentials).create().await;
    let garbage = json!({"kind": "private_key", "private_key": "-----BEGIN PRIVATE \
         KEY-----\nsecret-garbage"});
    let answer = case.described(&acme, &garbage).asks().await;
    assert_eq!(answer.mistakes(), ["/credentials/private_key"]);
    assert!(!answer.text().contains("secret-garbage"));
    // Another key than the pinned one ends the check before anything is sent.
    let mut other = settings;
    other["host_keys"] = json!(["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]);
    let answer = acme
        .destination()
        .with("type", "sftp")
        .settings(other)
        .credentials(credentials)
        .asks()
        .await;
    let problem = answer.problem(422, "connection_check_failed");
    assert_eq!(
        stage::failed_step(&problem["check"]),
        "host_key",
        "{problem}"
    );
}

#[tokio::test]
async fn rows_reach_databases_once() {
    let acme = stage::organization("Acme").await;
    let authority = Authority::new();
    let postgres = Postgres::start(&authority, &["localhost"]);
    postgres.sql(
        "postgres",
        "CREATE ROLE by_certificate; CREATE ROLE by_clear_text; CREATE ROLE by_md5; CREATE ROLE \
         app LOGIN PASSWORD 'a-long-password'",
    );
    postgres.sql("postgres", "CREATE DATABASE app OWNER app");
    let mariadb = MariaDb::start(&authority, &["localhost"]);
    mariadb.sql(
        "mysql",
        "CREATE DATABASE app; CREATE USER app IDENTIFIED BY 'a-long-password'; \
         GRANT ALL ON app.* TO app",
    );
    let ca = authority.certificate_pem();
    for (kind, port) in [("postgres", postgres.port), ("mysql", mariadb.port)] {
        let settings = json!({"host": "localhost", "port": port, "database": "app",
            "table": "events", "create_table": true});
        let with = |password: &str| {
            json!({"kind": "password", "username": "app",
            "password": password, "ca_pem": ca})
        };
        let case = Case {
            kind,
            settings,
            credentials: with("a-long-password"),
            wrong: with("another-password"),
        };
        let (destination, _) = case.plays(&acme).await;
        let shown = destination.read().await;
        assert!(
            shown["credentials"]["ca_pem"]["fingerprint"]
                .as_str()
                .unwrap()
                .starts_with("SHA256:"),
            "{shown}"
        );
        assert!(
            shown["credentials"]["ca_pem"]["not_after"].is_string(),
            "{shown}"
        );

        let text = format!("{kind}://app:a-long-password@localhost:{port}/app");
        let by_string =
            json!({"kind": "connection_string", "connection_string": text, "ca_pem": ca});
        let made = acme
            .destination()
            .with("type", kind)
            .settings(json!({"table": "events"}))
            .credentials(by_string)
            .create()
            .await;
        let shown = made.read().await["credentials"].clone();
        assert_eq!(
            (&shown["host"], &shown["username"]),
            (&json!("localhost"), &json!("app")),
            "{shown}"
        );
        assert!(!shown.to_string().contains("a-long-password"));
        let both = json!({"host": "localhost", "table": "events"});
        let unreadable = json!({"kind": "connection_string",
            "connection_string": format!("{kind}://app:a-long-password@/tmp/socket")});
        let answer = acme
            .destination()
            .with("type", kind)
            .settings(both)
            .credentials(unreadable)
            .asks()
            .await;
        assert_eq!(answer.mistakes(), ["/credentials/connection_string"]);
        assert!(!answer.text().contains("a-long-password"));
    }
    assert_eq!(
        postgres.sql(
            "app",
            "SELECT count(*), count(distinct delivery_id) FROM events"
        ),
        ["1|1"]
    );
    assert_eq!(mariadb.sql("app", "SELECT count(*) FROM events"), ["1"]);
}

//! Tests that every connection passes the guard and that every wait ends.

use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settings::storage::{AzureBlobSettings, GcsSettings, S3Settings};
use domain::settle::Outcome;
use egress::Schemes;
use rustls::RootCertStore;
use tokio::net::TcpListener;
use tokio::time::Instant;
use worker_storage::{Credentials, Storage};

use crate::bucket::{
    Any, Bucket, client, clock, failed_step, meta, no_credentials, object_settings, payload,
    streamed,
};

/// Returns one destination of each kind, with credentials that can be parsed.
fn each(endpoint: &str) -> [(Any, Credentials); 4] {
    let object = object_settings;
    let s3 = S3Settings {
        bucket: "reports".to_owned(),
        region: None,
        endpoint: None,
        server_side_encryption: None,
        kms_key_id: None,
        tags: std::collections::BTreeMap::new(),
        object: object(),
    };
    let key = Credentials::AccessKey {
        access_key_id: "AKID".to_owned(),
        secret_access_key: "secret".to_owned().into(),
        session_token: None,
    };
    let gcs = GcsSettings {
        bucket: "reports".to_owned(),
        endpoint: None,
        object: object(),
    };
    let account = Credentials::ServiceAccount {
        json: kit::gcs::stranger().to_string().into(),
    };
    let azure = AzureBlobSettings {
        account: "acme".to_owned(),
        container: "reports".to_owned(),
        endpoint: None,
        tags: std::collections::BTreeMap::new(),
        object: object(),
    };
    let shared = Credentials::AccountKey {
        account_key: "c2VjcmV0".to_owned().into(),
    };
    let principal = Credentials::ServicePrincipal {
        tenant_id: "acme.example".to_owned(),
        client_id: "app".to_owned(),
        client_secret: "secret".to_owned().into(),
    };
    [
        (Any::S3(s3).endpoint(endpoint), key),
        (Any::Gcs(gcs).endpoint(endpoint), account),
        (Any::AzureBlob(azure.clone()).endpoint(endpoint), shared),
        (Any::AzureBlob(azure).endpoint(endpoint), principal),
    ]
}

fn storage(allow: &str, authority: &str) -> Storage {
    Storage::with_authority(
        client(allow, RootCertStore::empty()),
        Schemes::HttpAndHttps,
        no_credentials(),
        clock(),
        authority,
    )
}

async fn deliver(
    storage: &Storage,
    settings: &Any,
    credentials: &Credentials,
    within: Duration,
    size: usize,
) -> Outcome {
    let (payload, sha256) = streamed(&payload(size));
    let deadline = Instant::now() + within;
    storage
        .deliver(
            settings.borrow(),
            credentials,
            &meta("dlv_1", Some(sha256)),
            "a",
            payload,
            deadline,
        )
        .await
        .unwrap()
        .outcome
}

#[tokio::test]
async fn a_blocked_address_is_never_connected_to() {
    let addresses = [
        "http://127.0.0.1:1",
        "http://2130706433",
        "http://[::ffff:10.0.0.1]",
        "http://169.254.169.254",
        "https://localhost:1",
        "http://0x7f.1",
    ];
    for address in addresses {
        let storage = storage("", address);
        for (settings, credentials) in each(address) {
            for size in [1, 17 << 20] {
                let outcome = deliver(
                    &storage,
                    &settings,
                    &credentials,
                    Duration::from_secs(10),
                    size,
                )
                .await;
                assert_eq!(
                    outcome,
                    Outcome::Reject(Reason::BlockedAddress),
                    "{address}"
                );
            }
            let bucket = Bucket {
                storage: self::storage("", address),
                settings,
                credentials,
            };
            let report = bucket.check(&bucket.settings, &bucket.credentials).await;
            assert_eq!(failed_step(&report).0, StepName::Resolve, "{report:?}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_address_is_a_connect_or_dns_failure() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("http://127.0.0.1:{port}");
    let storage = storage("127.0.0.0/8", &address);
    for (settings, credentials) in each(&address) {
        assert_eq!(
            deliver(&storage, &settings, &credentials, Duration::from_secs(5), 1).await,
            Outcome::Retry(Reason::Connect)
        );
    }
    let storage = self::storage("127.0.0.0/8", "http://nowhere.invalid");
    for (settings, credentials) in each("http://nowhere.invalid") {
        assert_eq!(
            deliver(&storage, &settings, &credentials, Duration::from_secs(5), 1).await,
            Outcome::Retry(Reason::Dns)
        );
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_the_attempt_s_time_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let storage = storage("127.0.0.0/8", &address);
    for (settings, credentials) in each(&address) {
        for size in [1, 17 << 20] {
            let started = Instant::now();
            let outcome = deliver(
                &storage,
                &settings,
                &credentials,
                Duration::from_millis(400),
                size,
            )
            .await;
            assert_eq!(outcome, Outcome::Retry(Reason::Timeout));
            assert!(
                started.elapsed() < Duration::from_millis(1500),
                "{:?}",
                started.elapsed()
            );
        }
    }
    held.abort();
}

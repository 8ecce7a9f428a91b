//! Tests Azure Blob Storage against Azurite.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::Reason;
use domain::check::StepName;
use domain::settings::storage::AzureBlobSettings;
use domain::settle::Outcome;
use egress::{Outgoing, Schemes, Target};
use http::{HeaderMap, Method};
use kit::azurite::{self, ACCOUNT, ACCOUNT_KEY, Azurite};
use kit::entra::{CLIENT_ID, CLIENT_SECRET, Entra, TENANT_ID};
use kit::tls::Authority;
use rustls::RootCertStore;
use tokio::time::Instant;
use worker_storage::{Credentials, Storage};

use crate::bucket::{
    Any, Bucket, client, clock, failed_step, no_credentials, object_settings, payload, refused,
    tracking,
};
use crate::contract::{self, BucketReader};

const CONTAINER: &str = "reports";

/// Reads objects anonymously; the container is public.
struct Seen {
    client: egress::Client,
    endpoint: String,
}

impl Seen {
    async fn head(&self, key: &str) -> egress::Response {
        let url = format!("{}/{CONTAINER}/{}", self.endpoint, key);
        let target = Target::parse(&url.replace(' ', "%20"), Schemes::HttpAndHttps).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        self.client
            .send_body(
                Method::HEAD,
                &target,
                HeaderMap::new(),
                Outgoing::from(Bytes::new()),
                deadline,
            )
            .await
            .unwrap()
    }
}

impl BucketReader for Seen {
    async fn object(&self, key: &str) -> Option<Bytes> {
        if self.head(key).await.status == 404 {
            return None;
        }
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let found = reqwest::get(format!("{}/{CONTAINER}/{key}", self.endpoint))
            .await
            .unwrap();
        assert_eq!(found.status(), 200);
        Some(found.bytes().await.unwrap())
    }
}

fn settings(endpoint: &str) -> Any {
    Any::AzureBlob(AzureBlobSettings {
        account: ACCOUNT.to_owned(),
        container: CONTAINER.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        tags: BTreeMap::new(),
        object: object_settings(),
    })
}

fn account_key(key: &str) -> Credentials {
    Credentials::AccountKey {
        account_key: key.to_owned().into(),
    }
}

fn sas(permissions: &str, account_key: &str) -> Credentials {
    Credentials::SasToken {
        sas_token: azurite::sas(permissions, account_key).into(),
    }
}

async fn azurite() -> (Azurite, Bucket, Seen) {
    let server = Azurite::start();
    let client = client("127.0.0.0/8", RootCertStore::empty());
    server.make_container(CONTAINER).await;
    let bucket = Bucket::new(
        no_credentials(),
        settings(&server.endpoint),
        account_key(ACCOUNT_KEY),
    );
    let seen = Seen {
        client,
        endpoint: server.endpoint.clone(),
    };
    (server, bucket, seen)
}

#[tokio::test]
async fn delivers_and_recognises_repeats() {
    let (_server, bucket, seen) = azurite().await;
    contract::delivers_and_recognises_repeats(&bucket, &seen).await;
    for (key, size) in [("1KiB/ü b.bin", 1024), ("17MiB/ü b.bin", 17 << 20)] {
        let head = seen.head(key).await;
        assert_eq!(head.headers["content-type"], "application/json");
        for name in [
            "waybill_delivery_id",
            "waybill_message_id",
            "waybill_event_type",
            "waybill_sha256",
        ] {
            let value = head
                .headers
                .get(format!("x-ms-meta-{name}"))
                .map(|value| value.to_str().unwrap());
            contract::metadata_leads_back(name, value, &payload(size)).await;
        }
    }
}

#[tokio::test]
async fn existing_objects_are_respected() {
    let (_server, bucket, seen) = azurite().await;
    contract::existing_objects_are_respected(&bucket, &seen).await;
    contract::equal_bytes_of_another_delivery_are_another_object(&bucket).await;
}

#[tokio::test]
async fn nothing_half_written_is_seen() {
    let (_server, bucket, seen) = azurite().await;
    contract::nothing_half_written_is_seen(&bucket, &seen, contract::MOMENTS_MS).await;
}

#[tokio::test]
async fn a_shared_access_signature_is_taken() {
    let (_server, mut bucket, seen) = azurite().await;
    bucket.credentials = sas("rwdlc", ACCOUNT_KEY);
    contract::delivers_and_recognises_repeats(&bucket, &seen).await;
    contract::the_check_names_the_step(&bucket, &seen).await;

    let attempted = bucket.authenticated(&sas("rl", ACCOUNT_KEY)).await;
    assert_eq!(
        attempted.outcome,
        refused(Reason::Authorization),
        "{}",
        attempted.detail
    );
    let report = bucket
        .check(&bucket.settings, &sas("rl", ACCOUNT_KEY))
        .await;
    assert_eq!(failed_step(&report).0, StepName::Authorize, "{report:?}");
    let report = bucket
        .check(&bucket.settings, &sas("rwc", ACCOUNT_KEY))
        .await;
    assert!(
        report.ok && report.steps.last().unwrap().detail.contains("warning"),
        "{report:?}"
    );
}

#[tokio::test]
async fn wrong_credentials_are_named() {
    let (_server, bucket, _) = azurite().await;
    let other = STANDARD.encode([7; 64]);
    let wrong = [
        ("key", account_key(&other)),
        ("no key", account_key("wrong-secret!")),
        ("signature", sas("rwdlc", &other)),
        (
            "no signature",
            Credentials::SasToken {
                sas_token: "sv=1&sp=wrong-secret".to_owned().into(),
            },
        ),
    ];
    contract::wrong_credentials_are_named(&bucket, &wrong).await;
}

#[tokio::test]
async fn the_check_names_the_step() {
    let (_server, bucket, seen) = azurite().await;
    contract::the_check_names_the_step(&bucket, &seen).await;
    let attempted = bucket
        .with(
            &bucket.settings.clone().bucket("missing"),
            "dlv_1",
            "a",
            &payload(1),
        )
        .await;
    assert_eq!(
        attempted.outcome,
        Outcome::Reject(Reason::Misconfigured),
        "{}",
        attempted.detail
    );
}

#[tokio::test]
async fn tags_and_tier_are_as_the_settings_say() {
    let (_server, mut bucket, seen) = azurite().await;
    if let Any::AzureBlob(settings) = &mut bucket.settings {
        settings
            .tags
            .insert("team".to_owned(), "billing".to_owned());
        settings.object.storage_class = Some("Cool".to_owned());
    }
    for (key, size) in [("a", 10), ("b", 17 << 20)] {
        tracking(&bucket.deliver("dlv_1", key, &payload(size)).await);
        let head = seen.head(key).await;
        assert_eq!(head.headers["x-ms-access-tier"], "Cool", "{key}");
    }
}

#[tokio::test]
async fn an_application_s_token_is_fetched_and_kept() {
    let authority = Authority::new();
    let server = Azurite::start_tls(&authority);
    let entra = Entra::start().await;
    let client = client("127.0.0.0/8", authority.roots());
    server.make_container(CONTAINER).await;
    let storage = Storage::with_authority(
        client,
        Schemes::HttpAndHttps,
        no_credentials(),
        clock(),
        &entra.authority,
    );
    let principal = |secret: &str| Credentials::ServicePrincipal {
        tenant_id: TENANT_ID.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: secret.to_owned().into(),
    };
    let bucket = Bucket {
        storage,
        settings: settings(&server.endpoint),
        credentials: principal(CLIENT_SECRET),
    };
    for (id, size) in [("dlv_1", 10), ("dlv_2", 17 << 20), ("dlv_3", 10)] {
        tracking(&bucket.deliver(id, id, &payload(size)).await);
    }
    assert_eq!(entra.tokens_issued(), 1, "kept");
    let report = bucket.check(&bucket.settings, &bucket.credentials).await;
    assert!(report.ok, "{report:?}");
    contract::wrong_credentials_are_named(&bucket, &[("password", principal("wrong-secret"))])
        .await;
}

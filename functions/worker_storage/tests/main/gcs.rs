//! Tests Google Cloud Storage.

use bytes::Bytes;
use domain::Reason;
use domain::check::StepName;
use domain::settings::storage::GcsSettings;
use domain::settle::Outcome;
use kit::gcs::{self, Gcs};
use serde_json::Value;
use worker_storage::Credentials;

use crate::bucket::{
    Any, Bucket, failed_step, no_credentials, object_settings, payload, refused, tracking,
};
use crate::contract::{self, BucketReader};

impl BucketReader for Gcs {
    async fn object(&self, key: &str) -> Option<Bytes> {
        Gcs::object(self, key).map(|object| object.bytes)
    }
}

fn account(file: &Value) -> Credentials {
    Credentials::ServiceAccount {
        json: file.to_string().into(),
    }
}

fn bucket(server: &Gcs) -> Bucket {
    let settings = GcsSettings {
        bucket: gcs::BUCKET.to_owned(),
        endpoint: Some(server.endpoint.clone()),
        object: object_settings(),
    };
    Bucket::new(
        no_credentials(),
        Any::Gcs(settings),
        account(&server.service_account),
    )
}

#[tokio::test]
async fn delivers_and_recognises_repeats() {
    let server = Gcs::start().await;
    contract::delivers_and_recognises_repeats(&bucket(&server), &server).await;
    let object = Gcs::object(&server, "1KiB/ü b.bin").unwrap();
    for name in [
        "waybill-delivery-id",
        "waybill-message-id",
        "waybill-event-type",
        "waybill-sha256",
    ] {
        let value = object
            .headers
            .get(format!("x-goog-meta-{name}"))
            .map(|value| value.to_str().unwrap());
        contract::metadata_leads_back(name, value, &payload(1024)).await;
    }
}

#[tokio::test]
async fn existing_objects_are_respected() {
    let server = Gcs::start().await;
    contract::equal_bytes_of_another_delivery_are_another_object(&bucket(&server)).await;
    contract::existing_objects_are_respected(&bucket(&server), &server).await;
}

#[tokio::test]
async fn nothing_half_written_is_seen() {
    let server = Gcs::start().await;
    contract::nothing_half_written_is_seen(&bucket(&server), &server, contract::MOMENTS_MS).await;
}

#[tokio::test]
async fn wrong_credentials_are_named() {
    let server = Gcs::start().await;
    let mut unreadable = server.service_account.clone();
    unreadable["private_key"] =
        "-----BEGIN PRIVATE KEY-----\nwrong-secret\n-----END PRIVATE KEY-----\n".into();
    let mut keyless = server.service_account.clone();
    keyless.as_object_mut().unwrap().remove("private_key_id");
    let wrong = [
        ("stranger", account(&gcs::stranger())),
        ("unreadable", account(&unreadable)),
        ("keyless", account(&keyless)),
    ];
    contract::wrong_credentials_are_named(&bucket(&server), &wrong).await;
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_key_file_cannot_send_us_elsewhere() {
    let server = Gcs::start().await;
    let mut file = server.service_account.clone();
    file["token_uri"] = "http://169.254.169.254/token".into();
    file["gcs_base_url"] = "http://169.254.169.254".into();
    file["disable_oauth"] = true.into();
    let mut bucket = bucket(&server);
    bucket.credentials = account(&file);
    tracking(&bucket.deliver("dlv_1", "a", &payload(3)).await);
}

#[tokio::test]
async fn the_check_names_the_step() {
    let server = Gcs::start().await;
    contract::the_check_names_the_step(&bucket(&server), &server).await;
    let missing = bucket(&server);
    let attempted = missing
        .with(
            &missing.settings.clone().bucket("missing"),
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
async fn missing_write_permission_is_reported() {
    let server = Gcs::start_read_only().await;
    let bucket = bucket(&server);
    for size in [10, 40 << 20] {
        let attempted = bucket.deliver("dlv_1", "a", &payload(size)).await;
        assert_eq!(
            attempted.outcome,
            refused(Reason::Authorization),
            "{}",
            attempted.detail
        );
    }
    let report = bucket.check(&bucket.settings, &bucket.credentials).await;
    assert_eq!(failed_step(&report).0, StepName::Authorize, "{report:?}");
}

#[tokio::test]
async fn the_storage_class_is_as_the_settings_say() {
    let server = Gcs::start().await;
    let mut bucket = bucket(&server);
    bucket.settings.object().storage_class = Some("NEARLINE".to_owned());
    tracking(&bucket.deliver("dlv_1", "a", &payload(10)).await);
    assert_eq!(
        Gcs::object(&server, "a").unwrap().headers["x-goog-storage-class"],
        "NEARLINE"
    );
}

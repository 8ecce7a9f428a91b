//! Tests Amazon S3 against moto with IAM, and against s3s for large objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::future::ProvideCredentials as ProvidedCredentials;
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};
use bytes::Bytes;
use domain::Reason;
use domain::check::StepName;
use domain::settings::storage::{S3Settings, ServerSideEncryption};
use domain::settle::Outcome;
use kit::file_s3::{self, FileS3};
use kit::iam_s3::IamS3;
use worker_storage::Credentials;

use crate::bucket::{
    Any, Bucket, as_key, failed_step, object_settings, payload, refused, s3_client, tracking,
};
use crate::contract::{self, BucketReader};

struct Seen {
    client: aws_sdk_s3::Client,
    bucket: String,
}

impl BucketReader for Seen {
    async fn object(&self, key: &str) -> Option<Bytes> {
        match self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
        {
            Ok(found) => Some(found.body.collect().await.unwrap().into_bytes()),
            Err(error) => {
                assert!(
                    error
                        .as_service_error()
                        .is_some_and(|error| error.is_no_such_key()),
                    "{error:?}"
                );
                None
            }
        }
    }
}

fn settings(bucket: &str, endpoint: Option<&str>) -> S3Settings {
    S3Settings {
        bucket: bucket.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: endpoint.map(str::to_owned),
        server_side_encryption: None,
        kms_key_id: None,
        tags: BTreeMap::new(),
        object: object_settings(),
    }
}

fn access_key(id: &str, secret: &str) -> Credentials {
    Credentials::AccessKey {
        access_key_id: id.to_owned(),
        secret_access_key: secret.to_owned().into(),
        session_token: None,
    }
}

/// Returns a customer's view of moto: an access key and an endpoint.
fn by_key(server: &IamS3, who: &str) -> (Bucket, Seen) {
    let (id, secret) = server.key(who);
    let settings = Any::S3(settings(&server.bucket, Some(&server.endpoint)));
    let bucket = Bucket::new(
        server.sdk_config("function"),
        settings,
        access_key(id, secret),
    );
    (
        bucket,
        Seen {
            client: s3_client(&server.sdk_config("writer")),
            bucket: server.bucket.clone(),
        },
    )
}

/// Returns moto in place of Amazon: the function's own configuration has its endpoint.
fn by_role(server: &IamS3, external_id: &str) -> (Bucket, Seen) {
    let (mut bucket, seen) = by_key(server, "writer");
    bucket.settings = Any::S3(settings(&server.bucket, None));
    bucket.credentials = Credentials::IamRole {
        role_arn: server.role_arn.clone(),
        external_id: external_id.to_owned(),
    };
    (bucket, seen)
}

async fn files() -> (FileS3, Bucket, Seen) {
    let server = FileS3::start().await;
    let settings = Any::S3(settings(file_s3::BUCKET, Some(&server.endpoint)));
    let aws = as_key(
        &server.endpoint,
        file_s3::ACCESS_KEY_ID,
        file_s3::SECRET_ACCESS_KEY,
    );
    let seen = Seen {
        client: s3_client(&aws),
        bucket: file_s3::BUCKET.to_owned(),
    };
    let bucket = Bucket::new(
        aws,
        settings,
        access_key(file_s3::ACCESS_KEY_ID, file_s3::SECRET_ACCESS_KEY),
    );
    (server, bucket, seen)
}

#[tokio::test]
async fn delivers_and_recognises_repeats() {
    let server = IamS3::start();
    let (bucket, seen) = by_key(&server, "writer");
    contract::delivers_and_recognises_repeats(&bucket, &seen).await;
    let bytes = payload(1024);
    let head = seen
        .client
        .head_object()
        .bucket(&server.bucket)
        .key("1KiB/ü b.bin")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("application/json"));
    for (name, value) in head.metadata().unwrap() {
        contract::metadata_leads_back(name, Some(value), &bytes).await;
    }
    assert_eq!(head.metadata().unwrap().len(), 4);
}

#[tokio::test]
async fn existing_objects_are_respected() {
    let server = IamS3::start();
    let (bucket, seen) = by_key(&server, "writer");
    contract::existing_objects_are_respected(&bucket, &seen).await;
    contract::equal_bytes_of_another_delivery_are_another_object(&bucket).await;
}

#[tokio::test]
async fn delivers_to_another_implementation() {
    let (_server, bucket, seen) = files().await;
    contract::delivers_and_recognises_repeats(&bucket, &seen).await;
    contract::existing_objects_are_respected(&bucket, &seen).await;
}

#[tokio::test]
async fn nothing_half_written_is_seen_and_nothing_is_left() {
    let (_server, bucket, seen) = files().await;
    contract::nothing_half_written_is_seen(&bucket, &seen, &[1, 80]).await;
    let server = IamS3::start();
    let (bucket, seen) = by_key(&server, "writer");
    contract::nothing_half_written_is_seen(&bucket, &seen, &[60]).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let left = seen
        .client
        .list_multipart_uploads()
        .bucket(&server.bucket)
        .send()
        .await
        .unwrap();
    // An upload that is cancelled before its id arrives cannot be aborted; the bucket's lifecycle
    // rule removes it.
    assert!(left.uploads().len() <= 1, "{:?}", left.uploads());
}

#[tokio::test]
async fn wrong_credentials_are_named() {
    let server = IamS3::start();
    let (bucket, _) = by_key(&server, "writer");
    let (id, secret) = server.key("writer");
    let session = Credentials::AccessKey {
        access_key_id: id.to_owned(),
        secret_access_key: secret.to_owned().into(),
        session_token: Some("wrong-secret-token".to_owned().into()),
    };
    let wrong = [
        ("key", access_key("AKIDWRONG", secret)),
        ("secret", access_key(id, "wrong-secret")),
        ("token", session),
    ];
    contract::wrong_credentials_are_named(&bucket, &wrong).await;

    let (bucket, _) = by_role(&server, &server.external_id);
    let role = |role_arn: &str, external_id: &str| Credentials::IamRole {
        role_arn: role_arn.to_owned(),
        external_id: external_id.to_owned(),
    };
    let wrong = [("external id", role(&server.role_arn, "another's"))];
    contract::wrong_credentials_are_named(&bucket, &wrong).await;
}

#[tokio::test]
async fn a_role_is_assumed_with_the_external_id() {
    let server = IamS3::start();
    let (bucket, seen) = by_role(&server, &server.external_id);
    tracking(&bucket.deliver("dlv_1", "role/a", &payload(100)).await);
    tracking(&bucket.deliver("dlv_2", "role/b", &payload(17 << 20)).await);
    assert_eq!(seen.object("role/a").await.unwrap().len(), 100);
    contract::the_check_names_the_step(&bucket, &seen).await;
}

#[tokio::test]
async fn a_session_token_is_taken() {
    let server = IamS3::start();
    let (mut bucket, seen) = by_key(&server, "writer");
    let sts = aws_sdk_sts::Client::new(&server.sdk_config("function"));
    let role = sts
        .assume_role()
        .role_arn(&server.role_arn)
        .external_id(&server.external_id)
        .role_session_name("test")
        .send()
        .await
        .unwrap();
    let session = role.credentials().unwrap();
    bucket.credentials = Credentials::AccessKey {
        access_key_id: session.access_key_id().to_owned(),
        secret_access_key: session.secret_access_key().to_owned().into(),
        session_token: Some(session.session_token().to_owned().into()),
    };
    tracking(&bucket.deliver("dlv_1", "session/a", &payload(100)).await);
    assert!(seen.object("session/a").await.is_some());
}

#[tokio::test]
async fn the_function_s_own_credentials_are_for_granted_buckets_of_amazon_alone() {
    let server = IamS3::start();
    let (mut bucket, seen) = by_role(&server, "");
    let iam = |granted: &str| Credentials::Iam {
        granted_buckets: vec![granted.to_owned()],
    };
    bucket.credentials = iam(&server.bucket);
    tracking(&bucket.deliver("dlv_1", "iam/a", &payload(100)).await);
    assert!(seen.object("iam/a").await.is_some());

    let attempted = bucket.authenticated(&iam("another")).await;
    assert_eq!(
        attempted.outcome,
        refused(Reason::Authorization),
        "{}",
        attempted.detail
    );
    let report = bucket.check(&bucket.settings, &iam("another")).await;
    assert_eq!(failed_step(&report).0, StepName::Authorize);

    let elsewhere = bucket.settings.clone().endpoint(&server.endpoint);
    let attempted = bucket.with(&elsewhere, "dlv_2", "iam/b", &payload(1)).await;
    assert_eq!(
        attempted.outcome,
        Outcome::Reject(Reason::Misconfigured),
        "{}",
        attempted.detail
    );
}

/// The function's own credentials with this remaining lifetime, counted.
#[derive(Debug)]
struct Ending {
    credentials: aws_sdk_s3::config::Credentials,
    life: Duration,
    asked: Arc<AtomicUsize>,
}

impl ProvideCredentials for Ending {
    fn provide_credentials<'a>(&'a self) -> ProvidedCredentials<'a>
    where
        Self: 'a,
    {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut credentials = self.credentials.clone();
        *credentials.expiry_mut() = Some(SystemTime::now() + self.life);
        ProvidedCredentials::ready(Ok(credentials))
    }
}

#[tokio::test]
async fn the_function_s_own_credentials_are_asked_for_again_before_they_end() {
    let server = IamS3::start();
    // One object takes at most ten minutes.
    for (life_minutes, requests) in [(10, 3), (60, 1)] {
        let (bucket, _) = by_role(&server, "");
        let own = server.sdk_config("function");
        let provider = own.credentials_provider().unwrap();
        let credentials = provider.as_ref().provide_credentials().await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let ending = Ending {
            credentials,
            life: Duration::from_secs(life_minutes * 60),
            asked: Arc::clone(&asked),
        };
        let own = own
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(ending))
            .build();
        let bucket = Bucket::new(
            own,
            bucket.settings,
            Credentials::Iam {
                granted_buckets: vec![server.bucket.clone()],
            },
        );
        for n in 0..3 {
            tracking(
                &bucket
                    .deliver("dlv_1", &format!("ending/{life_minutes}/{n}"), &payload(1))
                    .await,
            );
        }
        assert_eq!(
            asked.load(Ordering::SeqCst),
            requests,
            "credentials that end in {life_minutes} minutes"
        );
    }
}

#[tokio::test]
async fn writing_is_all_that_a_delivery_needs() {
    let server = IamS3::start();
    let (bucket, seen) = by_key(&server, "put_only");
    tracking(&bucket.deliver("dlv_1", "put_only/a", &payload(100)).await);
    tracking(
        &bucket
            .deliver("dlv_1", "put_only/b", &payload(17 << 20))
            .await,
    );
    assert!(seen.object("put_only/a").await.is_some());
    let again = bucket.deliver("dlv_1", "put_only/a", &payload(100)).await;
    assert_eq!(again.outcome, refused(Reason::Rejected), "{}", again.detail);
    let report = bucket.check(&bucket.settings, &bucket.credentials).await;
    assert!(report.ok, "{report:?}");
    assert!(
        report.steps.last().unwrap().detail.contains("warning"),
        "a refused deletion is a warning: {report:?}"
    );
}

#[tokio::test]
async fn missing_write_permission_is_reported() {
    let server = IamS3::start();
    let (bucket, seen) = by_key(&server, "reader");
    for size in [10, 17 << 20] {
        let attempted = bucket.deliver("dlv_1", "reader/a", &payload(size)).await;
        assert_eq!(
            attempted.outcome,
            refused(Reason::Authorization),
            "{}",
            attempted.detail
        );
        assert_eq!(attempted.response.unwrap().status, 403);
    }
    assert!(seen.object("reader/a").await.is_none());
    let report = bucket.check(&bucket.settings, &bucket.credentials).await;
    assert_eq!(failed_step(&report).0, StepName::Authorize, "{report:?}");
}

#[tokio::test]
async fn the_check_names_the_step() {
    let server = IamS3::start();
    let (bucket, seen) = by_key(&server, "writer");
    contract::the_check_names_the_step(&bucket, &seen).await;
    let (bucket, _) = by_role(&server, "another's");
    let report = bucket.check(&bucket.settings, &bucket.credentials).await;
    assert_eq!(failed_step(&report).0, StepName::Authenticate, "{report:?}");
}

#[tokio::test]
async fn a_missing_bucket_is_a_mistake_in_the_settings() {
    let server = IamS3::start();
    let (bucket, _) = by_key(&server, "writer");
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
    for key in ["", "/a", "a/../b", "a\nb"] {
        let attempted = bucket.deliver("dlv_1", key, &payload(1)).await;
        assert_eq!(
            attempted.outcome,
            Outcome::Reject(Reason::Misconfigured),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn class_encryption_tags_and_versions_are_as_the_settings_say() {
    let server = IamS3::start();
    let (mut bucket, seen) = by_key(&server, "writer");
    let mut wishes = settings("versioned", Some(&server.endpoint));
    wishes.server_side_encryption = Some(ServerSideEncryption::AwsKms);
    wishes.kms_key_id = Some("alias/reports".to_owned());
    wishes.tags = BTreeMap::from([("team".to_owned(), "ops@example.com + Zürich".to_owned())]);
    wishes.object.storage_class = Some("STANDARD_IA".to_owned());
    bucket.settings = Any::S3(wishes);
    for (key, size) in [("a", 10), ("b", 17 << 20)] {
        let attempted = bucket.deliver("dlv_1", key, &payload(size)).await;
        assert!(
            tracking(&attempted)["version_id"].is_string(),
            "{attempted:?}"
        );
        let head = seen
            .client
            .head_object()
            .bucket("versioned")
            .key(key)
            .send()
            .await
            .unwrap();
        assert_eq!(
            head.storage_class().map(|class| class.as_str()),
            Some("STANDARD_IA"),
            "{key}"
        );
        assert_eq!(
            head.server_side_encryption().map(|sse| sse.as_str()),
            Some("aws:kms"),
            "{key}"
        );
        let tags = seen
            .client
            .get_object_tagging()
            .bucket("versioned")
            .key(key)
            .send()
            .await
            .unwrap();
        assert_eq!(
            tags.tag_set()
                .iter()
                .map(|tag| (tag.key(), tag.value()))
                .collect::<Vec<_>>(),
            [("team", "ops@example.com + Zürich")],
            "{key}"
        );
    }
}

//! A destination under test.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_s3::config::SharedCredentialsProvider;
use bytes::Bytes;
use domain::check::{CheckReport, StepName};
use domain::settings::storage::{
    AzureBlobSettings, GcsSettings, IfExists, ObjectSettings, S3Settings,
};
use domain::settle::Outcome;
use domain::{Clock, Reason, Timestamp};
use egress::{Client, Guard, Policy, Schemes, Tls};
use futures_util::stream;
use rustls::RootCertStore;
use tokio::time::Instant;
use worker::{Attempted, Payload, StepRecorder, Unavailable};
use worker_storage::{Credentials, Meta, Sample, Settings, Storage};

/// The settings for any of the three providers.
#[derive(Clone)]
pub(crate) enum Any {
    S3(S3Settings),
    Gcs(GcsSettings),
    AzureBlob(AzureBlobSettings),
}

impl Any {
    pub(crate) fn object(&mut self) -> &mut ObjectSettings {
        match self {
            Self::S3(settings) => &mut settings.object,
            Self::Gcs(settings) => &mut settings.object,
            Self::AzureBlob(settings) => &mut settings.object,
        }
    }

    pub(crate) fn endpoint(mut self, endpoint: &str) -> Self {
        let field = match &mut self {
            Self::S3(settings) => &mut settings.endpoint,
            Self::Gcs(settings) => &mut settings.endpoint,
            Self::AzureBlob(settings) => &mut settings.endpoint,
        };
        *field = Some(endpoint.to_owned());
        self
    }

    pub(crate) fn bucket(mut self, bucket: &str) -> Self {
        match &mut self {
            Self::S3(settings) => settings.bucket = bucket.to_owned(),
            Self::Gcs(settings) => settings.bucket = bucket.to_owned(),
            Self::AzureBlob(settings) => settings.container = bucket.to_owned(),
        }
        self
    }

    pub(crate) fn if_exists(mut self, if_exists: IfExists) -> Self {
        self.object().if_exists = if_exists;
        self
    }

    pub(crate) fn borrow(&self) -> Settings<'_> {
        match self {
            Self::S3(settings) => Settings::S3(settings),
            Self::Gcs(settings) => Settings::Gcs(settings),
            Self::AzureBlob(settings) => Settings::AzureBlob(settings),
        }
    }
}

pub(crate) fn object_settings() -> ObjectSettings {
    ObjectSettings {
        key_template: "-".to_owned(),
        if_exists: IfExists::Fail,
        storage_class: None,
        timeout_seconds: 60,
    }
}

pub(crate) fn clock() -> Clock {
    Clock::new(|| {
        Timestamp::from_millis(
            i64::try_from(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_millis(),
            )
            .unwrap(),
        )
    })
}

/// Returns a client that may connect to these networks.
pub(crate) fn client(allow: &str, roots: RootCertStore) -> Client {
    Client::new(
        Guard::new(Policy::parse(allow).unwrap()),
        Tls::with_roots(roots).unwrap(),
    )
}

/// Returns a configuration without credentials or endpoint.
pub(crate) fn no_credentials() -> aws_config::SdkConfig {
    aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .build()
}

/// A connector with settings and credentials.
pub(crate) struct Bucket {
    pub(crate) storage: Storage,
    pub(crate) settings: Any,
    pub(crate) credentials: Credentials,
}

impl Bucket {
    pub(crate) fn new(aws: aws_config::SdkConfig, settings: Any, credentials: Credentials) -> Self {
        let storage = Storage::new(
            client("127.0.0.0/8", RootCertStore::empty()),
            Schemes::HttpAndHttps,
            aws,
            clock(),
        );
        Self {
            storage,
            settings,
            credentials,
        }
    }

    pub(crate) async fn deliver(&self, id: &str, key: &str, bytes: &Bytes) -> Attempted {
        self.attempt(&self.settings, &self.credentials, id, key, streamed(bytes))
            .await
    }

    pub(crate) async fn with(
        &self,
        settings: &Any,
        id: &str,
        key: &str,
        bytes: &Bytes,
    ) -> Attempted {
        self.attempt(settings, &self.credentials, id, key, streamed(bytes))
            .await
    }

    pub(crate) async fn authenticated(&self, credentials: &Credentials) -> Attempted {
        self.attempt(
            &self.settings,
            credentials,
            "dlv_x",
            "authentication/x",
            streamed(&payload(10)),
        )
        .await
    }

    pub(crate) async fn attempt(
        &self,
        settings: &Any,
        credentials: &Credentials,
        id: &str,
        key: &str,
        (payload, sha256): (Payload, String),
    ) -> Attempted {
        let deadline = Instant::now() + Duration::from_secs(60);
        let meta = meta(id, Some(sha256));
        let attempted = worker::watched(payload, async |payload| {
            self.storage
                .deliver(
                    settings.borrow(),
                    credentials,
                    &meta,
                    key,
                    payload,
                    deadline,
                )
                .await
        });
        attempted.await.unwrap()
    }

    /// Makes an attempt whose payload fails after its first bytes.
    pub(crate) async fn broken(
        &self,
        key: &str,
        size_bytes: u64,
        bytes: Bytes,
    ) -> Result<Attempted, Unavailable> {
        let pieces = stream::iter([
            Ok(bytes),
            Err(Unavailable::new("the payload store does not answer")),
        ]);
        let deadline = Instant::now() + Duration::from_secs(60);
        let payload = Payload::streamed(size_bytes, pieces);
        let meta = meta("dlv_1", None);
        let attempted = worker::watched(payload, async |payload| {
            self.storage
                .deliver(
                    self.settings.borrow(),
                    &self.credentials,
                    &meta,
                    key,
                    payload,
                    deadline,
                )
                .await
        });
        attempted.await
    }

    pub(crate) async fn check(&self, settings: &Any, credentials: &Credentials) -> CheckReport {
        let deadline = Instant::now() + Duration::from_secs(18);
        let mut steps = StepRecorder::default();
        let sample = Sample {
            organization_id: "org_1",
            key: "some/where/sample.json",
            unique: "0a1b2c",
        };
        let checked = self
            .storage
            .check(settings.borrow(), credentials, sample, deadline, &mut steps)
            .await;
        steps.report(checked)
    }
}

pub(crate) fn meta(id: &str, sha256: Option<String>) -> Meta {
    Meta {
        organization_id: "org_1".to_owned(),
        delivery_id: id.to_owned(),
        message_id: "msg_1".to_owned(),
        event_type: "report.ready".to_owned(),
        content_type: "application/json".to_owned(),
        sha256,
        fallback_of: None,
    }
}

/// Returns bytes that differ from part to part, so that exchanged parts are noticed.
pub(crate) fn payload(size: usize) -> Bytes {
    const ROUND: usize = 65_537;
    let mut seed = 7_u32;
    let byte = move |_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    let round: Vec<u8> = (0..ROUND).map(byte).collect();
    let mut bytes = Vec::with_capacity(size + ROUND);
    while bytes.len() < size {
        bytes.extend_from_slice(&round);
    }
    bytes.truncate(size);
    bytes.into()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Returns a payload that is streamed in pieces that do not align with parts.
pub(crate) fn streamed(bytes: &Bytes) -> (Payload, String) {
    let sha256 = sha256(bytes);
    let pieces: Vec<Result<Bytes, Unavailable>> = (0..bytes.len())
        .step_by(700_001)
        .map(|start| Ok(bytes.slice(start..bytes.len().min(start + 700_001))))
        .collect();
    (
        Payload::streamed(bytes.len() as u64, stream::iter(pieces)),
        sha256,
    )
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// Returns the tracking data of a success.
pub(crate) fn tracking(attempted: &Attempted) -> serde_json::Value {
    match &attempted.outcome {
        Outcome::Delivered(receipt) => receipt.to_json(),
        other => panic!("{other:?}: {}", attempted.detail),
    }
}

pub(crate) fn refused(reason: Reason) -> Outcome {
    Outcome::ClientError(reason)
}

/// Returns the step that failed, and its detail.
pub(crate) fn failed_step(report: &CheckReport) -> (StepName, &str) {
    let step = report.failed_step().unwrap_or_else(|| panic!("{report:?}"));
    (step.name, &step.detail)
}

pub(crate) fn s3_client(config: &aws_config::SdkConfig) -> aws_sdk_s3::Client {
    let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(true);
    aws_sdk_s3::Client::from_conf(builder.build())
}

pub(crate) fn as_key(endpoint: &str, id: &str, secret: &str) -> aws_config::SdkConfig {
    let credentials = aws_sdk_s3::config::Credentials::new(id, secret, None, None, "test");
    kit::sdk::config(endpoint)
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

//! Tests the webhook connector against real receivers, with secrets in the embedded KMS and Secrets
//! Manager.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

mod answers;
mod check;
mod contract;
mod credentials;
mod signatures;
mod tokens;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use domain::Timestamp;
use domain::check::CheckReport;
use domain::credentials::{CredentialKind, Credentials, SecretField, sealed_name};
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::id::{SecretId, Ulid};
use domain::signing_secret::{SecretSource, SigningSecret};
use egress::{Client, Guard, Policy, Schemes, Tls};
use kit::sink::Sink;
use local_aws::{Caller, Engines, KeySpec, Options, Resources};
use runtime::platform::{system_clock, system_random};
use rustls::RootCertStore;
use secrecy::ExposeSecret as _;
use signing::SigningKey;
use tempfile::TempDir;
use tokio::time::Instant;
use vault::Vault;
use worker::{Attempted, Job, Unavailable};
use worker_webhook::Webhook;

const PAYLOAD: &[u8] = br#"{"b": 1,  "a": "\u00e9"}"#;

/// A connector, a receiver, and a vault to seal secrets with.
struct Bench {
    sink: Sink,
    webhook: Webhook,
    vault: Vault,
    engines: Engines,
    _data: TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Sink::start().await, RootCertStore::empty())
    }

    fn with(sink: Sink, roots: RootCertStore) -> Self {
        let resources = Resources {
            keys: vec![KeySpec {
                name: "waybill-Key".into(),
            }],
            ..Resources::empty()
        };
        let data = tempfile::tempdir().unwrap();
        let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
        let policy = Policy::parse("127.0.0.1, 127.0.0.2").unwrap();
        let client = Client::new(Guard::new(policy), Tls::with_roots(roots).unwrap());
        let opening = Vault::new(&aws(&engines), None, system_clock(), system_random());
        let vault = Vault::new(
            &aws(&engines),
            engines.key_arn("waybill-Key"),
            system_clock(),
            system_random(),
        );
        let webhook = Webhook::new(
            client,
            Schemes::HttpAndHttps,
            opening,
            system_clock(),
            system_random(),
        );
        Self {
            sink,
            webhook,
            vault,
            engines,
            _data: data,
        }
    }

    /// Returns a destination at the sink that signs with one generated secret.
    async fn destination(&self) -> Destination {
        let mut destination = samples::webhook(&self.sink.url());
        destination.signing_secrets = vec![self.signing_secret(1).await.0];
        destination
    }

    /// Generates a signing secret, and returns it as stored and as text.
    async fn signing_secret(&self, n: i64) -> (SigningSecret, String) {
        let text =
            SigningKey::generate(|buffer| buffer.fill(u8::try_from(n).unwrap())).to_secret_string();
        let id = SecretId::from(Ulid::first_at(Timestamp::from_millis(n)));
        let sample = samples::webhook("");
        let sealed = self
            .vault
            .seal(
                sample.organization_id,
                sample.id,
                &SigningSecret::sealed_name(id),
                &text,
            )
            .await
            .unwrap();
        let source = SecretSource::Generated { sealed };
        let created_at = Timestamp::from_millis(n);
        (
            SigningSecret {
                id,
                source,
                hint: None,
                created_at,
                valid_until: None,
            },
            text.expose_secret().to_owned(),
        )
    }

    async fn credentials(
        &self,
        kind: CredentialKind,
        open: &[(&str, &str)],
        secret: (&str, &str),
    ) -> Credentials {
        let sample = samples::webhook("");
        let sealed = self
            .vault
            .seal(
                sample.organization_id,
                sample.id,
                &sealed_name(secret.0),
                &secret.1.into(),
            )
            .await
            .unwrap();
        let field = SecretField {
            sealed,
            hint: None,
            updated_at: Timestamp::from_millis(0),
        };
        Credentials {
            kind,
            open: open
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            secrets: [(secret.0.to_owned(), field)].into(),
            shown: Default::default(),
        }
    }

    async fn deliver(&self, destination: &Destination) -> Attempted {
        self.attempt(destination, &samples::delivery(), PAYLOAD)
            .await
            .unwrap()
    }

    async fn attempt(
        &self,
        destination: &Destination,
        delivery: &Delivery,
        payload: &[u8],
    ) -> Result<Attempted, Unavailable> {
        let deadline =
            Instant::now() + Duration::from_secs(destination.settings.timeout_seconds().into());
        let payload = worker::Payload::in_memory(payload.to_vec());
        let job = Job {
            delivery,
            destination,
            payload,
            attempt_number: delivery.attempts + 1,
            deadline,
        };
        worker::deliver(&self.webhook, job).await
    }

    async fn check(&self, destination: &Destination) -> CheckReport {
        worker::check(&self.webhook, destination).await
    }
}

/// Returns a configuration without retries, so that a test sees every answer.
fn aws(engines: &Engines) -> SdkConfig {
    engines
        .sdk_config(Caller::unlimited("test"))
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .build()
}

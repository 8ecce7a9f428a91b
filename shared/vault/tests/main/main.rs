//! Tests the vault on the embedded KMS and Secrets Manager.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

mod customers_roles;
mod references;
mod rotation;
mod sealing;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use domain::id::{DestinationId, OrganizationId, Ulid};
use domain::{Clock, Random, Timestamp};
use local_aws::{
    Caller, Engines, GenerateSecretString, KeySpec, Options, Recorder, Resources, SecretSpec,
};
use tempfile::TempDir;
use vault::Vault;

const KEY: &str = "waybill-Key";
const SIGNING_KEYS: &str = "waybill-SigningKeys";

/// A deployment: engines, and a clock that only moves when a test moves it.
struct Deployment {
    engines: Engines,
    seconds: Arc<AtomicI64>,
    _data: TempDir,
}

impl Deployment {
    fn new() -> Self {
        let generate = GenerateSecretString {
            template: Some("{}".into()),
            key: Some("root".into()),
            length: 64,
            exclude_punctuation: true,
        };
        let resources = Resources {
            keys: vec![KeySpec { name: KEY.into() }],
            secrets: vec![SecretSpec {
                name: SIGNING_KEYS.into(),
                value: Some(local_aws::SecretValue::Generated(generate)),
            }],
            ..Resources::empty()
        };
        let data = tempfile::tempdir().unwrap();
        let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
        Self {
            engines,
            seconds: Arc::new(AtomicI64::new(1_764_000_000)),
            _data: data,
        }
    }

    /// Returns a configuration without retries, so that a test sees every answer.
    fn aws(&self) -> SdkConfig {
        let config = self.engines.sdk_config(Caller::unlimited("test"));
        config
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .build()
    }

    /// Returns the vault of a process, with an empty cache.
    fn vault(&self) -> Vault {
        let seconds = Arc::clone(&self.seconds);
        let clock =
            Clock::new(move || Timestamp::from_millis(seconds.load(Ordering::Relaxed) * 1000));
        Vault::new(&self.aws(), self.engines.key_arn(KEY), clock, random())
    }

    fn seconds_pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn random() -> Random {
    let counter = AtomicU64::new(1);
    Random::new(move |buffer| {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(
                &counter.fetch_add(1, Ordering::Relaxed).to_be_bytes()[8 - chunk.len()..],
            );
        }
    })
}

fn organization(n: i64) -> OrganizationId {
    Ulid::first_at(Timestamp::from_millis(n)).into()
}

fn destination(n: i64) -> DestinationId {
    Ulid::first_at(Timestamp::from_millis(n)).into()
}

fn count(calls: &Recorder, operation: &str) -> usize {
    calls
        .calls()
        .iter()
        .filter(|call| call.operation == operation)
        .count()
}

//! What a connector needs in addition to its server: a key service, a secret store, and sealed
//! credentials.

use std::sync::atomic::{AtomicI64, Ordering};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use domain::credentials::{CredentialKind, Credentials, SecretField, sealed_name};
use domain::destination::Destination;
use domain::id::Ulid;
use domain::input::{Errors, Fields};
use domain::settings::{DestinationType, Settings};
use domain::{Clock, Random, Reason, Timestamp};
use egress::{Guard, Policy};
use local_aws::{
    Caller, Engines, Fault, GenerateSecretString, KeySpec, Options, Resources, SecretSpec,
    SecretValue,
};
use runtime::platform::{install_tls, system_clock, system_random};
use serde_json::{Value, json};
use tempfile::TempDir;
use vault::{Recipient, Vault};

const KEY: &str = "waybill-Key";
const SIGNING_KEYS: &str = "waybill-Keys";

/// The address of a destination's server.
#[derive(Clone, Debug)]
pub struct ServerAddress {
    /// The name or address of the server.
    pub host: String,
    /// The port of the server.
    pub port: u16,
}

/// Credentials in clear text.
#[derive(Clone, Debug)]
pub struct Login {
    /// The kind of the credentials.
    pub kind: CredentialKind,
    /// The properties that are not secret.
    pub open: Vec<(&'static str, String)>,
    /// The properties that are secret.
    pub secrets: Vec<(&'static str, String)>,
}

/// A destination that the server refuses.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// What is wrong with the destination.
    pub name: &'static str,
    /// The settings that differ from those of a working destination.
    pub settings: Value,
    /// The credentials of the destination.
    pub login: Login,
    /// The reason of the failed attempts.
    pub reason: Reason,
}

/// The embedded AWS services of one trial.
#[derive(Debug)]
pub struct TestServices {
    engines: Engines,
    vault: Vault,
    _data: TempDir,
}

impl TestServices {
    pub(crate) fn new() -> Self {
        install_tls();
        let data = tempfile::tempdir().unwrap();
        let root = GenerateSecretString {
            template: None,
            key: Some("root".into()),
            length: 64,
            exclude_punctuation: true,
        };
        let keys = SecretSpec {
            name: SIGNING_KEYS.into(),
            value: Some(SecretValue::Generated(root)),
        };
        let resources = Resources {
            keys: vec![KeySpec { name: KEY.into() }],
            secrets: vec![keys],
            ..Resources::empty()
        };
        let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
        let aws = engines.sdk_config(Caller::unlimited("contract"));
        let vault = Vault::new(&aws, engines.key_arn(KEY), system_clock(), system_random());
        Self {
            engines,
            vault,
            _data: data,
        }
    }

    /// Returns the configuration of a function, whose clients do not retry.
    pub fn aws(&self) -> SdkConfig {
        let config = self.engines.sdk_config(Caller::unlimited("contract"));
        config
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .build()
    }

    /// Returns a vault that opens what was sealed here.
    pub fn vault(&self) -> Vault {
        Vault::new(&self.aws(), None, self.clock(), self.random())
    }

    /// Returns a guard that allows connections to the first loopback address.
    pub fn guard(&self) -> Guard {
        Guard::new(Policy::parse("127.0.0.1").unwrap())
    }

    /// Returns the ARN of the secret with the deployment's signing keys.
    pub fn signing_keys_arn(&self) -> String {
        self.engines.secret_arn(SIGNING_KEYS).unwrap().to_owned()
    }

    /// Returns the machine's clock.
    pub fn clock(&self) -> Clock {
        system_clock()
    }

    /// Returns the machine's randomness.
    pub fn random(&self) -> Random {
        system_random()
    }

    pub(crate) fn secret_store_is_down(&self) {
        self.engines.install_faults(|_| Fault::unavailable());
    }

    pub(crate) fn secret_store_stalls(&self) {
        self.engines.install_faults(|_| Fault::HangBefore);
    }

    pub(crate) async fn destination(
        &self,
        kind: DestinationType,
        settings: Value,
        login: &Login,
    ) -> Destination {
        let Value::Object(members) = settings else {
            panic!("settings are an object")
        };
        let errors = Errors::default();
        let settings = Settings::read(kind, &mut Fields::new("", members, &errors));
        let settings = errors
            .into_result(settings)
            .unwrap_or_else(|errors| panic!("{errors:?}"))
            .unwrap();
        // Connectors cache connections by the destination's id and revision.
        static COUNT: AtomicI64 = AtomicI64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = Ulid::first_at(Timestamp::from_millis(1_764_000_000_000 + number));
        let credentials = Credentials {
            kind: login.kind,
            open: login
                .open
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            secrets: [].into(),
            shown: Default::default(),
        };
        let mut destination = Destination {
            id: id.into(),
            organization_id: id.into(),
            credentials,
            ..samples::destination(settings)
        };
        self.seal(&mut destination, login).await;
        destination
    }

    async fn seal(&self, destination: &mut Destination, login: &Login) {
        let recipient = Recipient::of(destination);
        for (name, secret) in &login.secrets {
            let field = sealed_name(name);
            let fields = [(&*field, secret.as_str().into())];
            let sealed = self
                .vault
                .seal_for(
                    &recipient,
                    destination.organization_id,
                    destination.id,
                    &fields,
                )
                .await;
            let sealed = sealed.unwrap().pop().unwrap();
            let field = SecretField {
                sealed,
                hint: None,
                updated_at: destination.created_at,
            };
            destination
                .credentials
                .secrets
                .insert((*name).to_owned(), field);
        }
    }
}

/// Returns `settings` with the properties of `others` in place of its own.
pub(crate) fn merged(mut settings: Value, others: &Value) -> Value {
    for (name, value) in others.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    settings
}

/// Returns the settings with this time limit.
pub(crate) fn within(settings: Value, seconds: u64) -> Value {
    merged(settings, &json!({"timeout_seconds": seconds}))
}

//! A connector and a destination with a mail server on this machine.

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use domain::audit::AuditEvent;
use domain::check::{CheckReport, StepName};
use domain::credentials::{CredentialKind, Credentials, SecretField, sealed_name};
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::id::{IdMint, OrganizationId};
use domain::input::{Errors, Fields};
use domain::organization::{Grants, Organization};
use domain::settings::{DestinationType, Settings};
use domain::{Reason, Timestamp};
use egress::{Client, Guard, Policy, Schemes, Tls};
use local_aws::{
    AttributeType, Caller, Engines, GenerateSecretString, KeySchema, KeySpec, Options, Resources,
    SecretSpec, SecretValue, TableSpec,
};
use oauth::Tokens;
use runtime::platform::{system_clock, system_random};
use rustls::RootCertStore;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::Store;
use tempfile::TempDir;
use tokio::time::Instant;
use vault::{Recipient, Vault};
use worker::{Attempted, Job, Payload, Unavailable};
use worker_email::{Email, Links, Parts};

pub(crate) const USERNAME: &str = "mailer";
pub(crate) const PASSWORD: &str = "right horse";
const TABLE: &str = "waybill";
pub(crate) const PUBLIC_URL: &str = "https://waybill.example";

pub(crate) struct Bench {
    email: Email,
    pub(crate) destination: Destination,
    pub(crate) engines: Engines,
    vault: Vault,
    _data: TempDir,
}

impl Bench {
    /// Creates a destination at `port` on this machine, with these settings in addition.
    pub(crate) async fn at(port: u16, settings: Value) -> Self {
        Self::greeting_as(port, settings, None).await
    }

    /// Creates the same destination, signing in with tokens from an authorization server.
    pub(crate) async fn with_tokens_of(port: u16, token_url: &str) -> Self {
        let mut bench = Self::at(port, json!({})).await;
        let members = [
            ("username", USERNAME),
            ("token_url", token_url),
            ("client_id", "app"),
        ];
        let credentials = &mut bench.destination.credentials;
        credentials.kind = CredentialKind::Oauth2ClientCredentials;
        credentials.open = members
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let Destination {
            organization_id,
            id,
            ..
        } = bench.destination;
        let name = sealed_name("client_secret");
        let sealed = bench
            .vault
            .seal(organization_id, id, &name, &"s3cret".into())
            .await
            .unwrap();
        let secret = SecretField {
            sealed,
            hint: None,
            updated_at: Timestamp::from_millis(0),
        };
        bench.destination.credentials.secrets = [("client_secret".to_owned(), secret)].into();
        bench
    }

    /// Creates the same destination, signing in with tokens for the refresh token `first`.
    pub(crate) async fn with_refresh_token_of(port: u16, token_url: &str) -> Self {
        let mut bench = Self::with_tokens_of(port, token_url).await;
        bench.destination.credentials.kind = CredentialKind::Oauth2RefreshToken;
        let Destination {
            organization_id,
            id,
            ..
        } = bench.destination;
        let name = sealed_name("refresh_token");
        let sealed = bench
            .vault
            .seal(organization_id, id, &name, &"first".into())
            .await
            .unwrap();
        let secret = SecretField {
            sealed,
            hint: None,
            updated_at: Timestamp::from_millis(0),
        };
        bench
            .destination
            .credentials
            .secrets
            .insert("refresh_token".to_owned(), secret);
        bench
    }

    /// Returns the store of the connector.
    pub(crate) fn store(&self) -> Store {
        Store::new(
            &self.engines.sdk_config(Caller::unlimited("tests")),
            TABLE.to_owned(),
            None,
        )
    }

    /// Stores the organization and the destination. Returns an audit event for further changes.
    pub(crate) async fn store_destination(&self) -> AuditEvent {
        let (organization, event) =
            organization(self.destination.organization_id, Grants::default());
        self.store()
            .create_organization(&organization, &event)
            .await
            .unwrap();
        let mint = IdMint::new([7; 32], system_clock(), system_random());
        let event = AuditEvent {
            id: mint.mint(self.destination.organization_id, 1),
            ..event
        };
        let created = self
            .store()
            .create_destination(&self.destination, &event)
            .await
            .unwrap();
        assert_eq!(created, store::Created::Done);
        event
    }

    /// Returns the destination as it is stored.
    pub(crate) async fn stored(&self) -> Destination {
        let Destination {
            organization_id,
            id,
            ..
        } = self.destination;
        self.store()
            .destination(organization_id, id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Returns the refresh token that is stored.
    pub(crate) async fn stored_refresh_token(&self) -> String {
        let stored = self.stored().await;
        let sealed = &stored.credentials.secrets["refresh_token"].sealed;
        let (recipient, name) = (Recipient::of(&stored), sealed_name("refresh_token"));
        let opened = self
            .vault
            .open_for(&recipient, stored.organization_id, stored.id, &name, sealed)
            .await
            .unwrap();
        opened.expose_secret().to_owned()
    }

    /// Creates an SES destination that uses the function's own role. `configure` changes the
    /// client's configuration, which otherwise uses the embedded engine.
    pub(crate) async fn of_ses(
        timeout_seconds: u32,
        configure: impl FnOnce(SdkConfig) -> SdkConfig,
    ) -> Self {
        let bench = Self::made(
            0,
            json!({"transport": "ses", "timeout_seconds": timeout_seconds}),
            None,
            configure,
        )
        .await;
        let grants = Grants {
            ses_identities: vec!["acme.example".to_owned()],
            ..Grants::default()
        };
        let store = Store::new(
            &bench.engines.sdk_config(Caller::unlimited("tests")),
            TABLE.to_owned(),
            None,
        );
        let (organization, created) = organization(bench.destination.organization_id, grants);
        store
            .create_organization(&organization, &created)
            .await
            .unwrap();
        let mut bench = bench;
        bench.destination.credentials = Credentials {
            kind: CredentialKind::Iam,
            ..Credentials::none()
        };
        bench
    }

    pub(crate) async fn greeting_as(port: u16, settings: Value, ehlo_name: Option<&str>) -> Self {
        Self::made(port, settings, ehlo_name, |aws| aws).await
    }

    async fn made(
        port: u16,
        settings: Value,
        ehlo_name: Option<&str>,
        configure: impl FnOnce(SdkConfig) -> SdkConfig,
    ) -> Self {
        runtime::platform::install_tls();
        let data = tempfile::tempdir().unwrap();
        let root = GenerateSecretString {
            template: None,
            key: Some("root".into()),
            length: 64,
            exclude_punctuation: true,
        };
        let keys = SecretSpec {
            name: "waybill-Keys".into(),
            value: Some(SecretValue::Generated(root)),
        };
        let resources = Resources {
            keys: vec![KeySpec {
                name: "waybill-Key".into(),
            }],
            secrets: vec![keys],
            tables: vec![table()],
            ..Resources::empty()
        };
        let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
        let aws = engines.sdk_config(Caller::unlimited("tests"));
        let guard = Guard::new(Policy::parse("127.0.0.1").unwrap());
        let tls = Tls::with_roots(RootCertStore::empty()).unwrap();
        let vault = Vault::new(
            &aws,
            engines.key_arn("waybill-Key"),
            system_clock(),
            system_random(),
        );
        let destination = destination(port, settings, &vault).await;
        let client = Client::new(guard.clone(), tls.clone());
        let secret = engines.secret_arn("waybill-Keys").unwrap().to_owned();
        let email = Email::new(Parts {
            guard,
            tls,
            tokens: Tokens::new(client, Schemes::HttpAndHttps, system_clock()),
            vault: vault.clone(),
            store: Store::new(&aws, TABLE.to_owned(), None),
            links: Links::new(&aws, secret, PUBLIC_URL.to_owned()),
            ehlo_name: ehlo_name.map(str::to_owned),
            aws: configure(aws),
            clock: system_clock(),
            random: system_random(),
        });
        Self {
            email,
            destination,
            engines,
            vault,
            _data: data,
        }
    }

    /// Limits how long mail servers may take to confirm a message.
    pub(crate) fn patient_for(self, longest: Duration) -> Self {
        Self {
            email: self.email.with_confirmation_max(longest),
            ..self
        }
    }

    pub(crate) async fn deliver(
        &self,
        delivery: &Delivery,
        payload: impl Into<Bytes>,
    ) -> Attempted {
        self.attempt(delivery, Payload::in_memory(payload))
            .await
            .unwrap()
    }

    pub(crate) async fn attempt(
        &self,
        delivery: &Delivery,
        payload: Payload,
    ) -> Result<Attempted, Unavailable> {
        let timeout = Duration::from_secs(self.destination.settings.timeout_seconds().into());
        let deadline = Instant::now() + timeout;
        worker::deliver(
            &self.email,
            Job {
                delivery,
                destination: &self.destination,
                payload,
                attempt_number: 1,
                deadline,
            },
        )
        .await
    }

    pub(crate) async fn check(&self) -> CheckReport {
        worker::check(&self.email, &self.destination).await
    }
}

/// Returns an organization with these grants, and the audit event of its creation.
fn organization(id: OrganizationId, grants: Grants) -> (Organization, AuditEvent) {
    let now = system_clock().now();
    let organization = Organization {
        grants,
        shards: 1,
        ..Organization::new(id, "Acme", String::new(), now)
    };
    let created = AuditEvent::by_system(
        IdMint::new([7; 32], system_clock(), system_random()).mint(id, 1),
        id,
        now,
        "organization.created",
        id,
    );
    (organization, created)
}

fn table() -> TableSpec {
    TableSpec {
        name: TABLE.to_owned(),
        attributes: ["pk", "sk"]
            .map(|name| (name.to_owned(), AttributeType::Text))
            .to_vec(),
        key: KeySchema {
            hash: "pk".to_owned(),
            range: Some("sk".to_owned()),
        },
        indexes: Vec::new(),
        ttl_attribute: Some("ttl".to_owned()),
    }
}

async fn destination(port: u16, settings: Value, vault: &Vault) -> Destination {
    let mut all = json!({"transport": {"smtp": {"host": "127.0.0.1", "port": port,
        "security": "none"}}, "from": "reports@acme.example",
        "to": ["ada@customer.example"]});
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    let errors = Errors::default();
    let settings = Settings::read(
        DestinationType::Email,
        &mut Fields::new("", all.as_object().unwrap().clone(), &errors),
    )
    .unwrap();
    let sample = samples::webhook("");
    let sealed = vault
        .seal(
            sample.organization_id,
            sample.id,
            &sealed_name("password"),
            &PASSWORD.into(),
        )
        .await
        .unwrap();
    let secret = SecretField {
        sealed,
        hint: None,
        updated_at: Timestamp::from_millis(0),
    };
    let credentials = Credentials {
        kind: CredentialKind::SmtpPassword,
        open: [("username".to_owned(), USERNAME.to_owned())].into(),
        secrets: [("password".to_owned(), secret)].into(),
        shown: Default::default(),
    };
    Destination {
        settings,
        credentials,
        ..sample
    }
}

/// Returns a delivery of a payload of this type.
pub(crate) fn delivery(content_type: &str, filename: Option<&str>, size_bytes: u64) -> Delivery {
    let mut delivery = samples::delivery();
    let payload = &mut delivery.message.payload;
    (payload.content_type, payload.filename, payload.size_bytes) = (
        content_type.to_owned(),
        filename.map(str::to_owned),
        size_bytes,
    );
    delivery
}

/// Returns a small delivery, for tests that do not depend on the payload.
pub(crate) fn small() -> Delivery {
    delivery("application/json", None, 2)
}

pub(crate) fn failed_step(report: &CheckReport) -> Option<(StepName, &str)> {
    report
        .steps
        .iter()
        .find(|step| step.ok == Some(false))
        .map(|step| (step.name, step.detail.as_str()))
}

pub(crate) fn reason(attempted: &Attempted) -> Option<Reason> {
    attempted.outcome.reason()
}

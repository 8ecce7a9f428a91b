//! The database worker as a Lambda function: opens a destination's credentials and calls the
//! connector.

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use domain::Clock;
use domain::credentials::CredentialKind;
use domain::destination::Destination;
use domain::settings::Settings;
use domain::settings::database::connection_string::ConnectionString;
use domain::settings::database::{DatabaseSettings, Engine, Mode};
use egress::Guard;
use runtime::{ConfigError, Platform};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::{Duration, SystemTime};
use store::Store;
use vault::{Confidential, Vault};

use crate::document::DOCUMENT_BYTES_MAX;
use crate::{Credentials, Database, Facts, Trust, iam};
use worker::{
    Attempted, Check, Config, Connector, ConnectorError, Job, Opened, Unavailable, Worker,
    dependency,
};

/// The database connector, with the vault that opens its credentials and the store that holds
/// grants.
#[derive(Debug)]
pub struct Databases {
    database: Database,
    vault: Vault,
    store: Store,
    aws: SdkConfig,
    clock: Clock,
}

/// Builds the database worker.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<Databases>, ConfigError> {
    let Platform {
        aws, clock, random, ..
    } = platform.clone();
    let database = Database::new(Guard::new(config.egress.clone()), Trust::native());
    let vault = Vault::new(&aws, None, clock.clone(), random);
    let store = Store::new(&aws, config.table_name.clone(), None);
    let connector = Databases::new(database, vault, store, aws, clock);
    Ok(Worker::on(platform, config, connector))
}

/// How many copies of a document are in memory: the payload, the value of its statement, and the
/// packet that is sent.
const DOCUMENT_COPIES: u64 = 3;
/// The most memory that rows in transit take. One long row can fill it.
const ROWS_MEMORY_BYTES_MAX: u64 = 48 << 20;

impl Connector for Databases {
    fn memory_bytes(&self, destination: &Destination, payload_bytes: u64) -> u64 {
        match settings(destination).map(|(_, settings)| settings.mode) {
            Ok(Mode::Document) if payload_bytes <= DOCUMENT_BYTES_MAX => {
                payload_bytes * DOCUMENT_COPIES
            }
            Ok(Mode::Rows) => payload_bytes.min(ROWS_MEMORY_BYTES_MAX),
            Ok(Mode::Document) | Err(_) => 0,
        }
    }

    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        let (engine, settings) = settings(job.destination)?;
        let credentials = self.credentials(job.destination, engine, settings).await?;
        let message = &job.delivery.message;
        let facts = Facts {
            delivery: job.delivery.id,
            event_type: message.event_type.as_str().to_owned(),
            created_at: job.delivery.created_at,
            content_type: message.payload.content_type.clone(),
            filename: message.payload.filename.clone(),
            sha256: message.payload.sha256.clone(),
        };
        self.database
            .deliver(
                engine,
                settings,
                &credentials,
                &facts,
                job.payload,
                job.deadline,
            )
            .await
    }

    async fn check(&self, check: Check<'_>) -> Result<(), ConnectorError> {
        let Check {
            destination,
            deadline,
            steps,
            ..
        } = check;
        let (engine, settings) = settings(destination)?;
        let credentials = self.credentials(destination, engine, settings).await?;
        self.database
            .check(engine, settings, &credentials, deadline, steps)
            .await
    }
}

impl Databases {
    /// Creates a connector that opens credentials with `vault` and reads the grants of
    /// organizations from `store`.
    #[must_use]
    pub fn new(
        database: Database,
        vault: Vault,
        store: Store,
        aws: SdkConfig,
        clock: Clock,
    ) -> Self {
        Self {
            database,
            vault,
            store,
            aws,
            clock,
        }
    }

    async fn credentials(
        &self,
        destination: &Destination,
        engine: Engine,
        settings: &DatabaseSettings,
    ) -> Result<Credentials, ConnectorError> {
        let opened = Opened::of(&self.vault, destination);
        let ca_pem = opened.open_opt("ca_pem").map(str::to_owned);
        let username = || opened.open("username").map(str::to_owned);
        Ok(match destination.credentials.kind {
            CredentialKind::ConnectionString => {
                let connection_string = opened.secret("connection_string").await?;
                if let Ok(said) = ConnectionString::parse(engine, connection_string.expose_secret())
                {
                    Confidential::add(&said.password.into());
                }
                Credentials::ConnectionString {
                    connection_string,
                    ca_pem,
                }
            }
            CredentialKind::Password => Credentials::Password {
                username: username()?,
                password: opened.secret("password").await?,
                ca_pem,
            },
            CredentialKind::ClientCertificate => Credentials::ClientCertificate {
                username: username()?,
                certificate_pem: opened.open("certificate_pem")?.to_owned(),
                private_key_pem: opened.secret("private_key_pem").await?,
                ca_pem,
            },
            CredentialKind::Iam => {
                let token = self
                    .token(destination, engine, settings, &username()?)
                    .await?;
                Confidential::add(&token);
                Credentials::Iam {
                    username: username()?,
                    token,
                    ca_pem,
                }
            }
            other => {
                return Err(ConnectorError::misconfigured(format!(
                    "a database does not take credentials of the kind {}",
                    other.as_str()
                )));
            }
        })
    }

    /// Generates an IAM token, which AWS accepts as the password, for a database that the operator
    /// granted to the organization.
    async fn token(
        &self,
        destination: &Destination,
        engine: Engine,
        settings: &DatabaseSettings,
        username: &str,
    ) -> Result<SecretString, ConnectorError> {
        let organization = dependency(self.store.organization(destination.organization_id)).await?;
        let host = settings.host.as_deref().unwrap_or_default();
        if !organization.is_some_and(|organization| {
            organization
                .grants
                .databases
                .iter()
                .any(|granted| granted == host)
        }) {
            return Err(ConnectorError::misconfigured(format!(
                "the database {host} is not granted to this organization"
            )));
        }
        let no_provider = || Unavailable::new("the function has no credentials of its own");
        let provider = self.aws.credentials_provider().ok_or_else(no_provider)?;
        let own = dependency(provider.provide_credentials())
            .await
            .map_err(Unavailable::because)?;
        let now = SystemTime::UNIX_EPOCH
            + Duration::from_millis(
                u64::try_from(self.clock.now().as_millis()).unwrap_or_default(),
            );
        let token = iam::token(
            own,
            host,
            settings.port.unwrap_or(engine.port()),
            username,
            now,
        );
        token.map_err(|error| ConnectorError::misconfigured(error.to_string()))
    }
}

fn settings(destination: &Destination) -> Result<(Engine, &DatabaseSettings), ConnectorError> {
    match &destination.settings {
        Settings::Postgres(settings) => Ok((Engine::Postgres, settings)),
        Settings::Mysql(settings) => Ok((Engine::Mysql, settings)),
        _ => Err(ConnectorError::misconfigured(
            "the destination is not a database",
        )),
    }
}

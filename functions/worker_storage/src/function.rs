//! The storage worker as a Lambda function: opens a destination's credentials and calls the
//! connector.

use domain::credentials::CredentialKind;
use domain::destination::Destination;
use domain::settings::Settings as DestinationSettings;
use domain::{Clock, Random};
use egress::{Client, Guard, Tls};
use render::{Fault, TemplateValues};
use runtime::{ConfigError, Platform};
use store::Store;
use tokio::time::Instant;
use vault::Vault;
use worker::{
    Attempted, Check, Config, Connector, ConnectorError, Job, Opened, Worker, dependency,
};

use crate::upload::MEMORY_BYTES_MAX;
use crate::{Credentials, Meta, Sample, Settings, Storage};

/// The storage connector, with the vault that opens its credentials and the store that holds
/// grants.
#[derive(Debug)]
pub struct ObjectStorage {
    storage: Storage,
    vault: Vault,
    store: Store,
    clock: Clock,
    random: Random,
}

/// Builds the storage worker. Returns an error if the machine has no trusted root certificates.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<ObjectStorage>, ConfigError> {
    let Platform {
        aws, clock, random, ..
    } = platform.clone();
    let client = Client::new(
        Guard::new(config.egress.clone()),
        Tls::native().map_err(ConfigError::because)?,
    );
    let storage = Storage::new(client, config.schemes, aws.clone(), clock.clone());
    let vault = Vault::new(&aws, None, clock.clone(), random.clone());
    let store = Store::new(
        &aws,
        config.table_name.clone(),
        Some(config.bucket_name.clone()),
    );
    let connector = ObjectStorage::new(storage, vault, store, clock, random);
    Ok(Worker::on(platform, config, connector))
}

impl Connector for ObjectStorage {
    fn memory_bytes(&self, _: &Destination, payload_bytes: u64) -> u64 {
        payload_bytes.min(MEMORY_BYTES_MAX)
    }

    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        let settings = settings(job.destination)?;
        let template_values = TemplateValues::of(
            job.delivery,
            job.attempt_number,
            job.payload.bytes_in_memory(),
        );
        let key = key(settings, template_values, job.deadline).await?;
        let credentials = self.credentials(job.destination).await?;
        let meta = meta(&job);
        self.storage
            .deliver(
                settings,
                &credentials,
                &meta,
                &key,
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
        let unique = format!("{:032x}", u128::from_be_bytes(self.random.bytes()));
        let settings = settings(destination)?;
        // A template may need data that only a message has. Then its constant prefix is used.
        let template_values = TemplateValues::of_check(destination, &unique, self.clock.now());
        let key = key(settings, template_values, deadline)
            .await
            .unwrap_or_else(|_| settings.constant_key());
        let credentials = self.credentials(destination).await?;
        let organization_id = destination.organization_id.to_string();
        let sample = Sample {
            organization_id: &organization_id,
            key: &key,
            unique: &unique,
        };
        self.storage
            .check(settings, &credentials, sample, deadline, steps)
            .await
    }
}

impl ObjectStorage {
    /// Creates a connector that opens credentials with `vault` and reads the grants of
    /// organizations from `store`.
    #[must_use]
    pub fn new(storage: Storage, vault: Vault, store: Store, clock: Clock, random: Random) -> Self {
        Self {
            storage,
            vault,
            store,
            clock,
            random,
        }
    }

    async fn credentials(&self, destination: &Destination) -> Result<Credentials, ConnectorError> {
        let opened = Opened::of(&self.vault, destination);
        Ok(match destination.credentials.kind {
            CredentialKind::Iam => Credentials::Iam {
                granted_buckets: self.organization(destination).await?.grants.buckets,
            },
            CredentialKind::IamRole => Credentials::IamRole {
                role_arn: opened.open("role_arn")?.to_owned(),
                external_id: self.organization(destination).await?.aws_external_id,
            },
            CredentialKind::AccessKey => Credentials::AccessKey {
                access_key_id: opened.open("access_key_id")?.to_owned(),
                secret_access_key: opened.secret("secret_access_key").await?,
                session_token: opened.secret_opt("session_token").await?,
            },
            CredentialKind::ServiceAccount => Credentials::ServiceAccount {
                json: opened.secret("json").await?,
            },
            CredentialKind::AccountKey => Credentials::AccountKey {
                account_key: opened.secret("account_key").await?,
            },
            CredentialKind::SasToken => Credentials::SasToken {
                sas_token: opened.secret("sas_token").await?,
            },
            CredentialKind::ServicePrincipal => Credentials::ServicePrincipal {
                tenant_id: opened.open("tenant_id")?.to_owned(),
                client_id: opened.open("client_id")?.to_owned(),
                client_secret: opened.secret("client_secret").await?,
            },
            other => {
                return Err(ConnectorError::misconfigured(format!(
                    "object storage does not take credentials of the kind {}",
                    other.as_str()
                )));
            }
        })
    }

    async fn organization(
        &self,
        destination: &Destination,
    ) -> Result<domain::organization::Organization, ConnectorError> {
        let found = dependency(self.store.organization(destination.organization_id)).await?;
        found.ok_or_else(|| ConnectorError::misconfigured("the organization no longer exists"))
    }
}

fn settings(destination: &Destination) -> Result<Settings<'_>, ConnectorError> {
    match &destination.settings {
        DestinationSettings::S3(settings) => Ok(Settings::S3(settings)),
        DestinationSettings::Gcs(settings) => Ok(Settings::Gcs(settings)),
        DestinationSettings::AzureBlob(settings) => Ok(Settings::AzureBlob(settings)),
        _ => Err(ConnectorError::misconfigured(
            "the destination is not object storage",
        )),
    }
}

async fn key(
    settings: Settings<'_>,
    template_values: TemplateValues,
    deadline: Instant,
) -> Result<String, Fault> {
    let object = settings.object().clone();
    let organization = template_values.organization_id.clone();
    render::off_thread(organization, Some(deadline), move |stop| {
        render::line::key(&object, &template_values, stop)
    })
    .await
}

fn meta(job: &Job<'_>) -> Meta {
    let message = &job.delivery.message;
    Meta {
        organization_id: job.delivery.organization.to_string(),
        delivery_id: job.delivery.id.to_string(),
        message_id: job.delivery.id.message.to_string(),
        event_type: message.event_type.as_str().to_owned(),
        content_type: message.payload.content_type.clone(),
        sha256: message.payload.sha256.clone(),
        fallback_of: job.delivery.fallback_of,
    }
}

//! The SFTP worker as a Lambda function: opens a destination's credentials and calls the connector.

use domain::Random;
use domain::check::{CheckReport, HostKeysAnswer, HostKeysServer};
use domain::credentials::CredentialKind;
use domain::destination::Destination;
use domain::settings::Settings;
use domain::settings::sftp::SftpSettings;
use egress::{Guard, Host};
use runtime::{ConfigError, Platform};
use tokio::time::Instant;
use vault::Vault;
use worker::{
    Attempted, CHECK_TIME_LIMIT, Check, Config, Connector, ConnectorError, Job, Opened,
    StepRecorder, Worker,
};

use crate::{Credentials, Meta, deliver};

/// The SFTP connector, with the vault that opens its credentials.
#[derive(Debug)]
pub struct Sftp {
    guard: Guard,
    vault: Vault,
    random: Random,
}

/// Builds the SFTP worker.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<Sftp>, ConfigError> {
    let Platform {
        aws, clock, random, ..
    } = platform.clone();
    let vault = Vault::new(&aws, None, clock, random.clone());
    let connector = Sftp::new(Guard::new(config.egress.clone()), vault, random);
    Ok(Worker::on(platform, config, connector))
}

/// The most memory that a delivery takes: the requests under way, the channel's window, and the
/// part of the payload that was read ahead.
const MEMORY_BYTES_MAX: u64 = 12 << 20;

impl Connector for Sftp {
    fn memory_bytes(&self, _: &Destination, payload_bytes: u64) -> u64 {
        payload_bytes.min(MEMORY_BYTES_MAX)
    }

    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        let settings = settings(job.destination)?;
        let credentials = self.credentials(job.destination).await?;
        let message = &job.delivery.message;
        let meta = Meta {
            organization_id: &job.delivery.organization.to_string(),
            message_id: &job.delivery.id.message.to_string(),
            delivery_id: &job.delivery.id.to_string(),
            event_type: message.event_type.as_str(),
            reference: message.reference.as_deref(),
            metadata: &message.metadata,
            created_at: job.delivery.created_at,
            content_type: &message.payload.content_type,
            filename: message.payload.filename.as_deref(),
            sha256: message.payload.sha256.as_deref(),
            attempt: job.attempt_number,
            fallback_of: job.delivery.fallback_of,
        };
        deliver(
            &self.guard,
            settings,
            &credentials,
            &meta,
            job.payload,
            job.deadline,
        )
        .await
    }

    async fn host_keys(&self, server: HostKeysServer) -> HostKeysAnswer {
        let deadline = Instant::now() + CHECK_TIME_LIMIT;
        let found = async {
            let host = Host::parse(&server.host)
                .map_err(|refusal| ConnectorError::misconfigured(refusal.to_string()))?;
            crate::host_keys(&self.guard, &host, server.port, deadline).await
        };
        match found.await {
            Ok(host_keys) => HostKeysAnswer::Keys { host_keys },
            Err(error) => {
                let CheckReport { ok, steps } = StepRecorder::default().report(Err(error));
                HostKeysAnswer::Refused { ok, steps }
            }
        }
    }

    async fn check(&self, check: Check<'_>) -> Result<(), ConnectorError> {
        let settings = settings(check.destination)?;
        let credentials = self.credentials(check.destination).await?;
        let unique = format!("check-{:032x}", u128::from_be_bytes(self.random.bytes()));
        crate::check(
            &self.guard,
            settings,
            &credentials,
            &unique,
            check.deadline,
            check.steps,
        )
        .await
    }
}

impl Sftp {
    /// Creates a connector whose connections all pass `guard`.
    #[must_use]
    pub fn new(guard: Guard, vault: Vault, random: Random) -> Self {
        Self {
            guard,
            vault,
            random,
        }
    }

    async fn credentials(&self, destination: &Destination) -> Result<Credentials, ConnectorError> {
        let opened = Opened::of(&self.vault, destination);
        match destination.credentials.kind {
            CredentialKind::Password => Ok(Credentials::Password {
                password: opened.secret("password").await?,
            }),
            CredentialKind::PrivateKey => Ok(Credentials::PrivateKey {
                private_key: opened.secret("private_key").await?,
                passphrase: opened.secret_opt("passphrase").await?,
            }),
            other => Err(ConnectorError::misconfigured(format!(
                "an SFTP server does not take credentials of the kind {}",
                other.as_str()
            ))),
        }
    }
}

fn settings(destination: &Destination) -> Result<&SftpSettings, ConnectorError> {
    match &destination.settings {
        Settings::Sftp(settings) => Ok(settings),
        _ => Err(ConnectorError::misconfigured(
            "the destination is not an SFTP server",
        )),
    }
}

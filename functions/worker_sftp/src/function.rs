//! The SFTP worker as a function: a destination's settings and credentials, opened and put into the connector's words.

use std::time::Duration;

use domain::Random;
use domain::check::{CheckReport, CheckStep, HostKeysAnswer, HostKeysPlace, StepName};
use domain::credentials::CredentialKind;
use domain::destination::Destination;
use domain::settings::Settings;
use domain::settings::sftp::SftpSettings;
use egress::{Guard, Host};
use runtime::{ConfigError, Platform};
use tokio::time::Instant;
use vault::Vault;
use worker::{Attempted, Config, Connector, Hindrance, Job, Opened, Unavailable, Worker};

use crate::{Credentials, Failure, Meta, check, deliver};

/// All of a check's steps together: what the worker allows (20 s), less what telling takes.
const CHECK_MAX: Duration = Duration::from_secs(18);

/// The connector with what it opens credentials with.
#[derive(Debug)]
pub struct Sftp {
    guard: Guard,
    vault: Vault,
    random: Random,
}

/// The SFTP worker as a function.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<Sftp>, ConfigError> {
    let Platform { aws, clock, random, .. } = platform.clone();
    let vault = Vault::new(&aws, None, clock, random.clone());
    let connector = Sftp { guard: Guard::new(config.egress.clone()), vault, random };
    Ok(Worker::on(platform, config, connector))
}

/// What a file takes in memory on its way: requests under way, the channel's window, and what was read ahead.
const MEMORY_BYTES_MAX: u64 = 12 << 20;

impl Connector for Sftp {
    fn memory_bytes(&self, _: &Destination, payload_bytes: u64) -> u64 {
        payload_bytes.min(MEMORY_BYTES_MAX)
    }

    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, Unavailable> {
        let prepared = async { Ok::<_, Hindrance>((settings(job.destination)?, self.credentials(job.destination).await?)) };
        let (settings, credentials) = match prepared.await {
            Ok(prepared) => prepared,
            Err(hindrance) => return hindrance.into_attempted(),
        };
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
        };
        deliver(&self.guard, settings, &credentials, &meta, job.payload, job.deadline).await
    }

    async fn host_keys(&self, place: HostKeysPlace) -> HostKeysAnswer {
        let deadline = Instant::now() + CHECK_MAX;
        let step = |name, detail: String| HostKeysAnswer::Refused {
            ok: false,
            steps: vec![CheckStep { name, ok: Some(false), detail, duration_ms: 0 }],
        };
        match Host::parse(&place.host) {
            Err(refusal) => step(StepName::Resolve, refusal.to_string()),
            Ok(host) => match crate::host_keys(&self.guard, &host, place.port, deadline).await {
                Ok(host_keys) => HostKeysAnswer::Keys { host_keys },
                Err(Failure::Theirs { step: name, detail, .. }) => step(name, detail),
                Err(ours @ Failure::Ours(_)) => step(StepName::HostKey, ours.detail().to_owned()),
            },
        }
    }

    async fn check(&self, destination: &Destination) -> CheckReport {
        let prepared = async { Ok::<_, Hindrance>((settings(destination)?, self.credentials(destination).await?)) };
        let deadline = Instant::now() + CHECK_MAX.min(Duration::from_secs(destination.settings.timeout_seconds().into()));
        let unique = format!("check-{:032x}", u128::from_be_bytes(self.random.bytes()));
        match prepared.await {
            Ok((settings, credentials)) => check(&self.guard, settings, &credentials, &unique, deadline).await,
            Err(hindrance) => worker::refused_check(hindrance.detail()),
        }
    }
}

impl Sftp {
    async fn credentials(&self, destination: &Destination) -> Result<Credentials, Hindrance> {
        let opened = Opened::of(&self.vault, destination);
        match destination.credentials.kind {
            CredentialKind::Password => Ok(Credentials::Password { password: opened.secret("password").await? }),
            CredentialKind::PrivateKey => Ok(Credentials::PrivateKey {
                private_key: opened.secret("private_key").await?,
                passphrase: opened.secret_opt("passphrase").await?,
            }),
            other => Err(Hindrance::misconfigured(format!("an SFTP server takes no credentials of the kind {}", other.as_str()))),
        }
    }
}

fn settings(destination: &Destination) -> Result<&SftpSettings, Hindrance> {
    match &destination.settings {
        Settings::Sftp(settings) => Ok(settings),
        _ => Err(Hindrance::misconfigured("the destination is no SFTP server")),
    }
}

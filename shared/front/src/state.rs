//! The state that all requests share.

use std::sync::Arc;

use aws_config::SdkConfig;
use domain::key_ring::KeyRing;
use operations::{Operations, Refusal, Services, Settings, SigningKeys};
use runtime::Platform;
use tokio::sync::OnceCell;
use vault::{KeySource, KeyUse, Vault, VaultError};

use crate::Config;

/// The state of a front, which its requests share.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    platform: Platform,
    config: Config,
    operations: OnceCell<(Arc<Operations>, Keys)>,
}

impl Front {
    /// Creates the state of a front. Operations are loaded by the first request.
    #[must_use]
    pub fn new(platform: Platform, config: Config) -> Self {
        Self(Arc::new(Shared {
            platform,
            config,
            operations: OnceCell::new(),
        }))
    }

    /// Returns the configuration of the front.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Returns the platform that the front runs on.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// Returns the operations. The first call loads the keys that they sign with.
    pub async fn operations(&self) -> Result<&Arc<Operations>, Refusal> {
        let load = async || {
            let (operations, keys) = load(&self.0.platform, &self.0.config).await?;
            Ok::<_, VaultError>((Arc::new(operations), keys))
        };
        let (operations, keys) = self
            .0
            .operations
            .get_or_try_init(load)
            .await
            .map_err(Refusal::unavailable)?;
        keys.refresh().await;
        Ok(operations)
    }
}

/// Loads the operations, for a process that creates its first API keys with them.
pub async fn operations(platform: &Platform, config: &Config) -> Result<Operations, VaultError> {
    load(platform, config)
        .await
        .map(|(operations, _)| operations)
}

/// The signing keys of a front, which are refreshed while it runs.
struct Keys {
    platform: Platform,
    sources: Vec<KeySource>,
}

impl Keys {
    /// Reads the keys of one use. Without a secret they are random, so nothing that another process
    /// signed is accepted.
    async fn load(&mut self, usage: KeyUse, arn: Option<&String>) -> Result<KeyRing, VaultError> {
        let Some(arn) = arn else {
            return Ok(self.platform.random.bytes::<32>().into());
        };
        let source = KeySource::new(&self.platform.aws, arn.clone(), usage);
        let ring = source.ring(self.platform.clock.now()).await?;
        self.sources.push(source);
        Ok(ring)
    }

    async fn refresh(&self) {
        for source in &self.sources {
            if let Err(error) = source.ring(self.platform.clock.now()).await {
                tracing::warn!(error = %domain::chain(&error), "failed to read signing keys");
            }
        }
    }
}

async fn load(platform: &Platform, config: &Config) -> Result<(Operations, Keys), VaultError> {
    let aws: &SdkConfig = &platform.aws;
    let (clock, random) = (platform.clock.clone(), platform.random.clone());
    let mut keys = Keys {
        platform: platform.clone(),
        sources: Vec::new(),
    };
    let signing = SigningKeys {
        ids: keys
            .load(KeyUse::Ids, Some(&config.signing_keys_secret_arn))
            .await?,
        cursors: keys
            .load(KeyUse::Cursors, config.cursor_keys_secret_arn.as_ref())
            .await?,
        links: keys
            .load(KeyUse::Links, config.link_keys_secret_arn.as_ref())
            .await?,
        sessions: keys
            .load(KeyUse::Sessions, config.session_keys_secret_arn.as_ref())
            .await?,
    };
    let store = store::Store::new(
        aws,
        config.table_name.clone(),
        Some(config.bucket_name.clone()),
    );
    let queues = queue::Queues::new(aws, config.queue_urls.clone());
    let services = Services {
        vault: Vault::new(
            aws,
            Some(config.kms_key_id.clone()),
            clock.clone(),
            random.clone(),
        ),
        dispatch: dispatch::Dispatcher::new(store.clone(), queues, clock.clone())
            .alerting_from(config.alert_from.clone())
            .publishing_on(
                config
                    .event_bus_name
                    .clone()
                    .map(|name| dispatch::Bus::new(aws, name)),
            ),
        jobs: queue::JobQueue::new(aws, config.jobs_queue_url.clone()),
        lambda: aws_sdk_lambda::Client::new(aws),
        store,
        clock,
        random,
    };
    let settings = Settings {
        worker_functions: config.worker_functions.clone(),
        egress: config.egress.clone(),
        plain_http: config.plain_http,
        rate_limits: config.rate_limits,
        quotas: config.quotas,
        function_timeout_seconds: config.function_timeout_seconds,
        account_id: config.account_id.clone(),
        own_bucket: config.bucket_name.clone(),
        own_secret_arns: config.own_secret_arns.clone(),
    };
    let operations = Operations::new(services, signing, settings);
    Ok((operations, keys))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A front for tests that use no operation.
    pub(crate) fn front(public_url: Option<&str>) -> Front {
        let platform = Platform {
            aws: aws_config::SdkConfig::builder().build(),
            clock: domain::Clock::new(|| domain::Timestamp::from_millis(0)),
            random: domain::Random::new(|buffer| buffer.fill(7)),
            shutdown: tokio_util::sync::CancellationToken::new(),
            background: tokio_util::task::TaskTracker::new(),
        };
        let config = Config {
            table_name: String::new(),
            bucket_name: String::new(),
            account_id: "000000000000".to_owned(),
            kms_key_id: String::new(),
            signing_keys_secret_arn: String::new(),
            cursor_keys_secret_arn: None,
            link_keys_secret_arn: None,
            session_keys_secret_arn: None,
            own_secret_arns: Vec::new(),
            queue_urls: domain::settings::PerLane::each(|_| String::new()),
            jobs_queue_url: String::new(),
            worker_functions: domain::settings::PerLane::each(|_| String::new()),
            public_url: public_url.map(str::to_owned),
            event_bus_name: None,
            alert_from: None,
            egress: egress::Policy::public(),
            plain_http: false,
            rate_limits: false,
            quotas: domain::quota::Quotas::default(),
            function_timeout_seconds: 29,
        };
        Front::new(platform, config)
    }
}

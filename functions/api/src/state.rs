//! What every request shares.

use std::sync::Arc;

use aws_config::SdkConfig;
use operations::{Cursors, Operations, Refusal, Settings};
use runtime::Platform;
use tokio::sync::OnceCell;
use vault::{SigningKeys, Vault, VaultError};

use crate::Config;

/// The api's shared state.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

struct Shared {
    platform: Platform,
    pub(crate) config: Config,
    operations: OnceCell<Operations>,
}

impl Api {
    pub(crate) fn new(platform: Platform, config: Config) -> Self {
        Self(Arc::new(Shared { platform, config, operations: OnceCell::new() }))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// The operations; the first request loads the keys they sign with.
    pub(crate) async fn operations(&self) -> Result<&Operations, Refusal> {
        let load = || operations(&self.0.platform, &self.0.config);
        self.0.operations.get_or_try_init(load).await.map_err(Refusal::unavailable)
    }
}

/// What the api's requests are carried out with; whoever starts Waybill makes its first keys with them.
pub async fn operations(platform: &Platform, config: &Config) -> Result<Operations, VaultError> {
    let aws: &SdkConfig = &platform.aws;
    let keys = SigningKeys::load(aws, &config.signing_keys_secret_arn).await?;
    let (clock, random) = (platform.clock.clone(), platform.random.clone());
    let store = store::Store::new(aws, config.table_name.clone(), Some(config.bucket_name.clone()));
    let queues = queue::Queues::new(aws, config.queue_urls.clone());
    Ok(Operations {
        vault: Vault::new(aws, Some(config.kms_key_id.clone()), clock.clone(), random.clone()),
        dispatch: dispatch::Dispatcher::new(store.clone(), queues, clock.clone()).alerting_from(config.alert_from.clone()),
        jobs: queue::JobQueue::new(aws, config.jobs_queue_url.clone()),
        access: access::Access::new(store.clone(), clock.clone()),
        ids: domain::id::IdMint::new(keys.id_key, clock.clone(), random.clone()),
        cursors: Cursors::new(keys.cursor_key),
        payload_links: access::PayloadLinks::new(keys.link_key),
        egress: config.egress.clone(),
        lambda: aws_sdk_lambda::Client::new(aws),
        store,
        clock,
        random,
        settings: Arc::new(Settings {
            worker_functions: config.worker_functions.clone(),
            plain_http: config.plain_http,
            rate_limits: config.rate_limits,
            function_timeout_seconds: config.function_timeout_seconds,
            own_bucket: config.bucket_name.clone(),
            own_secret_arns: vec![config.signing_keys_secret_arn.clone()],
        }),
    })
}

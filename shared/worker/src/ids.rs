//! Ids for what a worker records on its own. Few workers ever need one, so the key they are made with is read at first need.

use aws_config::SdkConfig;
use domain::id::IdMint;
use domain::{Clock, Random};
use tokio::sync::OnceCell;
use vault::{SigningKeys, VaultError};

/// Makes ids once the deployment's keys have been read.
#[derive(Debug)]
pub struct Ids {
    aws: SdkConfig,
    signing_keys_secret_arn: String,
    clock: Clock,
    random: Random,
    mint: OnceCell<IdMint>,
}

impl Ids {
    /// Ids made with the keys in this secret.
    #[must_use]
    pub fn new(aws: &SdkConfig, signing_keys_secret_arn: String, clock: Clock, random: Random) -> Self {
        Self { aws: aws.clone(), signing_keys_secret_arn, clock, random, mint: OnceCell::new() }
    }

    /// The mint; the first caller waits for the keys.
    pub(crate) async fn mint(&self) -> Result<&IdMint, VaultError> {
        let load = async || {
            let keys = SigningKeys::load(&self.aws, &self.signing_keys_secret_arn).await?;
            Ok(IdMint::new(keys.id_key, self.clock.clone(), self.random.clone()))
        };
        self.mint.get_or_try_init(load).await
    }
}

//! What the e-mail worker is configured with, besides what every worker is.

use runtime::{ConfigError, Environment};

/// The e-mail worker's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every worker is configured with.
    pub worker: worker::Config,
    /// `KMS_KEY_ID`: refresh tokens that an authorization server changed are sealed under it.
    pub kms_key_id: String,
    /// `SIGNING_KEYS_SECRET_ARN`: the root of the key that signs links to payloads.
    pub signing_keys_secret_arn: String,
    /// `PUBLIC_URL`: where those links lead.
    pub public_url: String,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self {
            worker: worker::Config::take(&variables),
            kms_key_id: variables.required("KMS_KEY_ID"),
            signing_keys_secret_arn: variables.required("SIGNING_KEYS_SECRET_ARN"),
            public_url: variables.required::<String>("PUBLIC_URL").trim_end_matches('/').to_owned(),
        };
        variables.finish(config)
    }
}

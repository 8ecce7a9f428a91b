//! What the e-mail worker is configured with, besides what every worker is.

use runtime::{ConfigError, Environment};

/// The e-mail worker's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every worker is configured with.
    pub worker: worker::Config,
    /// `KMS_KEY_ID`: refresh tokens that an authorization server changed are sealed under it.
    pub kms_key_id: String,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self { worker: worker::Config::take(&variables), kms_key_id: variables.required("KMS_KEY_ID") };
        variables.finish(config)
    }
}

//! What the e-mail worker is configured with, besides what every worker is.

use runtime::{ConfigError, Environment};

/// The e-mail worker's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every worker is configured with.
    pub worker: worker::Config,
    /// `KMS_KEY_ID`: refresh tokens that an authorization server changed are sealed under it.
    pub kms_key_id: String,
    /// `EHLO_NAME`: the fully qualified name that mail servers are greeted with; without one, the connection's own address.
    pub ehlo_name: Option<String>,
    /// `LINK_KEYS_SECRET_ARN`: the keys that sign links to payloads that are not attached.
    pub link_keys_secret_arn: String,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let worker = worker::Config::take(&variables);
        let kms_key_id = variables.required("KMS_KEY_ID");
        let link_keys_secret_arn = variables.required("LINK_KEYS_SECRET_ARN");
        let ehlo_name: Option<String> = variables.optional("EHLO_NAME");
        if ehlo_name.as_deref().is_some_and(|name| !is_fully_qualified(name)) {
            return Err(ConfigError::because("EHLO_NAME is invalid: it must be a fully qualified host name"));
        }
        let config = Self { worker, kms_key_id, ehlo_name, link_keys_secret_arn };
        variables.finish(config)
    }
}

fn is_fully_qualified(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.contains('.') && name.split('.').all(is_label)
}

//! The configuration of the e-mail worker, in addition to that of every worker.

use runtime::{ConfigError, Environment};

/// The e-mail worker's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The configuration that every worker has.
    pub worker: worker::Config,
    /// `KMS_KEY_ID`: the key under which refresh tokens are sealed when an authorization server
    /// replaces them.
    pub kms_key_id: String,
    /// `EHLO_NAME`: the fully qualified name in the EHLO command. Without one, the connection's
    /// local address is sent.
    pub ehlo_name: Option<String>,
    /// `LINK_KEYS_SECRET_ARN`: the keys that sign links to payloads that are not attached.
    pub link_keys_secret_arn: String,
}

impl Config {
    /// Reads the configuration. The error names every variable that is missing or invalid.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let worker = worker::Config::take(&variables);
        let kms_key_id = variables.required("KMS_KEY_ID");
        let link_keys_secret_arn = variables.required("LINK_KEYS_SECRET_ARN");
        let ehlo_name: Option<String> = variables.optional("EHLO_NAME");
        if ehlo_name
            .as_deref()
            .is_some_and(|name| !is_fully_qualified(name))
        {
            return Err(ConfigError::because(
                "EHLO_NAME is invalid: it must be a fully qualified host name",
            ));
        }
        let config = Self {
            worker,
            kms_key_id,
            ehlo_name,
            link_keys_secret_arn,
        };
        variables.finish(config)
    }
}

fn is_fully_qualified(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.contains('.') && name.split('.').all(is_label)
}

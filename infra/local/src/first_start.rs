//! Creates an operator's key, an organization and its admin key on the first start. Later starts
//! read them from `local.json`.

use std::io;

use operations::Refusal;
use operations::bootstrap;
use secrecy::ExposeSecret as _;

use crate::data_directory::DataDirectory;
use crate::instance::Instance;
use crate::local_json::{Keys, LocalJson};

/// The name of the organization that the first start creates.
const ORGANIZATION: &str = "My organization";

/// Why the first keys could not be created.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The template has no API function.
    #[error("the template has no function whose binary is api, which creates the first keys")]
    NoApi,
    /// The environment of the API function is invalid.
    #[error(transparent)]
    Config(#[from] runtime::ConfigError),
    /// The signing keys cannot be read.
    #[error("the signing keys cannot be read: {0}")]
    SigningKeys(#[from] vault::VaultError),
    /// The file `local.json` cannot be read.
    #[error("local.json cannot be read: {0}")]
    File(#[from] io::Error),
    /// The API refused to create the keys.
    #[error("the first keys cannot be made: {0}")]
    Refused(String),
}

impl From<Refusal> for FirstStartError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.detail)
    }
}

/// Returns the keys of this instance: those of an earlier start, or new ones.
pub async fn keys(directory: &DataDirectory, instance: &Instance) -> Result<Keys, FirstStartError> {
    if let Some(keys) = LocalJson::keys(directory)? {
        return Ok(keys);
    }
    let (platform, environment) = instance
        .http_function("api")
        .ok_or(FirstStartError::NoApi)?;
    let config = api::Config::read(&environment)?;
    let operations = api::operations(platform, &config).await?;
    let operator_key = bootstrap::first_operator_key(&operations).await?;
    let (organization, organization_key) =
        bootstrap::organization_with_key(&operations, ORGANIZATION).await?;
    Ok(Keys {
        operator_key: operator_key.expose_secret().to_owned(),
        organization_id: organization.to_string(),
        organization_key: organization_key.expose_secret().to_owned(),
    })
}

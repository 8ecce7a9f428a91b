//! The first start makes an operator's key, an organization and its admin's key; later ones find them in `local.json`.

use std::io;

use operations::Refusal;
use operations::bootstrap;
use secrecy::ExposeSecret as _;

use crate::data_directory::DataDirectory;
use crate::instance::Instance;
use crate::local_json::{Keys, LocalJson};

/// What the organization of a first start is called.
const ORGANIZATION: &str = "My organization";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The template has no api.
    #[error("the template has no function whose binary is api, which creates the first keys")]
    NoApi,
    /// The api's environment does not fit.
    #[error(transparent)]
    Config(#[from] runtime::ConfigError),
    /// The signing keys cannot be read.
    #[error("the signing keys cannot be read: {0}")]
    SigningKeys(#[from] vault::VaultError),
    /// `local.json` cannot be read.
    #[error("local.json cannot be read: {0}")]
    File(#[from] io::Error),
    /// The table refused.
    #[error("the first keys cannot be made: {0}")]
    Refused(String),
}

impl From<Refusal> for FirstStartError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.detail)
    }
}

/// The keys of this instance: those of an earlier start, else new ones.
pub async fn keys(directory: &DataDirectory, instance: &Instance) -> Result<Keys, FirstStartError> {
    if let Some(keys) = LocalJson::keys(directory)? {
        return Ok(keys);
    }
    let (platform, environment) = instance.http_function("api").ok_or(FirstStartError::NoApi)?;
    let config = api::Config::read(&environment)?;
    let operations = api::operations(platform, &config).await?;
    let operations::Operations { store, ids, random, clock, .. } = &operations;
    let operator_key = bootstrap::operator_key(store, ids, random, clock).await.map_err(Refusal::from)?;
    let (organization, organization_key) = bootstrap::organization_with_key(&operations, ORGANIZATION).await?;
    Ok(Keys {
        operator_key: operator_key.expose_secret().to_owned(),
        organization_id: organization.to_string(),
        organization_key: organization_key.expose_secret().to_owned(),
    })
}

//! What the function is configured with.

use std::path::PathBuf;

use runtime::{ConfigError, Environment};

/// Its configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it has in common with the api.
    pub front: front::Config,
    /// The identity provider that people may sign in with.
    pub identity_provider: Option<IdentityProvider>,
    /// `MAIL_FOLDER`: where a local process keeps the mail that it does not send; absent on AWS.
    pub mail_folder: Option<PathBuf>,
}

/// An OpenID provider, and what Waybill is registered as there.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// `OIDC_ISSUER`: its address, below which its discovery document is; empty: nobody signs in
    /// so.
    pub issuer: String,
    /// `OIDC_CLIENT_ID`: what it calls Waybill.
    pub client_id: String,
    /// `OIDC_CLIENT_SECRET_ARN`: where the proof is; empty: Waybill is a public client there.
    pub client_secret_arn: Option<String>,
    /// `OIDC_ORGANIZATION_CLAIM`: the claim that names a person's organization.
    pub organization_claim: String,
    /// `OIDC_ROLE_CLAIM`: the claim that names a person's role, or several.
    pub role_claim: String,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let provider = variables
            .optional("OIDC_ISSUER")
            .map(|issuer| IdentityProvider {
                issuer,
                client_id: variables.required("OIDC_CLIENT_ID"),
                client_secret_arn: variables.optional("OIDC_CLIENT_SECRET_ARN"),
                organization_claim: variables.required("OIDC_ORGANIZATION_CLAIM"),
                role_claim: variables.required("OIDC_ROLE_CLAIM"),
            });
        let mail_folder = variables.optional("MAIL_FOLDER");
        let identity_provider = variables.finish(provider)?;
        Ok(Self {
            front: front::Config::read(environment)?,
            identity_provider,
            mail_folder,
        })
    }
}

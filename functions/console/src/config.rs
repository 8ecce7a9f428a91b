//! The configuration of the console.

use std::path::PathBuf;

use runtime::{ConfigError, Environment};

/// The configuration of the console.
#[derive(Clone, Debug)]
pub struct Config {
    /// The configuration that the console shares with the API.
    pub front: front::Config,
    /// The identity provider that people may sign in with, if there is one.
    pub identity_provider: Option<IdentityProvider>,
    /// `MAIL_FOLDER`: the folder in which a local process keeps mail instead of sending it. Absent
    /// on AWS.
    pub mail_folder: Option<PathBuf>,
}

/// An OpenID provider and the registration of Waybill as one of its clients.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// `OIDC_ISSUER`: the issuer URL, below which the provider serves its discovery document. If
    /// empty, no identity provider is used.
    pub issuer: String,
    /// `OIDC_CLIENT_ID`: the id of Waybill as a client of the provider.
    pub client_id: String,
    /// `OIDC_CLIENT_SECRET_ARN`: the secret in AWS Secrets Manager that contains the client secret.
    /// If empty, Waybill is a public client of the provider.
    pub client_secret_arn: Option<String>,
    /// `OIDC_ORGANIZATION_CLAIM`: the claim that names a person's organization.
    pub organization_claim: String,
    /// `OIDC_ROLE_CLAIM`: the claim that names a person's role or roles.
    pub role_claim: String,
}

impl Config {
    /// Reads the configuration. The error names every mistake.
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

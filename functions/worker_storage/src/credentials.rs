//! What a bucket demands, opened.

use secrecy::SecretString;

/// Credentials for one of the three (destinations.md).
#[derive(Debug, Clone)]
pub enum Credentials {
    /// S3: the function's own role, for the buckets granted to the organization and no others.
    Iam {
        /// The organization's grants.
        granted_buckets: Vec<String>,
    },
    /// S3: a role of the customer's, taken on with the external id issued to the organization.
    IamRole {
        /// Which role.
        role_arn: String,
        /// The organization's, so that nobody else's destination can name this role.
        external_id: String,
    },
    /// S3: a key pair, of a session when there is a token.
    AccessKey {
        /// Not secret.
        access_key_id: String,
        /// Signs.
        secret_access_key: SecretString,
        /// Of temporary credentials.
        session_token: Option<SecretString>,
    },
    /// Google Cloud Storage: a service account's key file.
    ServiceAccount {
        /// As downloaded; only type, private_key, private_key_id, client_email and project_id are looked at.
        json: SecretString,
    },
    /// Azure: the storage account's key.
    AccountKey {
        /// Base64.
        account_key: SecretString,
    },
    /// Azure: a shared access signature.
    SasToken {
        /// The query string, with or without `?`.
        sas_token: SecretString,
    },
    /// Azure: an application of Entra ID.
    ServicePrincipal {
        /// Which directory.
        tenant_id: String,
        /// Which application.
        client_id: String,
        /// Its password.
        client_secret: SecretString,
    },
}

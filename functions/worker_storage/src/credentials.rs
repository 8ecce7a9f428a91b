//! The opened credentials for a bucket.

use secrecy::SecretString;

/// Credentials for one of the three providers.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// S3: the function's own role, which may use only the buckets granted to the organization.
    Iam {
        /// The buckets granted to the organization.
        granted_buckets: Vec<String>,
    },
    /// S3: a role of the customer, assumed with the external id issued to the organization.
    IamRole {
        /// The ARN of the role.
        role_arn: String,
        /// The organization's external id, so that another organization's destination cannot use
        /// this role.
        external_id: String,
    },
    /// S3: an access key, which belongs to a session if there is a token.
    AccessKey {
        /// The access key id, which is not a secret.
        access_key_id: String,
        /// The secret access key, which signs requests.
        secret_access_key: SecretString,
        /// The session token of temporary credentials.
        session_token: Option<SecretString>,
    },
    /// Google Cloud Storage: the key file of a service account.
    ServiceAccount {
        /// The file as downloaded. Only type, private_key, private_key_id, client_email and
        /// project_id are used.
        json: SecretString,
    },
    /// Azure: the key of the storage account.
    AccountKey {
        /// The key in base64.
        account_key: SecretString,
    },
    /// Azure: a shared access signature.
    SasToken {
        /// The signature as a query string, with or without `?`.
        sas_token: SecretString,
    },
    /// Azure: an Entra ID application.
    ServicePrincipal {
        /// The id or domain of the directory.
        tenant_id: String,
        /// The client id of the application.
        client_id: String,
        /// The client secret of the application.
        client_secret: SecretString,
    },
}

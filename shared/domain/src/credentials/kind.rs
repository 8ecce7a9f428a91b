//! The kinds of credentials, and the members that each kind has for each destination type.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::field::{CredentialField, Decides, Shape, optional, required};
use crate::settings::DestinationType;

/// The method by which Waybill authenticates at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CredentialKind {
    /// No authentication; the receiver verifies the signature instead.
    None,
    /// The URL itself is the secret.
    SecretUrl,
    /// Several headers with secret values.
    Headers,
    /// One header with a secret value.
    ApiKey,
    /// A token in the header `Authorization: Bearer`.
    Bearer,
    /// A user name and password in the header `Authorization: Basic`.
    Basic,
    /// An access token that an authorization server issues for the client's own secret (RFC 6749
    /// §4.4).
    Oauth2ClientCredentials,
    /// An access token that an authorization server issues for a refresh token (RFC 6749 §6).
    Oauth2RefreshToken,
    /// An access token from a refresh token that Waybill obtained with a user's consent.
    Oauth2Authorization,
    /// The function's own AWS role, for the resources that the operator granted to the
    /// organization.
    Iam,
    /// An AWS role of the customer's, assumed with the organization's external id.
    IamRole,
    /// The user name and password of a mailbox.
    SmtpPassword,
    /// An access key pair of AWS or of an S3-compatible store.
    AccessKey,
    /// A Google Cloud service account.
    ServiceAccount,
    /// The account key of an Azure storage account.
    AccountKey,
    /// A shared access signature (SAS) of Azure.
    SasToken,
    /// A service principal of Microsoft Entra ID.
    ServicePrincipal,
    /// A password, with a user name where the settings contain none.
    Password,
    /// A private SSH key.
    PrivateKey,
    /// One text that contains the server, the user and the password.
    ConnectionString,
    /// A client certificate that authenticates a user.
    ClientCertificate,
}

/// The maximum length of a PEM text, in characters.
const PEM_MAX: usize = 32_768;
/// The maximum length of a token, in characters.
const TOKEN_MAX: usize = 4096;
/// The maximum number of headers with secret values.
pub(super) const SECRET_HEADERS_MAX: usize = 20;

const NONE: &[CredentialField] = &[];
const SECRET_URL: &[CredentialField] = &[required("url", Shape::Secret, Decides::Recipient, 2048)];
const HEADERS: &[CredentialField] = &[required(
    "headers",
    Shape::SecretMap,
    Decides::Nothing,
    TOKEN_MAX,
)];
const API_KEY: &[CredentialField] = &[
    required("header", Shape::Open, Decides::Nothing, 100),
    required("value", Shape::Secret, Decides::Nothing, TOKEN_MAX),
];
const BEARER: &[CredentialField] = &[required(
    "token",
    Shape::Secret,
    Decides::Nothing,
    TOKEN_MAX,
)];
const USER_PASSWORD: &[CredentialField] = &[
    required("username", Shape::Open, Decides::Nothing, 255),
    required("password", Shape::Secret, Decides::Nothing, 1024),
];
const OAUTH2_CLIENT: &[CredentialField] = &[
    required("token_url", Shape::Open, Decides::Recipient, 2048),
    required("client_id", Shape::Open, Decides::Nothing, 512),
    required("client_secret", Shape::Secret, Decides::Nothing, TOKEN_MAX),
    optional("scope", Shape::Open, Decides::Nothing, 1024),
    optional("audience", Shape::Open, Decides::Nothing, 1024),
];
const OAUTH2_CLIENT_MAILBOX: &[CredentialField] = &[
    required("token_url", Shape::Open, Decides::Recipient, 2048),
    required("client_id", Shape::Open, Decides::Nothing, 512),
    required("client_secret", Shape::Secret, Decides::Nothing, TOKEN_MAX),
    optional("scope", Shape::Open, Decides::Nothing, 1024),
    optional("audience", Shape::Open, Decides::Nothing, 1024),
    required("username", Shape::Open, Decides::Nothing, 255),
];
const OAUTH2_REFRESH: &[CredentialField] = &[
    required("token_url", Shape::Open, Decides::Recipient, 2048),
    required("client_id", Shape::Open, Decides::Nothing, 512),
    required("client_secret", Shape::Secret, Decides::Nothing, TOKEN_MAX),
    required("refresh_token", Shape::Secret, Decides::Nothing, TOKEN_MAX),
    required("username", Shape::Open, Decides::Nothing, 255),
];
const OAUTH2_AUTHORIZATION: &[CredentialField] = &[
    required("authorization_id", Shape::Open, Decides::Nothing, 64),
    required("username", Shape::Open, Decides::Nothing, 255),
];
const ROLE: &[CredentialField] = &[required("role_arn", Shape::Open, Decides::Recipient, 2048)];
const ACCESS_KEY: &[CredentialField] = &[
    required("access_key_id", Shape::Open, Decides::Nothing, 128),
    required("secret_access_key", Shape::Secret, Decides::Nothing, 256),
    optional("session_token", Shape::Secret, Decides::Nothing, TOKEN_MAX),
];
const SERVICE_ACCOUNT: &[CredentialField] = &[required(
    "json",
    Shape::SecretObject,
    Decides::Nothing,
    16_384,
)];
const ACCOUNT_KEY: &[CredentialField] = &[required(
    "account_key",
    Shape::Secret,
    Decides::Nothing,
    512,
)];
const SAS_TOKEN: &[CredentialField] = &[required(
    "sas_token",
    Shape::Secret,
    Decides::Nothing,
    TOKEN_MAX,
)];
const SERVICE_PRINCIPAL: &[CredentialField] = &[
    required("tenant_id", Shape::Open, Decides::Recipient, 255),
    required("client_id", Shape::Open, Decides::Nothing, 255),
    required("client_secret", Shape::Secret, Decides::Nothing, 1024),
];
const SFTP_PASSWORD: &[CredentialField] = &[required(
    "password",
    Shape::SecretText,
    Decides::Nothing,
    1024,
)];
const PRIVATE_KEY: &[CredentialField] = &[
    required("private_key", Shape::SecretText, Decides::Nothing, PEM_MAX),
    optional("passphrase", Shape::SecretText, Decides::Nothing, 1024),
];
const CONNECTION_STRING: &[CredentialField] = &[
    required(
        "connection_string",
        Shape::SecretText,
        Decides::Recipient,
        4096,
    ),
    optional("ca_pem", Shape::Certificate, Decides::Recipient, PEM_MAX),
];
const DATABASE_PASSWORD: &[CredentialField] = &[
    required("username", Shape::Open, Decides::Nothing, 255),
    required("password", Shape::SecretText, Decides::Nothing, 1024),
    optional("ca_pem", Shape::Certificate, Decides::Recipient, PEM_MAX),
];
const CLIENT_CERTIFICATE: &[CredentialField] = &[
    required("username", Shape::Open, Decides::Nothing, 255),
    required(
        "certificate_pem",
        Shape::Certificate,
        Decides::Recipient,
        PEM_MAX,
    ),
    required(
        "private_key_pem",
        Shape::SecretText,
        Decides::Nothing,
        PEM_MAX,
    ),
    optional("ca_pem", Shape::Certificate, Decides::Recipient, PEM_MAX),
];
const DATABASE_IAM: &[CredentialField] = &[
    required("username", Shape::Open, Decides::Nothing, 255),
    optional("ca_pem", Shape::Certificate, Decides::Recipient, PEM_MAX),
];

/// The additional members of every kind of credentials for webhooks: a client certificate (mTLS)
/// and the receiver's private certificate authority.
const WEBHOOK_TLS: &[CredentialField] = &[
    optional(
        "client_certificate/certificate_pem",
        Shape::Certificate,
        Decides::Recipient,
        PEM_MAX,
    ),
    optional(
        "client_certificate/private_key_pem",
        Shape::SecretText,
        Decides::Nothing,
        PEM_MAX,
    ),
    optional("ca_pem", Shape::Certificate, Decides::Recipient, PEM_MAX),
];

impl CredentialKind {
    /// Returns the kinds that destinations of the type `kind` accept, with their names.
    #[must_use]
    pub fn of(kind: DestinationType) -> &'static [(&'static str, Self)] {
        match kind {
            DestinationType::Webhook => &[
                ("none", Self::None),
                ("secret_url", Self::SecretUrl),
                ("headers", Self::Headers),
                ("api_key", Self::ApiKey),
                ("bearer", Self::Bearer),
                ("basic", Self::Basic),
                ("oauth2_client_credentials", Self::Oauth2ClientCredentials),
            ],
            DestinationType::Email => &[
                ("iam", Self::Iam),
                ("iam_role", Self::IamRole),
                ("smtp_password", Self::SmtpPassword),
                ("oauth2_client_credentials", Self::Oauth2ClientCredentials),
                ("oauth2_refresh_token", Self::Oauth2RefreshToken),
                ("oauth2_authorization", Self::Oauth2Authorization),
            ],
            DestinationType::S3 => &[
                ("iam", Self::Iam),
                ("iam_role", Self::IamRole),
                ("access_key", Self::AccessKey),
            ],
            DestinationType::Gcs => &[("service_account", Self::ServiceAccount)],
            DestinationType::AzureBlob => &[
                ("account_key", Self::AccountKey),
                ("sas_token", Self::SasToken),
                ("service_principal", Self::ServicePrincipal),
            ],
            DestinationType::Sftp => &[
                ("password", Self::Password),
                ("private_key", Self::PrivateKey),
            ],
            DestinationType::Postgres | DestinationType::Mysql => &[
                ("connection_string", Self::ConnectionString),
                ("password", Self::Password),
                ("client_certificate", Self::ClientCertificate),
                ("iam", Self::Iam),
            ],
        }
    }

    /// Returns the name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the members of these credentials for destinations of the type `kind`.
    pub fn fields(self, kind: DestinationType) -> impl Iterator<Item = &'static CredentialField> {
        let beside = if kind == DestinationType::Webhook {
            WEBHOOK_TLS
        } else {
            NONE
        };
        self.own_fields(kind).iter().chain(beside)
    }

    fn own_fields(self, kind: DestinationType) -> &'static [CredentialField] {
        let is_database = kind.engine().is_some();
        match self {
            Self::None => NONE,
            Self::SecretUrl => SECRET_URL,
            Self::Headers => HEADERS,
            Self::ApiKey => API_KEY,
            Self::Bearer => BEARER,
            Self::Basic | Self::SmtpPassword => USER_PASSWORD,
            Self::Oauth2ClientCredentials if kind == DestinationType::Email => {
                OAUTH2_CLIENT_MAILBOX
            }
            Self::Oauth2ClientCredentials => OAUTH2_CLIENT,
            Self::Oauth2RefreshToken => OAUTH2_REFRESH,
            Self::Oauth2Authorization => OAUTH2_AUTHORIZATION,
            Self::Iam if is_database => DATABASE_IAM,
            Self::Iam => NONE,
            Self::IamRole => ROLE,
            Self::AccessKey => ACCESS_KEY,
            Self::ServiceAccount => SERVICE_ACCOUNT,
            Self::AccountKey => ACCOUNT_KEY,
            Self::SasToken => SAS_TOKEN,
            Self::ServicePrincipal => SERVICE_PRINCIPAL,
            Self::Password if is_database => DATABASE_PASSWORD,
            Self::Password => SFTP_PASSWORD,
            Self::PrivateKey => PRIVATE_KEY,
            Self::ConnectionString => CONNECTION_STRING,
            Self::ClientCertificate => CLIENT_CERTIFICATE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_as_it_is_listed() {
        for (_, kind) in DestinationType::ALL {
            for (name, credentials) in CredentialKind::of(*kind) {
                assert_eq!(credentials.as_str(), *name);
                assert_eq!(serde_json::to_value(credentials).unwrap(), *name);
            }
        }
    }
}

//! The kinds of credentials, and what each of them is made of for each destination type
//! (destinations.md).

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::field::{CredentialField, Decides, Shape, optional, required};
use crate::settings::DestinationType;

/// How a destination is authenticated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CredentialKind {
    /// Not at all: the signature vouches.
    None,
    /// The address itself is the secret.
    SecretUrl,
    /// Headers with secret values.
    Headers,
    /// A header with a secret value.
    ApiKey,
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: Basic`.
    Basic,
    /// A token that an authorization server gives for a client's own secret (RFC 6749 §4.4).
    Oauth2ClientCredentials,
    /// A token that an authorization server gives for a refresh token (RFC 6749 §6).
    Oauth2RefreshToken,
    /// A refresh token that a person's consent brought.
    Oauth2Authorization,
    /// The function's own role, for what the operator granted the organization.
    Iam,
    /// A role of the customer's, taken on with the organization's external id.
    IamRole,
    /// A mailbox's user and password.
    SmtpPassword,
    /// A key pair of AWS, or of a store that speaks S3.
    AccessKey,
    /// A service account of Google Cloud.
    ServiceAccount,
    /// The key of an Azure storage account.
    AccountKey,
    /// A shared access signature of Azure.
    SasToken,
    /// An application of Entra ID.
    ServicePrincipal,
    /// A password, with a user where the settings name none.
    Password,
    /// An SSH key.
    PrivateKey,
    /// Where and as whom in one text.
    ConnectionString,
    /// A certificate that vouches for a user.
    ClientCertificate,
}

/// The longest PEM text, in characters.
const PEM_MAX: usize = 32_768;
/// The longest token, in characters.
const TOKEN_MAX: usize = 4096;
/// Headers with secret values, at most.
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

/// Beside any kind of a webhook: a certificate of its own (mTLS), and a private authority of the
/// receiver's.
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
    /// The kinds that destinations of a type take, by their names.
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

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Its members, as a destination of this type takes them.
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

//! Opened credentials.

use secrecy::SecretString;

/// What a database demands before it takes rows. `ca_pem` beside any of them: a private authority's certificates, trusted instead of the
/// public ones.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Everything in one text, which the settings then leave out.
    ConnectionString {
        /// See [`domain::settings::database::connection_string`].
        connection_string: SecretString,
        /// The authority of the server's certificate.
        ca_pem: Option<String>,
    },
    /// A user and its password.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
        /// The authority of the server's certificate.
        ca_pem: Option<String>,
    },
    /// A user that a certificate vouches for.
    ClientCertificate {
        /// The user.
        username: String,
        /// The certificate, and those between it and its authority.
        certificate_pem: String,
        /// Its key, without a passphrase.
        private_key_pem: SecretString,
        /// The authority of the server's certificate.
        ca_pem: Option<String>,
    },
    /// A user of a database at AWS, with a token made by [`crate::iam::token`] for this attempt.
    Iam {
        /// The user.
        username: String,
        /// The token; good for 15 minutes.
        token: SecretString,
        /// The authority of the server's certificate.
        ca_pem: Option<String>,
    },
}

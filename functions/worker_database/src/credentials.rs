//! The opened credentials for a database.

use secrecy::SecretString;

/// The credentials with which a database is opened. With each kind, `ca_pem` holds certificates of
/// a private authority that replace the public ones.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A connection string, which replaces the host, port and database of the settings.
    ConnectionString {
        /// The connection string as [`domain::settings::database::connection_string`] describes it.
        connection_string: SecretString,
        /// The certificate authority of the server, in PEM.
        ca_pem: Option<String>,
    },
    /// A user with a password.
    Password {
        /// The name of the user.
        username: String,
        /// The password of the user.
        password: SecretString,
        /// The certificate authority of the server, in PEM.
        ca_pem: Option<String>,
    },
    /// A user that a client certificate authenticates.
    ClientCertificate {
        /// The name of the user.
        username: String,
        /// The certificate, followed by intermediate certificates, in PEM.
        certificate_pem: String,
        /// The private key of the certificate, without a passphrase.
        private_key_pem: SecretString,
        /// The certificate authority of the server, in PEM.
        ca_pem: Option<String>,
    },
    /// A user of a database at AWS, with a token from [`crate::iam::token`] for this attempt.
    Iam {
        /// The name of the user.
        username: String,
        /// The token, which is valid for 15 minutes.
        token: SecretString,
        /// The certificate authority of the server, in PEM.
        ca_pem: Option<String>,
    },
}

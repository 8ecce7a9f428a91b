//! The credentials for an SFTP server, opened for one attempt.

use std::sync::Arc;

use domain::check::StepName;
use russh::keys::{PrivateKey, decode_secret_key};
use secrecy::{ExposeSecret as _, SecretString};
use worker::{ConnectorError, Unavailable};

use crate::stretching;

/// The credentials that sign in.
#[derive(Debug)]
pub enum Credentials {
    /// A password, which also answers a keyboard-interactive question.
    Password {
        /// The password of the user.
        password: SecretString,
    },
    /// A private key in OpenSSH's format, PEM (PKCS #1, PKCS #8, SEC 1) or PuTTY's format: Ed25519,
    /// ECDSA or RSA.
    PrivateKey {
        /// The private key as text.
        private_key: SecretString,
        /// The passphrase, if the key is encrypted.
        passphrase: Option<SecretString>,
    },
}

/// Parses a private key. Decrypting one can take a noticeable time, so this runs on a blocking
/// thread.
pub(crate) async fn read_key(
    private_key: &SecretString,
    passphrase: Option<&SecretString>,
) -> Result<Arc<PrivateKey>, ConnectorError> {
    let (private_key, passphrase) = (private_key.clone(), passphrase.cloned());
    let read = tokio::task::spawn_blocking(move || decode(&private_key, passphrase.as_ref())).await;
    match read {
        Ok(Ok(key)) => Ok(Arc::new(key)),
        Ok(Err(detail)) => Err(ConnectorError::unauthenticated(detail).at(StepName::Authenticate)),
        Err(error) => Err(Unavailable::because(error).into()),
    }
}

fn decode(
    private_key: &SecretString,
    passphrase: Option<&SecretString>,
) -> Result<PrivateKey, &'static str> {
    use russh::keys::{Error, ssh_key};
    let text = private_key.expose_secret().trim();
    if let Some(refusal) = stretching::refusal(text) {
        return Err(refusal);
    }
    let key = decode_secret_key(text, passphrase.map(|secret| secret.expose_secret())).map_err(
        |error| match (error, passphrase) {
            (Error::KeyIsEncrypted | Error::SshKey(ssh_key::Error::Encrypted), None) => {
                "the private key is encrypted, but there is no passphrase"
            }
            (Error::UnsupportedKeyType { .. } | Error::UnknownAlgorithm(_), _) => {
                "the private key is of a type that is not supported"
            }
            (_, Some(_)) => {
                "the private key cannot be opened: its passphrase is wrong, or it is damaged"
            }
            (_, None) => "the private key cannot be read",
        },
    )?;
    stretching::size_refusal(&key).map_or(Ok(key), Err)
}

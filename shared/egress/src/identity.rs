//! Parses client certificates and certificate authorities. Used when a destination is saved and
//! when a delivery is made.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};

/// Why a certificate or key is invalid. The message never contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableIdentity {
    /// The text contains no certificate.
    #[error("must be one or more certificates in PEM")]
    Certificate,
    /// The text contains no key, or one with a passphrase.
    #[error("must be a private key in PEM, without a passphrase (PKCS #8, PKCS #1 or SEC 1)")]
    Key,
    /// The key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

/// A client certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificates in PEM, as they were given.
    pub certificate_pem: String,
    /// The key in PEM, as it was given.
    pub private_key_pem: SecretString,
    /// The certificate, followed by intermediate certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The private key of the certificate.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Parses a certificate and its key, and checks that they belong together.
    pub fn parse(
        certificate_pem: &str,
        private_key_pem: &SecretString,
    ) -> Result<Self, UnreadableIdentity> {
        let certificates = certificates(certificate_pem)?;
        let key = PrivateKeyDer::from_pem_slice(private_key_pem.expose_secret().as_bytes())
            .map_err(|_| UnreadableIdentity::Key)?;
        let signing =
            aws_lc_rs::sign::any_supported_type(&key).map_err(|_| UnreadableIdentity::Key)?;
        let certified = rustls::sign::CertifiedKey::new(certificates.clone(), signing);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self {
                    certificate_pem: certificate_pem.to_owned(),
                    private_key_pem: private_key_pem.clone(),
                    certificates,
                    key,
                })
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(UnreadableIdentity::Mismatch),
            Err(_) => Err(UnreadableIdentity::Certificate),
        }
    }
}

/// Parses one or more certificates.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, UnreadableIdentity> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or(UnreadableIdentity::Certificate)
}

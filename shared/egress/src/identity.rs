//! Client certificates and authorities' certificates, as text. Pure: what saving a destination validates, and what a delivery uses.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};

/// What is wrong with a certificate or key; never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableIdentity {
    /// No certificate in it.
    #[error("must be one or more certificates in PEM")]
    Certificate,
    /// No key in it, or one behind a passphrase.
    #[error("must be a private key in PEM, without a passphrase (PKCS #8, PKCS #1 or SEC 1)")]
    Key,
    /// The key is not the certificate's.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

/// A client's certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificates as they were given.
    pub certificate_pem: String,
    /// The key as it was given.
    pub private_key_pem: SecretString,
    /// The certificate first, then those between it and its authority.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The certificate's key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a certificate with its key, and sees that they belong together.
    pub fn parse(certificate_pem: &str, private_key_pem: &SecretString) -> Result<Self, UnreadableIdentity> {
        let certificates = certificates(certificate_pem)?;
        let key = PrivateKeyDer::from_pem_slice(private_key_pem.expose_secret().as_bytes()).map_err(|_| UnreadableIdentity::Key)?;
        let signing = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| UnreadableIdentity::Key)?;
        let certified = rustls::sign::CertifiedKey::new(certificates.clone(), signing);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self { certificate_pem: certificate_pem.to_owned(), private_key_pem: private_key_pem.clone(), certificates, key })
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(UnreadableIdentity::Mismatch),
            Err(_) => Err(UnreadableIdentity::Certificate),
        }
    }
}

/// Reads one or more certificates.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, UnreadableIdentity> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.ok().filter(|certificates| !certificates.is_empty()).ok_or(UnreadableIdentity::Certificate)
}

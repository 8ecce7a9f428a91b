//! The trusted certificate authorities, and the verification of server certificates.

use std::sync::Arc;

use domain::settings::database::TlsMode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::login::Login;
use worker::ConnectorError;

/// The roots that are trusted if the credentials have no certificate authority.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<Vec<CertificateDer<'static>>>,
}

impl Trust {
    /// Loads the system's roots, or those of `SSL_CERT_FILE`. Call it once per process.
    #[must_use]
    pub fn native() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(
                error = %domain::chain(&error),
                "failed to read a root certificate; it is not trusted"
            );
        }
        Self::with_roots(found.certs)
    }

    /// Uses these roots. Roots that cannot be parsed are left out.
    #[must_use]
    pub fn with_roots(roots: Vec<CertificateDer<'static>>) -> Self {
        let is_usable =
            |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone()).is_ok();
        Self {
            roots: Arc::new(roots.into_iter().filter(is_usable).collect()),
        }
    }

    /// Returns the roots for this login.
    pub(crate) fn roots(
        &self,
        login: &Login,
    ) -> Result<Vec<CertificateDer<'static>>, ConnectorError> {
        match &login.ca_pem {
            Some(pem) => egress::certificates(pem)
                .map_err(|why| ConnectorError::misconfigured(format!("ca_pem {why}"))),
            None => Ok(self.roots.to_vec()),
        }
    }

    /// Returns the TLS configuration for this login.
    pub(crate) fn config(&self, login: &Login) -> Result<ClientConfig, ConnectorError> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.roots(login)?);
        let unusable = |error: rustls::Error| {
            ConnectorError::misconfigured(format!("TLS cannot be set up: {error}"))
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let verifier = Verifier::new(login.tls, store, provider)?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        match &login.identity {
            None => Ok(builder.with_no_client_auth()),
            Some(identity) => builder
                .with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())
                .map_err(unusable),
        }
    }
}

/// Verifies certificates as far as the settings require. The server must always prove that it has
/// the certificate's key.
#[derive(Debug)]
struct Verifier {
    mode: TlsMode,
    /// The verifier for certificate authorities, or `None` if none is required.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(
        mode: TlsMode,
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, ConnectorError> {
        if mode == TlsMode::Require {
            return Ok(Self {
                mode,
                authorities: None,
                provider,
            });
        }
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build();
        let authorities = built.map_err(|error| {
            ConnectorError::misconfigured(format!("no certificate authority can be used: {error}"))
        })?;
        Ok(Self {
            mode,
            authorities: Some(authorities),
            provider,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is verified last: if only the name is wrong, the signature and the dates are
        // right.
        match authorities.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.mode == TlsMode::VerifyCa => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Describes a TLS error in one sentence.
pub(crate) fn describe(host: &egress::Host, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(flaw) => {
            let flaw = match flaw {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "has expired"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "is not valid yet"
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => "is not valid for this name",
                CertificateError::UnknownIssuer => {
                    "is not signed by a trusted authority; a private authority's certificate goes \
                     into ca_pem"
                }
                _ => "is not accepted",
            };
            format!("the certificate of {host} {flaw}")
        }
        other => format!("TLS with {host} failed: {other}"),
    }
}

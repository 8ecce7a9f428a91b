//! Verifies certificates and performs handshakes.

use crate::{
    Failure, FailureKind, Host, Identity,
    classify::{refuses_identity, tls_error},
    handshake::{self, Handshake},
};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName},
};
use std::{error::Error, sync::Arc};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The TLS configuration for destinations: TLS 1.2 or 1.3, with a certificate that is valid for the
/// name and signed by a trusted root.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    roots: Arc<RootCertStore>,
}

/// Why TLS cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// There are no trusted root certificates.
    #[error("no root certificates found: install the system's, or name a bundle in SSL_CERT_FILE")]
    NoRoots,
    /// The TLS library rejects its default configuration.
    #[error("the TLS library cannot be initialized")]
    Library(#[from] rustls::Error),
}

impl Tls {
    /// Trusts the system's root certificates, or those of `SSL_CERT_FILE`. Call it once per
    /// process, because it reads the files.
    pub fn native() -> Result<Self, TlsSetupError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "failed to read a root certificate; it is not trusted");
        }
        let mut roots = RootCertStore::empty();
        let (added, _unusable) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err(TlsSetupError::NoRoots);
        }
        Self::with_roots(roots)
    }

    /// Trusts only these roots.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, TlsSetupError> {
        Self::of(Arc::new(roots), None)
    }

    /// Returns the configuration for one destination, with a client certificate, or with
    /// certificate authorities that replace the public ones.
    pub fn for_destination(
        &self,
        identity: Option<&Identity>,
        authorities: Option<&[CertificateDer<'static>]>,
    ) -> Result<Self, TlsSetupError> {
        let roots = match authorities {
            None => Arc::clone(&self.roots),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(authorities.iter().cloned());
                Arc::new(roots)
            }
        };
        Self::of(roots, identity)
    }

    fn of(roots: Arc<RootCertStore>, identity: Option<&Identity>) -> Result<Self, TlsSetupError> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&roots));
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())?,
        };
        config.resumption = handshake::resumption();
        config.client_auth_cert_resolver =
            Arc::new(handshake::Certificate(config.client_auth_cert_resolver));
        Ok(Self {
            config: Arc::new(config),
            roots,
        })
    }

    /// Returns the TLS library's configuration with these application protocols (ALPN).
    pub(crate) fn offering(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// Performs a TLS handshake over a connection to `host`, whose name the certificate must
    /// contain.
    pub async fn handshake(
        &self,
        stream: TcpStream,
        host: &Host,
        deadline: Instant,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = server_name(host).map_err(|error| {
            Failure::new(
                FailureKind::Tls,
                format!("no certificate can be valid for {host}"),
            )
            .because(error)
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let handshake = Arc::new(Handshake::default());
        match timeout_at(deadline, handshake.observe(connector.connect(name, stream))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(handshake_failure(host, &handshake, error.into())),
            Err(_) => Err(handshake_timeout(host)),
        }
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()),
        Host::Address(address) => Ok(ServerName::from(*address)),
    }
}

pub(crate) fn handshake_timeout(host: &Host) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("the TLS handshake with {host} took too long"),
    )
}

pub(crate) fn handshake_failure(
    host: &Host,
    handshake: &Handshake,
    error: Box<dyn Error + Send + Sync>,
) -> Failure {
    let tls = tls_error(&*error);
    let kind = match tls {
        Some(tls) if refuses_identity(tls) => FailureKind::Identity,
        // TLS 1.2 has no alert for a missing certificate, and some servers close the connection
        // without an alert.
        Some(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure)) | None
            if handshake.lacks_certificate() =>
        {
            FailureKind::Identity
        }
        _ => FailureKind::Tls,
    };
    let detail = match tls {
        Some(rustls::Error::InvalidCertificate(flaw)) => {
            format!("the certificate of {host} {}", describe_flaw(flaw))
        }
        _ if kind == FailureKind::Identity && handshake.lacks_certificate() => {
            format!("{host} requires a client certificate, and the destination has none")
        }
        _ if kind == FailureKind::Identity => {
            format!("{host} does not accept the client certificate, or requires one")
        }
        Some(other) => format!("TLS with {host} failed: {other}"),
        None => format!("{host} closed the connection during the TLS handshake"),
    };
    Failure::new(kind, detail).because(error)
}

fn describe_flaw(flaw: &CertificateError) -> String {
    match flaw {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is not valid for this name".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "is not signed by a trusted authority, or an intermediate certificate is missing"
                .to_owned()
        }
        other => format!("is not accepted: {other}"),
    }
}

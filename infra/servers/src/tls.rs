//! Certificates for test servers, signed by an authority that only the test trusts.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedKey, DnType, IsCa, KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::sync::Arc;

/// A certificate authority for one test.
pub struct Authority {
    root: CertifiedKey,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Creates an authority with a new key.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key_pair = KeyPair::generate().expect("a key pair");
        // Each authority has its own name, so that certificates of another one are unknown and not
        // forged.
        let name = format!(
            "Waybill test authority {:02x?}",
            &key_pair.public_key_raw()[1..9]
        );
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.self_signed(&key_pair).expect("a certificate");
        Self {
            root: CertifiedKey { cert, key_pair },
        }
    }

    /// Returns the authority's certificate, for a file that `SSL_CERT_FILE` names.
    pub fn certificate_pem(&self) -> String {
        self.root.cert.pem()
    }

    /// Returns a client configuration that trusts only this authority.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.root.cert.der().clone())
            .expect("a root certificate");
        roots
    }

    /// Returns a certificate that is valid for these names or addresses, and its key, both as PEM,
    /// for a server that is a separate program.
    pub fn certificate(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params(names)
            .signed_by(&key, &self.root.cert, &self.root.key_pair)
            .expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Returns a client certificate with this common name, and its key, both as PEM.
    pub fn client_certificate(&self, common_name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params
            .extended_key_usages
            .push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = params
            .signed_by(&key, &self.root.cert, &self.root.key_pair)
            .expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Returns a server configuration whose certificate is valid for these names or addresses. It
    /// offers the given application protocols, `h2` or `http/1.1`.
    pub fn server(&self, names: &[&str], protocols: &[&str]) -> Arc<ServerConfig> {
        self.server_with(params(names), protocols, None)
    }

    /// Returns a server configuration that requires a client certificate of this authority.
    pub fn demanding_server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider)
                .build()
                .expect("a root certificate");
        self.server_with(params(names), &[], Some(verifier))
    }

    /// Returns a server configuration with an expired certificate.
    pub fn expired_server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let mut params = params(names);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        self.server_with(params, &[], None)
    }

    fn server_with(
        &self,
        params: CertificateParams,
        protocols: &[&str],
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key pair");
        let certificate: Certificate = params
            .signed_by(&key, &self.root.cert, &self.root.key_pair)
            .expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .expect("the default versions");
        let builder = match clients {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .expect("names or addresses")
}

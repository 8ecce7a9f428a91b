//! Observes TLS handshakes through callbacks of the TLS library. Its errors do not report whether
//! the handshake had begun, and whether the server asked for a client certificate.

use rustls::{
    NamedGroup, SignatureScheme,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, ResolvesClientCert, Resumption,
        Tls12ClientSessionValue, Tls13ClientSessionValue,
    },
    pki_types::ServerName,
    sign::CertifiedKey,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// How many sessions are cached for resumption: the library's default.
const SESSIONS_MAX: usize = 256;

tokio::task_local! {
    static HANDSHAKE: Arc<Handshake>;
}

/// The progress of a handshake.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    began: AtomicBool,
    wants_certificate: AtomicBool,
}

impl Handshake {
    /// Runs `future` and records the progress of its handshake.
    pub(crate) async fn observe<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        HANDSHAKE.scope(Arc::clone(self), future).await
    }

    /// Whether the connection was accepted and TLS began.
    pub(crate) fn began(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    /// Whether the server asked for a client certificate and none was configured.
    pub(crate) fn lacks_certificate(&self) -> bool {
        self.wants_certificate.load(Ordering::Relaxed)
    }
}

fn record(event: impl FnOnce(&Handshake)) {
    // Without an observer, nothing is recorded.
    let _ = HANDSHAKE.try_with(|handshake| event(handshake));
}

/// Returns a session cache that records the beginning of each handshake.
pub(crate) fn resumption() -> Resumption {
    Resumption::store(Arc::new(Sessions(ClientSessionMemoryCache::new(
        SESSIONS_MAX,
    ))))
}

#[derive(Debug)]
struct Sessions(ClientSessionMemoryCache);

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    /// The library calls this when it creates its first message.
    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        record(|handshake| handshake.began.store(true, Ordering::Relaxed));
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(
        &self,
        server_name: ServerName<'static>,
        value: Tls13ClientSessionValue,
    ) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(
        &self,
        server_name: &ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(server_name)
    }
}

/// Resolves the client certificate, and records if the server asked for one that is not configured.
#[derive(Debug)]
pub(crate) struct Certificate(pub(crate) Arc<dyn ResolvesClientCert>);

impl ResolvesClientCert for Certificate {
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let found = self.0.resolve(authorities, schemes);
        if found.is_none() {
            record(|handshake| handshake.wants_certificate.store(true, Ordering::Relaxed));
        }
        found
    }

    fn only_raw_public_keys(&self) -> bool {
        self.0.only_raw_public_keys()
    }

    fn has_certs(&self) -> bool {
        self.0.has_certs()
    }
}

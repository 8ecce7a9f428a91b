//! HTTP clients: one shared by most destinations, and one for each destination that has a client
//! certificate or a certificate authority of its own.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::destination::Destination;
use domain::id::DestinationId;
use egress::{Client, Identity};
use lru::LruCache;
use sha2::{Digest as _, Sha256};
use vault::Vault;
use worker::{ConnectorError, Opened};

/// How many destination-specific clients are cached. The least recently used one is evicted. Each
/// holds a few idle connections.
const OWN_MAX: NonZeroUsize = NonZeroUsize::new(200).expect("it is not zero");

/// The cached HTTP clients of a worker.
#[derive(Debug)]
pub(crate) struct Clients {
    shared: Client,
    own: Mutex<LruCache<OwnKey, Client>>,
}

/// A destination and a digest of its stored credentials, so that connections are reused until the
/// credentials change, whether or not a check has passed.
type OwnKey = (DestinationId, [u8; 32]);

impl Clients {
    pub(crate) fn new(shared: Client) -> Self {
        Self { shared, own: Mutex::new(LruCache::new(OWN_MAX)) }
    }

    /// Returns the client for a destination with its current credentials.
    pub(crate) async fn of(&self, vault: &Vault, destination: &Destination) -> Result<Client, ConnectorError> {
        let credentials = Opened::of(vault, destination);
        let certificate = credentials.open_opt("client_certificate/certificate_pem");
        let authority = credentials.open_opt("ca_pem");
        if certificate.is_none() && authority.is_none() {
            return Ok(self.shared.clone());
        }
        let stored =
            serde_json::to_vec(&destination.credentials).map_err(|why| ConnectorError::misconfigured(format!("credentials: {why}")))?;
        let key = (destination.id, Sha256::digest(&stored).into());
        if let Some(client) = self.lock().get(&key) {
            return Ok(client.clone());
        }
        let identity = match certificate {
            None => None,
            Some(pem) => {
                let key = credentials.secret("client_certificate/private_key_pem").await?;
                Some(Identity::parse(pem, &key).map_err(|why| ConnectorError::misconfigured(format!("client_certificate: {why}")))?)
            }
        };
        let authorities = authority.map(egress::certificates).transpose();
        let authorities = authorities.map_err(|why| ConnectorError::misconfigured(format!("ca_pem: {why}")))?;
        let client = self.shared.for_destination(identity.as_ref(), authorities.as_deref());
        let client = client.map_err(|why| ConnectorError::misconfigured(format!("TLS cannot be set up: {why}")))?;
        self.lock().put(key, client.clone());
        Ok(client)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<OwnKey, Client>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

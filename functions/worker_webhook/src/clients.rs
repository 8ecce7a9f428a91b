//! HTTP clients: one for all destinations, and one for each that brings a certificate or an authority of its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::destination::Destination;
use domain::id::DestinationId;
use egress::{Client, Identity};
use vault::Vault;
use worker::{Hindrance, Opened};

/// Clients of their own that are kept at a time. Each holds a few idle connections.
const OWN_MAX: usize = 200;

/// The clients of a worker.
#[derive(Debug)]
pub(crate) struct Clients {
    shared: Client,
    own: Mutex<HashMap<(DestinationId, u64), Client>>,
}

impl Clients {
    pub(crate) fn new(shared: Client) -> Self {
        Self { shared, own: Mutex::default() }
    }

    /// The client for a destination as it stands at this revision.
    pub(crate) async fn of(&self, vault: &Vault, destination: &Destination) -> Result<Client, Hindrance> {
        let credentials = Opened::of(vault, destination);
        let certificate = credentials.open_opt("client_certificate/certificate_pem");
        let authority = credentials.open_opt("ca_pem");
        if certificate.is_none() && authority.is_none() {
            return Ok(self.shared.clone());
        }
        // A check's destination has the revision that it would be saved with, and may differ from what is then saved.
        let key = (destination.id, destination.revision);
        let is_saved = destination.verified_at.is_some();
        if is_saved && let Some(client) = self.lock().get(&key) {
            return Ok(client.clone());
        }
        let identity = match certificate {
            None => None,
            Some(pem) => {
                let key = credentials.secret("client_certificate/private_key_pem").await?;
                Some(Identity::parse(pem, &key).map_err(|why| Hindrance::misconfigured(format!("client_certificate: {why}")))?)
            }
        };
        let authorities = authority.map(egress::certificates).transpose();
        let authorities = authorities.map_err(|why| Hindrance::misconfigured(format!("ca_pem: {why}")))?;
        let client = self.shared.for_destination(identity.as_ref(), authorities.as_deref());
        let client = client.map_err(|why| Hindrance::misconfigured(format!("TLS cannot be set up: {why}")))?;
        if is_saved {
            let mut own = self.lock();
            own.retain(|(id, _), _| *id != destination.id);
            if own.len() < OWN_MAX {
                own.insert(key, client.clone());
            }
        }
        Ok(client)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(DestinationId, u64), Client>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! HTTP clients: one shared by most destinations, and one for each destination that has a client
//! certificate or a certificate authority of its own.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::destination::Destination;
use domain::id::{DestinationId, OrganizationId};
use egress::{Client, Identity};
use lru::LruCache;
use sha2::{Digest as _, Sha256};
use vault::Vault;
use worker::{ConnectorError, Opened};

/// How many destination-specific clients are cached. Each holds a few idle connections. A full
/// cache evicts the least recently used one of the organization that has the most, so that no
/// organization displaces the others.
const OWN_MAX: NonZeroUsize = NonZeroUsize::new(200).expect("it is not zero");

/// The cached HTTP clients of a worker.
#[derive(Debug)]
pub(crate) struct Clients {
    shared: Client,
    own: Mutex<LruCache<OwnKey, Client>>,
}

/// A destination and a digest of its stored credentials, so that connections are reused until the
/// credentials change, whether or not a check has passed.
type OwnKey = (OrganizationId, DestinationId, [u8; 32]);

impl Clients {
    pub(crate) fn new(shared: Client) -> Self {
        Self {
            shared,
            own: Mutex::new(LruCache::new(OWN_MAX)),
        }
    }

    /// Returns the client for a destination with its current credentials.
    pub(crate) async fn of(
        &self,
        vault: &Vault,
        destination: &Destination,
    ) -> Result<Client, ConnectorError> {
        let credentials = Opened::of(vault, destination);
        let certificate = credentials.open_opt("client_certificate/certificate_pem");
        let authority = credentials.open_opt("ca_pem");
        if certificate.is_none() && authority.is_none() {
            return Ok(self.shared.clone());
        }
        let stored = serde_json::to_vec(&destination.credentials)
            .map_err(|why| ConnectorError::misconfigured(format!("credentials: {why}")))?;
        let key = (
            destination.organization_id,
            destination.id,
            Sha256::digest(&stored).into(),
        );
        if let Some(client) = self.lock().get(&key) {
            return Ok(client.clone());
        }
        let identity = match certificate {
            None => None,
            Some(pem) => {
                let key = credentials
                    .secret("client_certificate/private_key_pem")
                    .await?;
                Some(Identity::parse(pem, &key).map_err(|why| {
                    ConnectorError::misconfigured(format!("client_certificate: {why}"))
                })?)
            }
        };
        let authorities = authority.map(egress::certificates).transpose();
        let authorities =
            authorities.map_err(|why| ConnectorError::misconfigured(format!("ca_pem: {why}")))?;
        let client = self
            .shared
            .for_destination(identity.as_ref(), authorities.as_deref());
        let client = client
            .map_err(|why| ConnectorError::misconfigured(format!("TLS cannot be set up: {why}")))?;
        let mut own = self.lock();
        if own.len() >= OWN_MAX.get() {
            make_room(&mut own);
        }
        own.put(key, client.clone());
        Ok(client)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<OwnKey, Client>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the least recently used entry of the organization that has the most.
fn make_room<T>(own: &mut LruCache<OwnKey, T>) {
    let mut counts: HashMap<OrganizationId, usize> = HashMap::new();
    for ((organization, ..), _) in own.iter() {
        *counts.entry(*organization).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(organization, _)| organization);
    let oldest = own
        .iter()
        .rev()
        .map(|(key, _)| *key)
        .find(|(organization, ..)| Some(*organization) == most);
    if let Some(oldest) = oldest {
        own.pop(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::id::Ulid;

    use super::*;

    #[test]
    fn an_organization_with_many_clients_displaces_only_its_own() {
        let id = |number| Ulid::first_at(Timestamp::from_millis(number));
        let key =
            |organization, destination| (id(organization).into(), id(destination).into(), [0; 32]);
        let mut own = LruCache::new(NonZeroUsize::new(4).unwrap());
        own.put(key(1, 0), ());
        for destination in 0..10 {
            if own.len() >= 4 {
                make_room(&mut own);
            }
            own.put(key(2, destination), ());
        }
        assert!(own.contains(&key(1, 0)) && own.contains(&key(2, 9)) && !own.contains(&key(2, 0)));
        assert_eq!(own.len(), 4);
    }
}

//! What a worker reads for a batch of tasks: everything they name, in one strongly consistent read, so that no cache can go stale.

use std::collections::HashMap;

use bytes::Bytes;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::health::Health;
use domain::id::{DeliveryId, DestinationId, OrganizationId};
use domain::organization::{Grants, OrganizationSettings};

use super::item::decode;
use super::payload::{in_item, inline};
use crate::attributes::{Item, Reader};
use crate::keys::{self, Key};
use crate::{Store, StoreError, destination, health, organization};

/// What a task names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkKey {
    /// Whose delivery it is.
    pub organization: OrganizationId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Where it goes.
    pub destination: DestinationId,
    /// Whether the payload is an item of its own.
    pub payload_item: bool,
}

/// What a task is about.
#[derive(Clone, Debug)]
pub struct Work {
    /// The delivery; `None` when it is gone.
    pub delivery: Option<Delivery>,
    /// Where it goes.
    pub destination: Option<Destination>,
    /// How that is.
    pub health: Health,
    /// What is delivered, unless it is an object or no longer kept: see [`Store::payload`].
    pub payload: Option<Bytes>,
    /// Whether the organization's deliveries wait.
    pub suspended: bool,
    /// What the organization chose; `None` when it is gone.
    pub settings: Option<OrganizationSettings>,
    /// What the operator granted it; nothing when it is gone.
    pub grants: Grants,
}

impl WorkKey {
    fn delivery(&self) -> Key {
        keys::delivery(self.organization, self.delivery)
    }

    fn payload(&self) -> Option<Key> {
        self.payload_item.then(|| keys::payload(self.delivery.message))
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let destination = keys::destination(self.organization, self.destination);
        let always = [self.delivery(), destination, keys::health(self.destination), keys::organization(self.organization)];
        always.into_iter().chain(self.payload())
    }
}

impl Store {
    /// Reads what tasks name, in their order.
    pub async fn read_batch(&self, tasks: &[WorkKey]) -> Result<Vec<Work>, StoreError> {
        let keys: Vec<Key> = tasks.iter().flat_map(WorkKey::keys).collect();
        let items = self.get_all("read a batch", &keys).await?;
        let items: HashMap<Key, Item> =
            keys.into_iter().zip(items).filter_map(|(key, item)| Some((key, item.filter(|item| self.is_alive(item))?))).collect();
        tasks.iter().map(|task| work(task, &items)).collect()
    }
}

fn work(task: &WorkKey, items: &HashMap<Key, Item>) -> Result<Work, StoreError> {
    let delivery = items.get(&task.delivery());
    let inline = delivery.map(|item| inline(Reader(item))).transpose()?.flatten();
    let payload = match inline {
        Some(bytes) => Some(bytes),
        None => task.payload().and_then(|key| items.get(&key)).map(in_item).transpose()?,
    };
    let organization = organization::read(items.get(&keys::organization(task.organization)))?;
    Ok(Work {
        delivery: delivery.map(decode).transpose()?,
        destination: items.get(&keys::destination(task.organization, task.destination)).map(destination::read).transpose()?,
        health: health::read(items.get(&keys::health(task.destination)))?,
        payload,
        // Those of one that is gone do not wait: their destinations are gone, too.
        suspended: organization.as_ref().is_some_and(|organization| organization.status.is_suspended()),
        grants: organization.as_ref().map(|organization| organization.grants.clone()).unwrap_or_default(),
        settings: organization.map(|organization| organization.settings),
    })
}

//! Reads everything that a batch of tasks needs in one strongly consistent read, so that no cache
//! can be stale.

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

/// The keys that a task names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkKey {
    /// The organization that owns the delivery.
    pub organization: OrganizationId,
    /// The id of the delivery.
    pub delivery: DeliveryId,
    /// The destination of the delivery.
    pub destination: DestinationId,
    /// Whether the payload is an item of its own.
    pub payload_item: bool,
}

/// What a worker needs to process a task.
#[derive(Clone, Debug)]
pub struct Work {
    /// The delivery; `None` if it no longer exists.
    pub delivery: Option<Delivery>,
    /// The destination; `None` if it no longer exists.
    pub destination: Option<Destination>,
    /// The health of the destination.
    pub health: Health,
    /// The payload, unless it is an object or no longer kept; see [`Store::payload`].
    pub payload: Option<Bytes>,
    /// Whether the organization is suspended, so that its deliveries wait.
    pub suspended: bool,
    /// The settings of the organization; `None` if it no longer exists.
    pub settings: Option<OrganizationSettings>,
    /// The operator's grants to the organization; empty if it no longer exists.
    pub grants: Grants,
    /// How many shards the organization's deliveries are spread over; 1 if it no longer exists.
    pub shards: u8,
}

impl WorkKey {
    fn delivery(&self) -> Key {
        keys::delivery(self.organization, self.delivery)
    }

    fn payload(&self) -> Option<Key> {
        self.payload_item
            .then(|| keys::payload(self.delivery.message))
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let destination = keys::destination(self.organization, self.destination);
        let always = [
            self.delivery(),
            destination,
            keys::health(self.destination),
            keys::organization(self.organization),
        ];
        always.into_iter().chain(self.payload())
    }
}

impl Store {
    /// Reads what tasks name, in the order of the tasks. An unreadable item is the error of only
    /// those tasks that name it.
    pub async fn read_batch(
        &self,
        tasks: &[WorkKey],
    ) -> Result<Vec<Result<Work, StoreError>>, StoreError> {
        let keys: Vec<Key> = tasks.iter().flat_map(WorkKey::keys).collect();
        let items = self.get_all("read a batch", &keys).await?;
        let items: HashMap<Key, Item> = keys
            .into_iter()
            .zip(items)
            .filter_map(|(key, item)| Some((key, item.filter(|item| self.is_alive(item))?)))
            .collect();
        Ok(tasks.iter().map(|task| work(task, &items)).collect())
    }
}

fn work(task: &WorkKey, items: &HashMap<Key, Item>) -> Result<Work, StoreError> {
    let delivery = items.get(&task.delivery());
    let inline = delivery
        .map(|item| inline(Reader(item)))
        .transpose()?
        .flatten();
    let payload = match inline {
        Some(bytes) => Some(bytes),
        None => task
            .payload()
            .and_then(|key| items.get(&key))
            .map(in_item)
            .transpose()?,
    };
    let organization = organization::read(items.get(&keys::organization(task.organization)))?;
    Ok(Work {
        delivery: delivery.map(decode).transpose()?,
        destination: items
            .get(&keys::destination(task.organization, task.destination))
            .map(destination::read)
            .transpose()?,
        health: health::read(items.get(&keys::health(task.destination)))?,
        payload,
        // Deliveries of a deleted organization do not wait, because their destinations are deleted
        // too.
        suspended: organization
            .as_ref()
            .is_some_and(|organization| organization.status.is_suspended()),
        grants: organization
            .as_ref()
            .map(|organization| organization.grants.clone())
            .unwrap_or_default(),
        shards: organization
            .as_ref()
            .map_or(1, |organization| organization.shards),
        settings: organization.map(|organization| organization.settings),
    })
}

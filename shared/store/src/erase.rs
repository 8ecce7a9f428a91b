//! Erases an organization's items and objects in steps. A repeat removes what is left.

use domain::id::{DeliveryId, DestinationId, JobId, OrganizationId};
use futures_util::{TryStreamExt as _, stream};
use telemetry::metrics::{Threshold, threshold_exceeded};

use crate::attributes::{Item, Reader, text};
use crate::delivery::{ObjectLocation, OwnObjects, Unreadable};
use crate::document;
use crate::expression::Condition;
use crate::keys::{self, Key, PK, SK};
use crate::unreadable::readable;
use crate::upload::Upload;
use crate::{Store, StoreError};

/// The number of items that are removed concurrently.
const CONCURRENCY: usize = 16;
/// Items of a partition that one query reads.
const PAGE: i32 = 200;

impl Store {
    /// Erases some of a shard's deliveries with their attempts and payloads. Returns how many; 0 if
    /// there are none left.
    pub async fn erase_deliveries(
        &self,
        organization: OrganizationId,
        shard: u8,
    ) -> Result<u64, StoreError> {
        let found = self.stretch(&keys::deliveries(organization, shard)).await?;
        let count = found.len() as u64;
        let each = stream::iter(found.into_iter().map(Ok));
        each.try_for_each_concurrent(CONCURRENCY, |item| self.erase_delivery(organization, item))
            .await?;
        Ok(count)
    }

    /// Erases a delivery with what belongs to it. Its key says almost everything about that, so an
    /// unreadable delivery is erased too.
    async fn erase_delivery(
        &self,
        organization: OrganizationId,
        item: Item,
    ) -> Result<(), StoreError> {
        let Some(key) = Key::of(&item) else {
            return Ok(());
        };
        let Some(id) = keys::delivery_of(&key.sk) else {
            return self.remove(key).await;
        };
        let objects = known_objects(&item, organization, id)?;
        if let Some(objects) = &objects {
            if let Some(location) = &objects.payload {
                self.end_use(location, id.message).await?;
            }
            self.remove_body(id, &objects.bodies).await?;
        }
        self.remove(keys::payload(id.message)).await?;
        let attempts = keys::attempts(id);
        // A delivery that was never settled may have late attempts too.
        self.erase_partition(&attempts, None).await?;
        self.remove(key).await?;
        // Removes an attempt that ended in between. A later one finds no delivery and is not kept.
        self.erase_partition(&attempts, None).await?;
        match objects {
            Some(objects) => self.remove_body(id, &objects.bodies).await,
            None => self.remove(keys::body(id)).await,
        }
    }

    /// Erases everything else of the organization: its keys first, so that they are refused from
    /// then on, and the organization itself last. `spared` is the job that runs this.
    pub async fn erase_organization(
        &self,
        organization: OrganizationId,
        spared: JobId,
    ) -> Result<(), StoreError> {
        self.delete_keys(organization).await?;
        self.erase_uploads(organization).await?;
        for partition in keys::partitions_of(organization) {
            self.erase_partition(&partition, Some(&keys::job(organization, spared)))
                .await?;
        }
        self.erase_configuration(organization).await
    }

    /// Erases the objects of uploads. Those that messages used have been erased with the messages.
    async fn erase_uploads(&self, organization: OrganizationId) -> Result<(), StoreError> {
        let mut uploads = Condition::default();
        uploads.equals(PK, text(keys::uploads(organization)));
        let listed = self
            .list("list uploads", self.query(uploads), u32::MAX)
            .await?;
        let records = listed.items.iter().filter(|item| is_record(item));
        let uploads = readable(records.map(document::read::<Upload>))?;
        stream::iter(uploads.into_iter().map(Ok))
            .try_for_each_concurrent(CONCURRENCY, |upload| self.erase_upload(upload))
            .await
    }

    /// Deletes the object of an upload in its version, if its bytes were put.
    async fn erase_upload(&self, upload: Upload) -> Result<(), StoreError> {
        let location = ObjectLocation::own(upload.key, None);
        match self.object_head(&location).await {
            Ok(head) => self.delete_object(&location.pinned(&head)).await,
            Err(Unreadable::Store(error)) => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// Erases an organization's destinations with what belongs to them, everything else in its own
    /// partition, and the organization itself last.
    pub(crate) async fn erase_configuration(
        &self,
        organization: OrganizationId,
    ) -> Result<(), StoreError> {
        let own = keys::organization(organization);
        let mut destinations = Condition::default();
        destinations
            .equals(PK, text(&own.pk))
            .begins_with(SK, text(keys::DESTINATION_PREFIX));
        let listed = self
            .list("list destinations", self.query(destinations), u32::MAX)
            .await?;
        for id in readable(listed.items.iter().map(destination_of))? {
            for partition in keys::partitions_of_destination(id) {
                self.erase_partition(&partition, None).await?;
            }
        }
        self.erase_partition(&own.pk, Some(&own)).await?;
        let any = Condition::default;
        let last = self
            .transaction()
            .delete(&own, any())
            .delete(&keys::organization_listed(organization), any());
        self.transact("delete an organization", last)
            .await
            .map(drop)
    }

    pub(crate) async fn erase_partition(
        &self,
        partition: &str,
        spared: Option<&Key>,
    ) -> Result<(), StoreError> {
        loop {
            let found = self.stretch(partition).await?;
            let keys: Vec<Key> = found
                .iter()
                .filter_map(Key::of)
                .filter(|key| Some(key) != spared)
                .collect();
            if keys.is_empty() {
                return Ok(());
            }
            stream::iter(keys.into_iter().map(Ok))
                .try_for_each_concurrent(CONCURRENCY, |key| self.remove(key))
                .await?;
        }
    }

    async fn stretch(&self, partition: &str) -> Result<Vec<Item>, StoreError> {
        let mut condition = Condition::default();
        condition.equals(PK, text(partition));
        let call = self.query(condition).consistent_read(true).limit(PAGE);
        Ok(call
            .send()
            .await
            .map_err(StoreError::of("read what is to be erased"))?
            .items
            .unwrap_or_default())
    }

    pub(crate) async fn remove(&self, key: Key) -> Result<(), StoreError> {
        self.delete("erase an item", &key, Condition::default())
            .await
            .map(drop)
    }
}

/// Returns the objects that belong to a delivery. If its item does not say which they are, that is
/// logged: they stay until the bucket's lifecycle rules delete them.
fn known_objects(
    item: &Item,
    organization: OrganizationId,
    id: DeliveryId,
) -> Result<Option<OwnObjects>, StoreError> {
    match OwnObjects::of(item, organization, id) {
        Ok(objects) => Ok(Some(objects)),
        Err(StoreError::Corrupt { key, problem }) => {
            tracing::error!(
                key,
                problem,
                "an unreadable delivery is erased, but its objects are unknown; if it has any, \
                 they stay in the bucket until its lifecycle rules delete them"
            );
            threshold_exceeded(Threshold::UnreadableItems);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns the destination that a sort key names.
fn destination_of(item: &Item) -> Result<DestinationId, StoreError> {
    let reader = Reader(item);
    reader
        .text(SK)?
        .trim_start_matches(keys::DESTINATION_PREFIX)
        .parse()
        .map_err(|error| reader.corrupt(format!("its sort key {error}")))
}

/// Returns whether an item of the uploads' partition is the record of an upload, and not the entry
/// of one that no message uses yet.
fn is_record(item: &Item) -> bool {
    Key::of(item).is_some_and(|key| !key.sk.starts_with(keys::OUTSTANDING_PREFIX))
}

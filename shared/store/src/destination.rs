//! Destinations. Each is an item and a route, written in one transaction.

use domain::audit::AuditEvent;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::id::{DestinationId, OrganizationId};
use domain::organization::{Organization, OrganizationSettings};
use domain::recovery::is_recoverable;
use domain::system_destination::SystemDestination;

use crate::attributes::Item;
use crate::document::{self, Saved, absent, at_revision};
use crate::expression::{Change, Condition};
use crate::keys::{self, Key};
use crate::transaction::Transacted;
use crate::{Page, Store, StoreError, alert, audit, organization, routes, skip_unreadable};

/// How often a deletion that also changes its organization's settings is tried again when these
/// changed at the same time.
const SETTINGS_RACES_MAX: usize = 8;

/// The outcome of creating something of which an organization has a limited number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object was created.
    Done,
    /// It was not created: the organization has reached its limit.
    TooMany,
    /// It was not created: the organization no longer exists, or the id is taken.
    Conflict,
}

impl Store {
    /// Saves a new destination.
    pub async fn create_destination(
        &self,
        destination: &Destination,
        event: &AuditEvent,
    ) -> Result<Created, StoreError> {
        const ROUTE: usize = 1;
        let retention_days = self
            .audit_retention_days(destination.organization_id)
            .await?;
        let transaction = self
            .transaction()
            .put(item(destination), absent())
            .change(
                &keys::routes(destination.organization_id),
                routes::added(destination),
            )
            .put(audit::item(event, retention_days), Condition::default());
        match self.transact("create a destination", transaction).await? {
            Transacted::Done => Ok(Created::Done),
            Transacted::Refused {
                position: ROUTE,
                item: Some(_),
            } => Ok(Created::TooMany),
            Transacted::Refused { .. } => Ok(Created::Conflict),
        }
    }

    /// Saves a destination that Waybill manages, which has no route, if it still equals `before`.
    /// Returns whether it was saved.
    pub async fn save_system_destination(
        &self,
        destination: &SystemDestination,
        before: Option<&SystemDestination>,
    ) -> Result<bool, StoreError> {
        let condition = before.map_or_else(absent, |before| document::unchanged(before.record()));
        Ok(self
            .put("save a destination", item(destination.record()), condition)
            .await?
            .is_done())
    }

    /// Reads a destination that Waybill manages. Returns an error if an organization manages the
    /// destination with this id.
    pub async fn system_destination(
        &self,
        organization: OrganizationId,
        id: DestinationId,
    ) -> Result<Option<SystemDestination>, StoreError> {
        let Some(found) = self.destination(organization, id).await? else {
            return Ok(None);
        };
        let found = SystemDestination::of(found).ok_or_else(|| StoreError::Corrupt {
            key: format!("destination {id}"),
            problem: "an organization manages it, and its id is that of one of Waybill's"
                .to_owned(),
        })?;
        Ok(Some(found))
    }

    /// Reads one destination, even if it is deleted.
    pub async fn destination(
        &self,
        organization: OrganizationId,
        id: DestinationId,
    ) -> Result<Option<Destination>, StoreError> {
        let item = self
            .get("read a destination", &keys::destination(organization, id))
            .await?;
        item.as_ref().map(read).transpose()
    }

    /// Reads several destinations, including deleted ones, in the order of their ids. An unreadable
    /// one is logged, counted and left out, as if it did not exist.
    pub async fn destinations(
        &self,
        organization: OrganizationId,
        ids: &[DestinationId],
    ) -> Result<Vec<Option<Destination>>, StoreError> {
        let keys: Vec<Key> = ids
            .iter()
            .map(|id| keys::destination(organization, *id))
            .collect();
        let items = self.get_all("read destinations", &keys).await?;
        items
            .iter()
            .map(|item| {
                Ok(item
                    .as_ref()
                    .map(read)
                    .map(skip_unreadable)
                    .transpose()?
                    .flatten())
            })
            .collect()
    }

    /// Lists an organization's destinations that are not deleted, oldest first.
    pub async fn destinations_page(
        &self,
        organization: OrganizationId,
        after: Option<DestinationId>,
        limit: u32,
    ) -> Result<Page<Destination>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // The routes name only destinations that are not deleted, so tombstones are not read.
        let routes = self
            .routes(organization)
            .await?
            .map(|routes| routes.destinations)
            .unwrap_or_default();
        let ids: Vec<DestinationId> = routes
            .iter()
            .map(|route| route.id)
            .filter(|id| after.is_none_or(|after| *id > after))
            .collect();
        let mut rest = ids.as_slice();
        let mut items = Vec::new();
        // One pass is enough unless destinations are deleted between the two reads.
        while items.len() < limit && !rest.is_empty() {
            let (next, later) = rest.split_at((limit - items.len()).min(rest.len()));
            let read = self.destinations(organization, next).await?;
            items.extend(
                read.into_iter()
                    .flatten()
                    .filter(|destination| !destination.is_deleted()),
            );
            rest = later;
        }
        Ok(Page {
            items,
            more: !rest.is_empty(),
        })
    }

    /// Saves a changed destination whose revision is already raised. A deleted one is removed from
    /// the routes and from the organization's settings, and the monitor watches it until none of
    /// its deliveries waits.
    pub async fn save_destination(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
    ) -> Result<Saved, StoreError> {
        self.save_destination_with(destination, expected_revision, event, &[])
            .await
    }

    /// Saves a destination as [`Self::save_destination`] does, and makes other changes in the same
    /// transaction.
    pub(crate) async fn save_destination_with(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
        others: &[(Key, Change)],
    ) -> Result<Saved, StoreError> {
        const ORGANIZATION: usize = 3;
        for _ in 0..SETTINGS_RACES_MAX {
            let Some(owner) = self.organization(destination.organization_id).await? else {
                return Ok(Saved::Conflict);
            };
            let settings = if destination.is_deleted() {
                without(&owner.settings, destination.id)
            } else {
                None
            };
            let route = match &settings {
                Some(settings) => routes::with_settings(routes::saved(destination), settings),
                None => routes::saved(destination),
            };
            let mut transaction = self
                .transaction()
                .put(item(destination), at_revision(expected_revision))
                .change(&keys::routes(owner.id), route)
                .put(
                    audit::item(event, owner.settings.audit_retention_days),
                    Condition::default(),
                );
            if let Some(settings) = settings {
                let (before, updated_at) = (owner.revision, destination.updated_at);
                let owner = Organization {
                    settings,
                    revision: before + 1,
                    updated_at,
                    ..owner
                };
                transaction = transaction.put(organization::item(&owner), at_revision(before));
            }
            if matches!(
                destination.state,
                DestinationState::Deleted { .. }
                    | DestinationState::Disabled {
                        by: DisabledBy::Failures,
                        ..
                    }
            ) {
                // Deliveries may wait for a deleted destination. The policy of one that failures
                // disabled may have changed, so that the monitor has to begin or end a recovery.
                let mut change = Change::default();
                alert::watch(&mut change, destination);
                transaction = transaction.change(&keys::health(destination.id), change);
            }
            for (key, change) in others {
                transaction = transaction.change(key, change.clone());
            }
            match self.transact("save a destination", transaction).await? {
                Transacted::Done => return Ok(Saved::Done),
                Transacted::Refused {
                    position: ORGANIZATION,
                    ..
                } => {}
                Transacted::Refused { .. } => return Ok(Saved::Conflict),
            }
        }
        Ok(Saved::Conflict)
    }
}

impl Store {
    /// Makes the monitor watch the destinations that failures disabled and that the organization's
    /// policy allows to recover.
    pub async fn watch_recoverable(&self, organization: &Organization) -> Result<(), StoreError> {
        let policy = &organization.settings.failure_policy;
        if !policy.auto_recover {
            return Ok(());
        }
        let Some(routes) = self.routes(organization.id).await? else {
            return Ok(());
        };
        let disabled: Vec<DestinationId> = routes
            .destinations
            .iter()
            .filter(|route| !route.enabled)
            .map(|route| route.id)
            .collect();
        for destination in self
            .destinations(organization.id, &disabled)
            .await?
            .into_iter()
            .flatten()
        {
            if is_recoverable(&destination, destination.policy(policy)) {
                self.watch_destination(&destination).await?;
            }
        }
        Ok(())
    }
}

/// Makes the item of a destination.
pub(crate) fn item(destination: &Destination) -> Item {
    document::revised(
        &keys::destination(destination.organization_id, destination.id),
        destination,
        destination.revision(),
    )
}

/// Reads the destination in an item.
pub(crate) fn read(item: &Item) -> Result<Destination, StoreError> {
    document::read(item)
}

/// Returns the settings without this destination; `None` if they do not name it.
fn without(settings: &OrganizationSettings, id: DestinationId) -> Option<OrganizationSettings> {
    let mut rest = settings.clone();
    for list in [
        &mut rest.default_destination_ids,
        &mut rest.alert_destination_ids,
        &mut rest.status_destination_ids,
    ] {
        list.retain(|named| *named != id);
    }
    (rest != *settings).then_some(rest)
}

//! Organizations. Each is an item, an entry in the list of all, and its [`crate::Routes`].

use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::id::OrganizationId;
use domain::organization::Organization;
use serde::Deserialize;

use crate::attributes::{Item, Reader, text};
use crate::document::{self, Saved, absent, at_revision};
use crate::expression::Condition;
use crate::keys::{self, Key, PK, SK};
use crate::transaction::Transacted;
use crate::unreadable::readable;
use crate::{Created, Page, Store, StoreError, audit, routes};

impl Store {
    /// Saves a new organization, unless one with its id exists.
    pub async fn create_organization(
        &self,
        organization: &Organization,
        event: &AuditEvent,
    ) -> Result<Created, StoreError> {
        let any = Condition::default;
        let transaction = self
            .transaction()
            .put(item(organization), absent())
            .put(keys::organization_listed(organization.id).item(), any())
            .put(routes::first(organization), any())
            .put(
                audit::item(event, organization.settings.audit_retention_days),
                any(),
            );
        let transacted = self.transact("create an organization", transaction).await?;
        Ok(match transacted {
            Transacted::Done => Created::Done,
            Transacted::Refused { .. } => Created::Conflict,
        })
    }

    /// Reads an organization; `None` if it does not exist.
    pub async fn organization(
        &self,
        id: OrganizationId,
    ) -> Result<Option<Organization>, StoreError> {
        let item = self
            .get("read an organization", &keys::organization(id))
            .await?;
        item.as_ref().map(document::read).transpose()
    }

    /// Whether an organization exists and has not ended.
    pub async fn organization_is_active(&self, id: OrganizationId) -> Result<bool, StoreError> {
        is_active(
            self.get("read an organization", &keys::organization(id))
                .await?
                .as_ref(),
        )
    }

    /// Lists all organizations, oldest first.
    pub async fn organizations(
        &self,
        after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<Page<Organization>, StoreError> {
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::ORGANIZATIONS));
        let query = self
            .query(partition)
            .set_exclusive_start_key(after.map(|id| keys::organization_listed(id).item()));
        let listed = self
            .list_as("list organizations", query, limit, |line| {
                Reader(line).parsed(SK)
            })
            .await?;
        let listed_keys: Vec<Key> = listed.items.into_iter().map(keys::organization).collect();
        let items = self.get_all("read organizations", &listed_keys).await?;
        Ok(Page {
            items: readable(items.iter().flatten().map(document::read))?,
            more: listed.more,
        })
    }

    /// Lists the ids of all organizations, oldest first.
    pub async fn organization_ids(&self) -> Result<Vec<OrganizationId>, StoreError> {
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::ORGANIZATIONS));
        let listed = self
            .list_as(
                "list organizations",
                self.query(partition),
                u32::MAX,
                |line| Reader(line).parsed(SK),
            )
            .await?;
        Ok(listed.items)
    }

    /// Saves a changed organization whose revision is already raised, and updates its routes.
    pub async fn update_organization(
        &self,
        organization: &Organization,
        expected_revision: u64,
        event: &AuditEvent,
    ) -> Result<Saved, StoreError> {
        let transaction = self
            .transaction()
            .put(item(organization), at_revision(expected_revision))
            .change(
                &keys::routes(organization.id),
                routes::organization_attributes(organization),
            )
            .put(
                audit::item(event, organization.settings.audit_retention_days),
                Condition::default(),
            );
        match self.transact("save an organization", transaction).await? {
            Transacted::Done => Ok(Saved::Done),
            Transacted::Refused { .. } => Ok(Saved::Conflict),
        }
    }

    /// Ends an organization that has no destinations, whose revision is already raised. From then
    /// on its keys, links and sessions are refused, and it can get no destinations.
    pub async fn end_organization(
        &self,
        ended: &Organization,
        expected_revision: u64,
    ) -> Result<Ending, StoreError> {
        let transaction = self
            .transaction()
            .delete(&keys::routes(ended.id), routes::empty())
            .put(item(ended), at_revision(expected_revision));
        Ok(
            match self.transact("end an organization", transaction).await? {
                Transacted::Done => Ending::Done,
                Transacted::Refused {
                    position: 0,
                    item: Some(_),
                } => Ending::NotEmpty,
                Transacted::Refused { .. } => Ending::Conflict,
            },
        )
    }

    /// Removes an organization that has ended, with its keys, portal links, deleted destinations
    /// and everything else that does not expire. Its deliveries, alerts and audit log remain
    /// until they expire. A repeat removes what is left.
    pub async fn remove_organization(&self, id: OrganizationId) -> Result<(), StoreError> {
        self.delete_keys(id).await?;
        self.erase_partition(&keys::portal_links(Some(id)), None)
            .await?;
        self.erase_configuration(id).await
    }
}

/// The outcome of ending an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The organization has ended.
    Done,
    /// The organization still has destinations.
    NotEmpty,
    /// The organization changed since it was read.
    Conflict,
}

/// Whether an organization's keys, links and sessions are valid: it exists and has not ended.
pub(crate) fn is_active(item: Option<&Item>) -> Result<bool, StoreError> {
    /// The only part of an organization that this check reads, because every request makes it.
    #[derive(Deserialize)]
    struct OrganizationStanding {
        #[serde(default)]
        ended_at: Option<Timestamp>,
    }
    let Some(item) = item else { return Ok(false) };
    Ok(document::read::<OrganizationStanding>(item)?
        .ended_at
        .is_none())
}

/// Makes the item of an organization.
pub(crate) fn item(organization: &Organization) -> Item {
    document::revised(
        &keys::organization(organization.id),
        organization,
        organization.revision,
    )
}

/// Reads the organization in an item.
pub(crate) fn read(item: Option<&Item>) -> Result<Option<Organization>, StoreError> {
    item.map(document::read).transpose()
}

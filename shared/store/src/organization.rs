//! Organizations: each an item of its own, a line in the list of all, and its [`crate::Routes`].

use domain::audit::AuditEvent;
use domain::id::OrganizationId;
use domain::organization::Organization;

use crate::attributes::{Item, Reader, text};
use crate::document::{self, Saved, at_revision};
use crate::expression::Condition;
use crate::keys::{self, Key, PK, SK};
use crate::transaction::Transacted;
use crate::{Page, Store, StoreError, audit, routes};

impl Store {
    /// Keeps a new organization.
    pub async fn create_organization(&self, organization: &Organization, event: &AuditEvent) -> Result<(), StoreError> {
        let any = Condition::default;
        let transaction = self
            .transaction()
            .put(item(organization), any())
            .put(keys::organization_listed(organization.id).item(), any())
            .put(routes::first(organization), any())
            .put(audit::item(event, organization.settings.audit_retention_days), any());
        self.transact("create an organization", transaction).await.map(drop)
    }

    /// One organization.
    pub async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let item = self.get("read an organization", &keys::organization(id)).await?;
        item.as_ref().map(document::read).transpose()
    }

    /// All organizations, oldest first.
    pub async fn organizations(&self, after: Option<OrganizationId>, limit: u32) -> Result<Page<Organization>, StoreError> {
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::ORGANIZATIONS));
        let query = self.query(partition).set_exclusive_start_key(after.map(|id| keys::organization_listed(id).item()));
        let listed = self.list("list organizations", query, limit).await?;
        let listed_keys: Result<Vec<Key>, StoreError> =
            listed.items.iter().map(|line| Reader(line).parsed(SK).map(keys::organization)).collect();
        let items = self.get_all("read organizations", &listed_keys?).await?;
        let organizations: Result<_, _> = items.iter().flatten().map(document::read).collect();
        Ok(Page { items: organizations?, more: listed.more })
    }

    /// Saves a changed organization, its revision already raised, and what its routes say of it.
    pub async fn update_organization(
        &self,
        organization: &Organization,
        expected_revision: u64,
        event: &AuditEvent,
    ) -> Result<Saved, StoreError> {
        let transaction = self
            .transaction()
            .put(item(organization), at_revision(expected_revision))
            .change(&keys::routes(organization.id), routes::restated(organization))
            .put(audit::item(event, organization.settings.audit_retention_days), Condition::default());
        match self.transact("save an organization", transaction).await? {
            Transacted::Done => Ok(Saved::Done),
            Transacted::Refused { .. } => Ok(Saved::Conflict),
        }
    }

    /// Removes an organization; a conflict while it has destinations. What it did remains until it expires.
    pub async fn delete_organization(&self, id: OrganizationId) -> Result<Saved, StoreError> {
        let any = Condition::default;
        let transaction = self
            .transaction()
            .delete(&keys::organization(id), any())
            .delete(&keys::organization_listed(id), any())
            .delete(&keys::routes(id), routes::empty());
        match self.transact("delete an organization", transaction).await? {
            // Without routes it was gone before.
            Transacted::Done | Transacted::Refused { item: None, .. } => Ok(Saved::Done),
            Transacted::Refused { .. } => Ok(Saved::Conflict),
        }
    }
}

/// An organization's item.
pub(crate) fn item(organization: &Organization) -> Item {
    document::revised(&keys::organization(organization.id), organization, organization.revision)
}

/// The organization in an item.
pub(crate) fn read(item: Option<&Item>) -> Result<Option<Organization>, StoreError> {
    item.map(document::read).transpose()
}

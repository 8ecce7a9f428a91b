//! What an operator needs next to a list across organizations: the names of its organizations and
//! destinations, organizations to filter by, and the organization that an id belongs to.

use std::collections::{BTreeMap, BTreeSet};

use access::Caller;
use domain::id::{DestinationId, OrganizationId, Ulid};
use domain::role::Permission;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{Context, Operations, Refusal};

/// The number of names that are read at the same time.
const READS_AT_ONCE: usize = 16;
/// The number of organizations that a filter offers. If there are more, people search for one by
/// name.
const CHOICES_MAX: u32 = 100;

/// The names of the organizations and destinations that a list mentions.
#[derive(Debug, Default)]
pub struct ListedNames {
    organizations: BTreeMap<OrganizationId, String>,
    destinations: BTreeMap<DestinationId, String>,
}

impl ListedNames {
    /// Returns the organization's name; `None` if the organization was erased.
    #[must_use]
    pub fn organization(&self, id: &OrganizationId) -> Option<&str> {
        self.organizations.get(id).map(String::as_str)
    }

    /// Returns the destination's name; `None` if the destination was erased.
    #[must_use]
    pub fn destination(&self, id: &DestinationId) -> Option<&str> {
        self.destinations.get(id).map(String::as_str)
    }
}

impl Operations {
    /// Returns the name of the organization that pages are about: the caller's own, or the one
    /// that an operator names.
    pub async fn organization_name(
        &self,
        caller: &Caller,
        named: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        let named = named.and_then(|id| id.parse().ok());
        let Some(id) = caller.organization.or(named) else {
            return Ok(None);
        };
        let organization = self.store.organization(id).await?;
        Ok(organization.map(|organization| organization.name))
    }

    /// Reads the names of organizations and of destinations in them.
    pub async fn names_everywhere(
        &self,
        ctx: &Context,
        organizations: BTreeSet<OrganizationId>,
        destinations: BTreeSet<(OrganizationId, DestinationId)>,
    ) -> Result<ListedNames, Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let organizations = stream::iter(organizations).map(async |id| {
            let found = self.store.organization(id).await?;
            Ok::<_, Refusal>(found.map(|organization| (id, organization.name)))
        });
        let destinations = stream::iter(destinations).map(async |(organization, id)| {
            let found = self.store.destination(organization, id).await?;
            Ok::<_, Refusal>(found.map(|destination| (id, destination.name)))
        });
        let (organizations, destinations): (Vec<_>, Vec<_>) = tokio::try_join!(
            organizations.buffered(READS_AT_ONCE).try_collect(),
            destinations.buffered(READS_AT_ONCE).try_collect()
        )?;
        Ok(ListedNames {
            organizations: organizations.into_iter().flatten().collect(),
            destinations: destinations.into_iter().flatten().collect(),
        })
    }

    /// Returns organizations for a filter, sorted by name, and whether there are more of them.
    pub async fn organization_choices(
        &self,
        ctx: &Context,
    ) -> Result<(Vec<(OrganizationId, String)>, bool), Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let page = self.store.organizations(None, CHOICES_MAX).await?;
        let mut choices: Vec<(OrganizationId, String)> = page
            .items
            .into_iter()
            .map(|organization| (organization.id, organization.name))
            .collect();
        choices.sort_by_cached_key(|(id, name)| (name.to_lowercase(), *id));
        Ok((choices, page.more))
    }

    /// Returns the organization that issued an id, if the tag of the id matches exactly one. The
    /// object that the id names may not exist.
    pub async fn organization_of(
        &self,
        ctx: &Context,
        id: &str,
    ) -> Result<Option<OrganizationId>, Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        // An id is a prefix and a ULID. The id of a delivery also has its number in the message.
        let Some(ulid) = id
            .split('_')
            .nth(1)
            .and_then(|text| text.parse::<Ulid>().ok())
        else {
            return Ok(None);
        };
        let organizations = self.store.organization_ids().await?;
        let mut owners = organizations
            .into_iter()
            .filter(|organization| self.ids.owns(*organization, ulid));
        Ok(owners.next().filter(|_| owners.next().is_none()))
    }
}

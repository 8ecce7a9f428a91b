//! The names of the destinations and organizations that a page refers to by id.

use std::collections::BTreeSet;

use domain::id::{DestinationId, OrganizationId};
use operations::view::delivery::DeliverySummary;
use operations::{ListedNames, Operations, Refusal};

use crate::show;
use crate::visitor::Visitor;

/// The names of one organization's destinations or, in lists across organizations, of everything
/// that the list refers to.
#[derive(Default)]
pub(crate) struct Names {
    /// The ids and names of an organization's destinations, oldest first. Filters offer these.
    pub(crate) destinations: Vec<(String, String)>,
    everywhere: Option<ListedNames>,
}

impl Names {
    /// Reads the names of the organization's destinations. Returns none for a visitor who may not
    /// read them.
    pub(crate) async fn read(operations: &Operations, v: &Visitor) -> Result<Self, Refusal> {
        if !v.may_read() {
            return Ok(Self::none());
        }
        let found = operations.destination_names(&v.ctx, v.query(&[])).await?;
        let named = found.into_iter().map(|(id, name)| (id.to_string(), name));
        Ok(Self {
            destinations: named.collect(),
            everywhere: None,
        })
    }

    /// Reads the names that deliveries of several organizations refer to.
    pub(crate) async fn of_deliveries(
        operations: &Operations,
        v: &Visitor,
        deliveries: &[DeliverySummary],
    ) -> Result<Self, Refusal> {
        let organizations = deliveries
            .iter()
            .map(|item| item.delivery.organization_id)
            .collect();
        let destinations = deliveries
            .iter()
            .map(|item| (item.delivery.organization_id, item.delivery.destination_id))
            .collect();
        Ok(Self {
            everywhere: Some(
                operations
                    .names_everywhere(&v.ctx, organizations, destinations)
                    .await?,
            ),
            ..Self::default()
        })
    }

    /// Reads the names of these organizations if the page lists several organizations.
    pub(crate) async fn of_organizations(
        operations: &Operations,
        v: &Visitor,
        organizations: BTreeSet<OrganizationId>,
    ) -> Result<Self, Refusal> {
        if !v.views_all_organizations() {
            return Ok(Self::none());
        }
        Ok(Self {
            everywhere: Some(
                operations
                    .names_everywhere(&v.ctx, organizations, BTreeSet::new())
                    .await?,
            ),
            ..Self::default()
        })
    }

    /// Returns no names, for pages about one destination.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Whether there are no names.
    pub(crate) fn is_empty(&self) -> bool {
        self.destinations.is_empty() && self.everywhere.is_none()
    }

    /// Returns the name of a destination, or the end of its id.
    pub(crate) fn of(&self, id: &DestinationId) -> String {
        if let Some(name) = self
            .everywhere
            .as_ref()
            .and_then(|names| names.destination(id))
        {
            return name.to_owned();
        }
        let id = id.to_string();
        self.destinations
            .iter()
            .find(|(own, _)| *own == id)
            .map_or_else(|| show::short(&id), |(_, name)| name.clone())
    }

    /// Returns the name of an organization, or the end of its id.
    pub(crate) fn organization(&self, id: &OrganizationId) -> String {
        let name = self
            .everywhere
            .as_ref()
            .and_then(|names| names.organization(id));
        name.map_or_else(|| show::short(id), str::to_owned)
    }
}

/// The organizations that the filter of an operator offers.
pub(crate) struct Choices {
    organizations: Vec<(OrganizationId, String)>,
    /// Whether there are more organizations than the filter offers.
    pub(crate) more: bool,
}

impl Choices {
    /// Reads the organizations. Returns `None` for a visitor who is not an operator.
    pub(crate) async fn read(
        operations: &Operations,
        v: &Visitor,
    ) -> Result<Option<Self>, Refusal> {
        if !v.is_operator() {
            return Ok(None);
        }
        let (organizations, more) = operations.organization_choices(&v.ctx).await?;
        Ok(Some(Self {
            organizations,
            more,
        }))
    }

    /// Returns the id and name of each organization, and whether it is chosen. The chosen
    /// organization is always included.
    pub(crate) fn options(&self, v: &Visitor) -> Vec<(String, String, bool)> {
        let is_chosen = |id: &str| v.named.as_deref() == Some(id);
        let offered = self
            .organizations
            .iter()
            .map(|(id, name)| (id.to_string(), name.clone()));
        let mut options: Vec<_> = offered
            .map(|(id, name)| (is_chosen(&id), id, name))
            .map(|(is, id, name)| (id, name, is))
            .collect();
        if let (Some(id), Some(name)) = (&v.named, &v.organization_name)
            && !options.iter().any(|(_, _, is)| *is)
        {
            options.insert(0, (id.clone(), name.clone(), true));
        }
        options
    }
}

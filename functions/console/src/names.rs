//! The names of destinations and organizations that a page mentions by their ids.

use std::collections::BTreeSet;

use domain::id::{DestinationId, OrganizationId};
use operations::view::delivery::DeliverySummary;
use operations::{NamesEverywhere, Operations, Refusal};

use crate::show;
use crate::visitor::Visitor;

/// Destinations that are known by name; others, of an organization that has more, by their ids.
const KNOWN: &str = "100";

/// Names of one organization's destinations; for an operator's lists, those of all that a list
/// mentions.
#[derive(Default)]
pub(crate) struct Names {
    /// Ids and names of an organization's destinations, oldest first: what a filter offers.
    pub(crate) destinations: Vec<(String, String)>,
    everywhere: Option<NamesEverywhere>,
}

impl Names {
    /// Reads the names of the organization's destinations, for whoever may read them.
    pub(crate) async fn read(operations: &Operations, v: &Visitor) -> Result<Self, Refusal> {
        if !v.may_read() {
            return Ok(Self::none());
        }
        let found = operations
            .destinations(&v.ctx, v.query(&[("limit", KNOWN)]))
            .await?;
        let named = found
            .data
            .into_iter()
            .map(|destination| (destination.id.to_string(), destination.name));
        Ok(Self {
            destinations: named.collect(),
            everywhere: None,
        })
    }

    /// Reads the names that deliveries of several organizations mention.
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

    /// Reads the names of these organizations, where the page lists those of several.
    pub(crate) async fn of_organizations(
        operations: &Operations,
        v: &Visitor,
        organizations: BTreeSet<OrganizationId>,
    ) -> Result<Self, Refusal> {
        if !v.sees_all() {
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

    /// No names, for pages that are about one destination.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Whether the page names destinations at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.destinations.is_empty() && self.everywhere.is_none()
    }

    /// The name of a destination, or the end of its id.
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

    /// The name of an organization, or the end of its id.
    pub(crate) fn organization(&self, id: &OrganizationId) -> String {
        let name = self
            .everywhere
            .as_ref()
            .and_then(|names| names.organization(id));
        name.map_or_else(|| show::short(id), str::to_owned)
    }
}

/// The organizations that an operator's filter offers.
pub(crate) struct Choices {
    organizations: Vec<(OrganizationId, String)>,
    /// There are more organizations than the filter offers.
    pub(crate) more: bool,
}

impl Choices {
    /// Reads them for an operator; other callers have no choice of organization.
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

    /// Id, name and whether it is chosen. The organization that is looked at is always among them.
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

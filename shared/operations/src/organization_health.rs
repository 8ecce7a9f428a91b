//! The health of organizations, which operators look at first.

use std::cmp::Reverse;

use domain::Timestamp;
use domain::health::{Health, HealthStatus};
use domain::id::{DestinationId, OrganizationId};
use domain::organization::Organization;
use domain::role::Permission;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use store::Route;
use utoipa::ToSchema;

use crate::organization::{NamePrefix, no_parameters};
use crate::view::destination::DestinationView;
use crate::{Context, Operations, Query, Refusal};

/// The number of organizations whose health is read at the same time.
const CONCURRENCY: usize = 8;
/// The number of organizations that are read at once.
const PAGE: u32 = 100;
/// The maximum number of destinations that are shown to be disabled or failing.
const SHOWN_MAX: usize = 20;

/// How an organization is doing: its destinations in trouble and its pending deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrganizationHealth {
    /// The number of destinations whose consecutive failures have reached `alert_after_failures`. A
    /// disabled destination is counted as disabled only.
    pub failing: u64,
    /// The number of destinations that are disabled.
    pub disabled: u64,
    /// The number of deliveries that are queued or are to be retried.
    pub pending: u64,
    /// When the oldest pending delivery was accepted; null if none is pending.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_pending_at: Option<Timestamp>,
}

/// What in an organization needs attention.
#[derive(Debug)]
pub struct Attention {
    /// The health of the organization.
    pub health: OrganizationHealth,
    /// The number of destinations that the organization has.
    pub count: usize,
    /// The destinations that are disabled or failing, worst first.
    pub destinations: Vec<UnhealthyDestination>,
    /// The number of such destinations that are not shown.
    pub more: usize,
}

/// A destination that is disabled or failing.
#[derive(Debug)]
pub struct UnhealthyDestination {
    /// The destination, as reads show it.
    pub destination: DestinationView,
    /// The status of the destination's health.
    pub status: HealthStatus,
    /// The health of the destination, with its streak.
    pub health: Health,
}

/// The rank of an organization among all, worst first. The id decides between organizations that
/// are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(Reverse<u64>, Reverse<u64>, Reverse<u64>, OrganizationId);

impl Rank {
    fn of(organization: &Organization, health: &OrganizationHealth) -> Self {
        Self(
            Reverse(health.failing),
            Reverse(health.disabled),
            Reverse(health.pending),
            organization.id,
        )
    }
}

impl std::fmt::Display for Rank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.0.0, self.1.0, self.2.0, self.3)
    }
}

impl std::str::FromStr for Rank {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('/');
        let mut count = || {
            parts
                .next()
                .and_then(|part| part.parse().ok())
                .map(Reverse)
                .ok_or(())
        };
        let (failing, disabled, pending) = (count()?, count()?, count()?);
        Ok(Self(
            failing,
            disabled,
            pending,
            parts.next().and_then(|id| id.parse().ok()).ok_or(())?,
        ))
    }
}

impl Operations {
    /// Returns these organizations with their health, in the same order.
    pub(crate) async fn with_health(
        &self,
        organizations: Vec<Organization>,
    ) -> Result<Vec<(Organization, OrganizationHealth)>, Refusal> {
        let each = stream::iter(organizations).map(async |organization| {
            let health = self.organization_health(&organization).await?;
            Ok::<_, Refusal>((organization, health))
        });
        each.buffered(CONCURRENCY).try_collect().await
    }

    /// Returns up to `limit` organizations whose name begins with `name`, worst first, from `after`
    /// on. Also returns the rank after which the next page begins. All organizations are read.
    pub(crate) async fn worst_organizations(
        &self,
        name: Option<&NamePrefix>,
        after: Option<Rank>,
        limit: u32,
    ) -> Result<(Vec<(Organization, OrganizationHealth)>, Option<Rank>), Refusal> {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let page = self.store.organizations(last, PAGE).await?;
            last = page.items.last().map(|organization| organization.id);
            let found = page
                .items
                .into_iter()
                .filter(|organization| name.is_none_or(|name| name.admits(organization)));
            all.extend(self.with_health(found.collect()).await?);
            if !page.more || last.is_none() {
                break;
            }
        }
        let mut ranked: Vec<(Rank, _)> = all
            .into_iter()
            .map(|entry| (Rank::of(&entry.0, &entry.1), entry))
            .collect();
        ranked.retain(|(rank, _)| after.is_none_or(|after| *rank > after));
        ranked.sort_by_key(|(rank, _)| *rank);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = ranked.len() > limit;
        ranked.truncate(limit);
        let next = ranked.last().map(|(rank, _)| *rank).filter(|_| more);
        Ok((ranked.into_iter().map(|(_, entry)| entry).collect(), next))
    }

    /// Returns what in an organization needs attention: its health, and the destinations that are
    /// disabled or failing, worst first.
    pub async fn attention(&self, ctx: &Context, mut query: Query) -> Result<Attention, Refusal> {
        let id = self.enter(ctx, Permission::Read, &mut query).await?;
        no_parameters(query)?;
        let organization = self
            .store
            .organization(id)
            .await?
            .ok_or_else(Refusal::not_found)?;
        let (routes, streaks) = self.streaks(id).await?;
        let health = self.health_of(&organization, &routes, &streaks).await?;
        let mut unwell: Vec<(&Route, Health)> = routes.iter().zip(streaks).collect();
        unwell.retain(|(route, health)| health.consecutive_failures > 0 || !route.enabled);
        unwell.sort_by_key(|(route, health)| {
            (
                route.enabled,
                Reverse(health.consecutive_failures),
                route.id,
            )
        });
        let more = unwell.len().saturating_sub(SHOWN_MAX);
        unwell.truncate(SHOWN_MAX);
        let ids: Vec<DestinationId> = unwell.iter().map(|(route, _)| route.id).collect();
        let found = self.store.destinations(id, &ids).await?;
        let general = &organization.settings.failure_policy;
        let shown = unwell
            .into_iter()
            .zip(found)
            .filter_map(|((_, health), found)| {
                let found = found?;
                let alert_after = found.policy(general).alert_after_failures;
                Some(UnhealthyDestination {
                    destination: self.destination_view(ctx, &found, &organization.settings, None),
                    status: health.status(alert_after),
                    health,
                })
            });
        Ok(Attention {
            health,
            count: routes.len(),
            destinations: shown.collect(),
            more,
        })
    }

    pub(crate) async fn organization_health(
        &self,
        organization: &Organization,
    ) -> Result<OrganizationHealth, Refusal> {
        let (routes, healths) = self.streaks(organization.id).await?;
        self.health_of(organization, &routes, &healths).await
    }

    /// Returns an organization's destinations, and the health of each.
    async fn streaks(
        &self,
        organization: OrganizationId,
    ) -> Result<(Vec<Route>, Vec<Health>), Refusal> {
        let routes = self
            .store
            .routes(organization)
            .await?
            .map(|routes| routes.destinations)
            .unwrap_or_default();
        let ids: Vec<DestinationId> = routes.iter().map(|route| route.id).collect();
        let healths = self.store.healths(&ids).await?;
        Ok((routes, healths))
    }

    async fn health_of(
        &self,
        organization: &Organization,
        routes: &[Route],
        healths: &[Health],
    ) -> Result<OrganizationHealth, Refusal> {
        let unwell: Vec<(DestinationId, u32)> = routes
            .iter()
            .zip(healths)
            .filter(|(route, health)| route.enabled && health.consecutive_failures > 0)
            .map(|(route, health)| (route.id, health.consecutive_failures))
            .collect();
        let ids: Vec<DestinationId> = unwell.iter().map(|(id, _)| *id).collect();
        let destinations = self.store.destinations(organization.id, &ids).await?;
        let general = &organization.settings.failure_policy;
        let failing = unwell
            .iter()
            .zip(&destinations)
            .filter(|((_, streak), destination)| {
                let policy = destination
                    .as_ref()
                    .map_or(general, |destination| destination.policy(general));
                *streak >= policy.alert_after_failures
            });
        let pending = self
            .store
            .backlog(organization.id, organization.shards)
            .await?;
        Ok(OrganizationHealth {
            failing: failing.count() as u64,
            disabled: routes.iter().filter(|route| !route.enabled).count() as u64,
            pending: pending.count,
            oldest_pending_at: pending.oldest_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::Ulid;

    #[test]
    fn the_worst_comes_first_and_a_rank_reads_back() {
        let id = |n| OrganizationId::from(Ulid::first_at(Timestamp::from_millis(n)));
        let rank = |failing, disabled, pending, n| {
            Rank(Reverse(failing), Reverse(disabled), Reverse(pending), id(n))
        };
        let mut ranks = [
            rank(0, 0, 0, 1),
            rank(0, 0, 9, 2),
            rank(1, 0, 0, 3),
            rank(0, 2, 0, 4),
            rank(0, 0, 0, 0),
        ];
        ranks.sort();
        assert_eq!(ranks.map(|rank| rank.3), [3, 4, 2, 0, 1].map(id));
        assert_eq!(ranks[0].to_string().parse(), Ok(ranks[0]));
        assert!("1/2/x".parse::<Rank>().is_err());
    }
}

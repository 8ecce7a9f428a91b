//! Lists destinations, and destination types with their schemas.

use domain::destination::Destination;
use domain::id::DestinationId;
use domain::input::Errors;
use domain::limits::DESTINATIONS_MAX;
use domain::organization::OrganizationSettings;
use domain::recovery::is_recoverable;
use domain::role::Permission;
use domain::settings::DestinationType;

use crate::cursor::ListScope;
use crate::organization::no_parameters;
use crate::page::{Page, PageQuery};
use crate::view::destination::DestinationView;
use crate::view::meta::{DestinationTypeView, DestinationTypes};
use crate::{Context, Operations, Query, Refusal, scheme};

/// The number of destinations that are read at once.
const READ_AT_ONCE: u32 = 100;
/// The maximum number of reads for one page. They suffice for all destinations that an organization
/// can have.
const READS_MAX: usize = 10;

impl Operations {
    /// `GET /v1/destinations`: lists destinations, oldest first.
    pub async fn destinations(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<DestinationView>, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        let kind = query.choice("type", &errors, DestinationType::ALL);
        let status = query.choice(
            "status",
            &errors,
            &[
                ("enabled", "enabled"),
                ("paused", "paused"),
                ("disabled", "disabled"),
            ],
        );
        let with_health = query
            .choice("include", &errors, &[("health", ())])
            .is_some();
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/destinations")
            .with("organization", Some(organization))
            .with("type", kind.map(DestinationType::as_str))
            .with("status", status);
        let mut after = page.after(&self.cursors, &scope)?;
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let mut found: Vec<Destination> = Vec::new();
        let now = self.clock.now();
        for _ in 0..READS_MAX {
            let batch = self
                .store
                .destinations_page(organization, after, READ_AT_ONCE)
                .await?;
            after = batch
                .items
                .last()
                .map(|destination| destination.id)
                .filter(|_| batch.more);
            let matches = |destination: &Destination| {
                let is_in = |status| status == crate::view::destination::status(destination, now);
                kind.is_none_or(|kind| kind == destination.kind()) && status.is_none_or(is_in)
            };
            found.extend(batch.items.into_iter().filter(matches));
            if found.len() > wanted || after.is_none() {
                break;
            }
        }
        if found.len() > wanted {
            found.truncate(wanted);
            after = found.last().map(|destination| destination.id);
        }
        let next_cursor = self.next_cursor(&scope, after);
        Ok(Page {
            data: self.destination_views(ctx, &found, with_health).await?,
            next_cursor,
        })
    }

    /// Returns the id and name of every destination of the organization, oldest first.
    pub async fn destination_names(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Vec<(DestinationId, String)>, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        no_parameters(query)?;
        let all = u32::try_from(DESTINATIONS_MAX).unwrap_or(u32::MAX);
        let found = self
            .store
            .destinations_page(organization, None, all)
            .await?;
        let named = found
            .items
            .into_iter()
            .map(|destination| (destination.id, destination.name));
        Ok(named.collect())
    }

    async fn destination_views(
        &self,
        ctx: &Context,
        found: &[Destination],
        with_health: bool,
    ) -> Result<Vec<DestinationView>, Refusal> {
        let Some(first) = found.first() else {
            return Ok(Vec::new());
        };
        let settings = self.settings_of(first.organization_id).await?;
        let healths = match with_health {
            true => self
                .health_views(first.organization_id, found)
                .await?
                .into_iter()
                .map(Some)
                .collect(),
            false => found.iter().map(|_| None).collect::<Vec<_>>(),
        };
        let view =
            |(destination, health)| self.destination_view(ctx, destination, &settings, health);
        let mut views: Vec<DestinationView> = found.iter().zip(healths).map(view).collect();
        if !with_health {
            self.add_next_checks(found, &settings, &mut views).await?;
        }
        Ok(views)
    }

    /// Adds the time of the next check to the destinations that Waybill checks in order to enable
    /// them again. The time is part of their health.
    async fn add_next_checks(
        &self,
        found: &[Destination],
        settings: &OrganizationSettings,
        views: &mut [DestinationView],
    ) -> Result<(), Refusal> {
        let recoverable = |destination: &Destination| {
            is_recoverable(destination, destination.policy(&settings.failure_policy))
        };
        let (ids, views): (Vec<DestinationId>, Vec<&mut DestinationView>) = found
            .iter()
            .zip(views)
            .filter(|(destination, _)| recoverable(destination))
            .map(|(destination, view)| (destination.id, view))
            .unzip();
        for (health, view) in self.store.healths(&ids).await?.into_iter().zip(views) {
            if let Some(disabled) = &mut view.disabled {
                disabled.next_check_at =
                    health.recovery.and_then(|recovery| recovery.next_check_at);
            }
        }
        Ok(())
    }

    /// `GET /v1/destination-types`: returns the schemas of each destination type.
    pub async fn destination_types(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<DestinationTypes, Refusal> {
        self.require(ctx, Permission::Read).await?;
        query.take_all("organization_id");
        no_parameters(query)?;
        let describe = |(name, kind): &(&'static str, DestinationType)| DestinationTypeView {
            kind: name,
            settings: scheme::settings(*kind),
            credentials: scheme::credentials(*kind),
        };
        Ok(DestinationTypes {
            data: DestinationType::ALL.iter().map(describe).collect(),
            next_cursor: None,
        })
    }
}

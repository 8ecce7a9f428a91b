//! The health of destinations: their streaks, their last 24 hours, and their pending deliveries.

use domain::Timestamp;
use domain::destination::{Destination, DestinationState};
use domain::id::{DestinationId, OrganizationId};
use domain::input::{Errors, FieldCode, FieldError};
use domain::organization::OrganizationSettings;
use domain::role::Permission;
use domain::statistics::{HOUR_MS, Tally, hour_of};
use domain::waiting::DeliveryLimits;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::view::destination::HealthView;
use crate::view::statistics::{HealthBucket, HealthBuckets};
use crate::{Context, Operations, Query, Refusal};

/// The maximum number of buckets in one response.
const BUCKETS_MAX: i64 = 744;
/// The number of destinations whose statistics are read at the same time.
pub(crate) const READS_AT_ONCE: usize = 8;
const DAY_HOURS: i64 = 24;

impl Operations {
    /// Returns the health of these destinations of an organization, in the same order.
    pub(crate) async fn health_views(
        &self,
        organization: OrganizationId,
        found: &[Destination],
    ) -> Result<Vec<HealthView>, Refusal> {
        let routes = self.store.routes(organization).await?;
        let (shards, settings) = routes
            .map(|routes| (routes.shards, routes.settings))
            .unwrap_or_default();
        let ids: Vec<DestinationId> = found.iter().map(|destination| destination.id).collect();
        let holding: Vec<DestinationId> = found
            .iter()
            .filter(|destination| may_hold(destination, &settings))
            .map(|destination| destination.id)
            .collect();
        let until = self.clock.now().plus(std::time::Duration::from_millis(1));
        let since = Timestamp::from_millis(hour_of(until).as_millis() - (DAY_HOURS - 1) * HOUR_MS);
        let statistics: Vec<_> = ids
            .iter()
            .map(|id| self.store.statistics(*id, since, until))
            .collect();
        let (healths, pending, statistics) = futures_util::try_join!(
            self.store.healths(&ids),
            self.store
                .pending_of_each(organization, shards, &ids, &holding),
            stream::iter(statistics)
                .buffered(READS_AT_ONCE)
                .try_collect::<Vec<_>>(),
        )?;
        let mut views = Vec::with_capacity(found.len());
        for (((destination, health), pending), hours) in
            found.iter().zip(healths).zip(pending).zip(statistics)
        {
            let alert_after = destination
                .policy(&settings.failure_policy)
                .alert_after_failures;
            let mut last_24h = Tally::default();
            hours.iter().for_each(|(_, hour)| last_24h.merge(hour));
            let view = HealthView::of(
                health,
                alert_after,
                settings.success_rate_warning,
                pending,
                &last_24h,
            );
            views.push(HealthView {
                hours: filled(since, until, HOUR_MS, &hours),
                ..view
            });
        }
        Ok(views)
    }

    /// Returns the sum of a destination's statistics for the hours that begin in this period.
    pub(crate) async fn tally(
        &self,
        destination: DestinationId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Tally, store::StoreError> {
        let mut sum = Tally::default();
        for (_, hour) in self.store.statistics(destination, since, until).await? {
            sum.merge(&hour);
        }
        Ok(sum)
    }

    /// `GET /v1/destinations/{id}/health`: returns every bucket that the period touches. Without a
    /// period in the request, these are the last 24 hours or the last 30 days.
    pub async fn destination_health(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<HealthBuckets, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let errors = Errors::default();
        let hours = query
            .choice("granularity", &errors, &[("hour", 1), ("day", DAY_HOURS)])
            .unwrap_or(1);
        let (since, until) = self.span(&mut query, &errors, hours);
        query.finish(&errors);
        errors.into_result(())?;
        let step = hours * HOUR_MS;
        let (first, end) = bucket_bounds(since, until, step);
        let counted = self.store.statistics(destination.id, first, end).await?;
        Ok(HealthBuckets {
            data: filled(first, end, step, &counted),
        })
    }

    /// Returns the attempts of all destinations of an organization by the hour, for the console's
    /// overview.
    pub async fn activity(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<HealthBuckets, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        let errors = Errors::default();
        let (since, until) = self.span(&mut query, &errors, 1);
        query.finish(&errors);
        errors.into_result(())?;
        let (first, end) = bucket_bounds(since, until, HOUR_MS);
        let destinations = self
            .store
            .routes(organization)
            .await?
            .map(|routes| routes.destinations)
            .unwrap_or_default();
        let reads: Vec<_> = destinations
            .iter()
            .map(|route| self.store.statistics(route.id, first, end))
            .collect();
        let counted: Vec<Vec<(Timestamp, Tally)>> = stream::iter(reads)
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(HealthBuckets {
            data: filled(first, end, HOUR_MS, &counted.concat()),
        })
    }

    /// Takes the period of a request for statistics: `since` is inclusive, `until` exclusive. A
    /// period of more than [`BUCKETS_MAX`] steps of `hours` hours is refused.
    pub(crate) fn span(
        &self,
        query: &mut Query,
        errors: &Errors,
        hours: i64,
    ) -> (Timestamp, Timestamp) {
        let step = hours * HOUR_MS;
        let given = query.time("since", errors);
        let until = query.time("until", errors);
        let until =
            until.unwrap_or_else(|| Timestamp::from_millis(self.clock.now().as_millis() + 1));
        let steps_by_default = if hours == 1 { DAY_HOURS } else { 30 };
        let since = given.unwrap_or_else(|| {
            Timestamp::from_millis(
                (until.as_millis() - 1) / step * step - (steps_by_default - 1) * step,
            )
        });
        let refuse = |name, detail: &str| {
            errors.extend([FieldError::in_query(name, FieldCode::OutOfRange, detail)])
        };
        if until <= since {
            refuse("until", "must be after since");
        } else if (until.as_millis() - 1) / step - since.as_millis() / step >= BUCKETS_MAX {
            refuse(
                "since",
                "asks for more than 744 buckets; choose a later time or a coarser granularity",
            );
        }
        (since, until)
    }
}

/// Whether deliveries may be waiting for this destination, because it was paused or limits apply to
/// it.
fn may_hold(destination: &Destination, settings: &OrganizationSettings) -> bool {
    let has_limits = destination.limits(settings.delivery_limits) != DeliveryLimits::default();
    has_limits || matches!(destination.state, DestinationState::Paused { .. })
}

/// Returns where the first bucket that a period touches begins, and where the last one ends.
fn bucket_bounds(since: Timestamp, until: Timestamp, step: i64) -> (Timestamp, Timestamp) {
    let first = since.as_millis() / step * step;
    let last = (until.as_millis() - 1) / step * step;
    (
        Timestamp::from_millis(first),
        Timestamp::from_millis(last + step),
    )
}

/// Returns every bucket of a period, with what was counted in it.
fn filled(
    since: Timestamp,
    until: Timestamp,
    step: i64,
    counted: &[(Timestamp, Tally)],
) -> Vec<HealthBucket> {
    let start = |at: Timestamp| at.as_millis() / step * step;
    let mut buckets: std::collections::BTreeMap<i64, Tally> = (start(since)..until.as_millis())
        .step_by(usize::try_from(step).unwrap_or(1))
        .map(|at| (at, Tally::default()))
        .collect();
    for (hour, tally) in counted {
        buckets.entry(start(*hour)).or_default().merge(tally);
    }
    buckets
        .into_iter()
        .map(|(at, tally)| HealthBucket::of(Timestamp::from_millis(at), &tally))
        .collect()
}

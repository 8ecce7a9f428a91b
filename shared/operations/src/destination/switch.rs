//! Enables and disables destinations. Both are idempotent: a destination that is in the requested
//! state already is not changed.

use domain::Timestamp;
use domain::alert::{Alert, AlertKind};
use domain::delivery::SkipReason;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::health::Health;
use domain::input::Errors;
use domain::limits::DESCRIPTION;
use domain::recovery::first_failure;
use domain::role::Permission;
use serde::Serialize;
use store::Saved;
use utoipa::ToSchema;

use crate::body::read_members;
use crate::organization::no_parameters;
use crate::view::destination::DestinationView;
use crate::view::job::JobView;
use crate::{Body, Context, Operations, Query, RACES_MAX, Refusal};

/// The maximum number of waiting deliveries that a request skips. The monitor skips the rest.
const SKIPPED_AT_ONCE_MAX: usize = 1000;

/// The body of `POST /v1/destinations/{id}/enable`.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnableDestination {
    /// Also delivers what failed or was skipped since a time, since `disabled_at`, or since
    /// `first_failure_at`.
    #[schema(example = "disabled_at")]
    pub replay_since: Option<String>,
}

/// A destination that was enabled.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnabledDestination {
    /// The destination in its current state.
    #[serde(flatten)]
    pub destination: DestinationView,
    /// The job that delivers again what the destination missed.
    pub job: Option<JobView>,
}

/// The time from which a replay begins.
enum ReplaySince {
    /// At a given point in time.
    Time(Timestamp),
    /// At the time when the destination was disabled.
    Disabled,
    /// At the first failure of the streak that led to disabling the destination.
    FirstFailure,
}

impl ReplaySince {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "disabled_at" => Ok(Self::Disabled),
            "first_failure_at" => Ok(Self::FirstFailure),
            time => Timestamp::parse(time)
                .map(Self::Time)
                .map_err(|error| format!("{error}, `disabled_at` or `first_failure_at`")),
        }
    }
}

impl Operations {
    /// `POST /v1/destinations/{id}/enable`: enables a destination and resets its count of failures,
    /// without a check. If `replay_since` is given, also delivers again what it missed.
    pub async fn enable_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
        body: Body,
    ) -> Result<EnabledDestination, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let members = body.object_or_empty()?;
        no_parameters(query)?;
        let since = read_members(members, Errors::default(), |fields| {
            Some(fields.parsed("replay_since", ReplaySince::parse))
        })?;
        let disabled_at = match &destination.state {
            DestinationState::Disabled { at, .. } => Some(*at),
            _ => None,
        };
        let missed = match since {
            None => None,
            Some(ReplaySince::Time(at)) => Some(at),
            Some(ReplaySince::Disabled) => disabled_at,
            Some(ReplaySince::FirstFailure) => match disabled_at {
                Some(at) => Some(first_failure(&self.store.health(destination.id).await?, at)),
                None => None,
            },
        };
        if missed.is_some() {
            self.room_for_a_job(organization).await?;
        }
        let id = destination.id;
        let view = if destination.takes_deliveries() {
            self.resume(ctx, destination).await?
        } else {
            self.switch(
                ctx,
                destination,
                DestinationState::Enabled,
                "destination.enabled",
            )
            .await?
        };
        let job = match missed {
            Some(since) => Some(self.replay(ctx, organization, id, since).await?),
            None => None,
        };
        Ok(EnabledDestination {
            destination: view,
            job,
        })
    }

    /// `POST /v1/destinations/{id}/disable`: disables a destination. Its queued and retrying
    /// deliveries become `skipped` when they are next processed.
    pub async fn disable_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
        body: Body,
    ) -> Result<DestinationView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let members = body.object_or_empty()?;
        no_parameters(query)?;
        let reason = read_members(members, Errors::default(), |fields| {
            Some(fields.text("reason", DESCRIPTION))
        })?;
        if !destination.takes_deliveries() {
            return self.view_with_health(ctx, &destination).await;
        }
        let disabled = DestinationState::Disabled {
            at: self.clock.now(),
            by: DisabledBy::User,
            reason,
        };
        self.switch(ctx, destination, disabled, "destination.disabled")
            .await
    }

    async fn switch(
        &self,
        ctx: &Context,
        mut before: Destination,
        state: DestinationState,
        action: &str,
    ) -> Result<DestinationView, Refusal> {
        for _ in 0..RACES_MAX {
            if before.takes_deliveries() == (state == DestinationState::Enabled) {
                return self.view_with_health(ctx, &before).await;
            }
            let after = Destination {
                state: state.clone(),
                ..before.revised(self.clock.now())
            };
            let event = self.event(ctx, before.organization_id, action, before.id, Vec::new());
            let alert = self.alert_of_switch(ctx, &after).await?;
            match self
                .store
                .switch_destination(&after, before.revision(), &event, &alert)
                .await?
            {
                Saved::Done => {
                    self.tell(ctx, alert).await;
                    if !after.is_enabled() {
                        self.skip_retrying(&after, SkipReason::DestinationDisabled)
                            .await;
                    }
                    return self.view_with_health(ctx, &after).await;
                }
                Saved::Conflict => {
                    before = self
                        .existing_destination(before.organization_id, before.id)
                        .await?
                }
            }
        }
        Err(Refusal::contended())
    }

    async fn alert_of_switch(
        &self,
        ctx: &Context,
        destination: &Destination,
    ) -> Result<Alert, Refusal> {
        let routes = self
            .store
            .routes(destination.organization_id)
            .await?
            .ok_or_else(Refusal::not_found)?;
        let health = self.store.health(destination.id).await?;
        let (kind, health) = if destination.is_enabled() {
            (
                AlertKind::Enabled,
                Health {
                    consecutive_failures: 0,
                    first_failure_at: None,
                    ..health
                },
            )
        } else {
            (AlertKind::Disabled, health)
        };
        let url = ctx.link("destinations", destination.id);
        Ok(self
            .dispatch
            .alert_about(&self.ids, &routes, destination, &health, kind, &url)
            .await?)
    }

    /// Announces an alert that has been stored. If this fails, the monitor announces it.
    async fn tell(&self, ctx: &Context, alert: Alert) {
        let id = alert.id;
        let told = async {
            match self.store.routes(alert.organization_id).await? {
                Some(routes) => self
                    .dispatch
                    .announce_alert(&self.ids, &routes, alert, ctx.trace)
                    .await
                    .map(drop),
                None => Ok(()),
            }
        };
        if let Err(error) = told.await {
            tracing::warn!(
                error = %domain::chain(&error),
                alert = %id,
                "failed to announce an alert; the monitor announces it"
            );
        }
    }

    /// Skips the deliveries that wait for a retry, for a destination that takes no more deliveries.
    /// If this fails, the monitor skips the rest. The worker skips queued deliveries when it
    /// receives their tasks.
    pub(crate) async fn skip_retrying(&self, destination: &Destination, reason: SkipReason) {
        let skipped = async {
            let Some(routes) = self.store.routes(destination.organization_id).await? else {
                return Ok::<_, dispatch::EndError>(0);
            };
            self.dispatch
                .skip_retrying(destination, routes.shards, reason, SKIPPED_AT_ONCE_MAX)
                .await
        };
        if let Err(error) = skipped.await {
            tracing::warn!(
                error = %domain::chain(&error),
                destination = %destination.id,
                "failed to skip waiting deliveries; the monitor skips them"
            );
        }
    }
}

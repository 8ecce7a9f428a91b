//! Enables and disables destinations. Both are idempotent: a destination that is in the requested
//! state already is not changed.

use domain::Timestamp;
use domain::alert::{Alert, AlertKind};
use domain::delivery::SkipReason;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::health::Health;
use domain::id::OrganizationId;
use domain::input::Fields;
use domain::limits::DESCRIPTION;
use domain::recovery::first_failure;
use domain::role::Permission;
use serde::Serialize;
use store::{Job, JobStatus, Saved};
use utoipa::ToSchema;

use crate::job::too_many;
use crate::view::destination::DestinationView;
use crate::view::job::JobView;
use crate::{Context, Input, Operations, RACES_MAX, Refusal};

/// The maximum number of waiting deliveries that a request skips. The monitor skips the rest.
const SKIPPED_AT_ONCE_MAX: usize = 1000;

/// The body of `POST /v1/destinations/{id}/enable`.
#[derive(Debug, ToSchema)]
pub struct EnableDestination {
    /// Also delivers what failed or was skipped since a time, since `disabled_at`, or since
    /// `first_failure_at`.
    #[schema(value_type = Option<String>, example = "disabled_at")]
    pub replay_since: Option<ReplaySince>,
}

impl EnableDestination {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            replay_since: fields.parsed("replay_since", ReplaySince::parse),
        })
    }
}

/// The body of `POST /v1/destinations/{id}/disable`.
#[derive(Debug, ToSchema)]
pub struct DisableDestination {
    /// The reason, which is shown in the console.
    pub reason: Option<String>,
}

impl DisableDestination {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            reason: fields.text("reason", DESCRIPTION),
        })
    }
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
#[derive(Debug)]
pub enum ReplaySince {
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
        mut input: Input<EnableDestination>,
    ) -> Result<EnabledDestination, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let since = input.optional(EnableDestination::read)?.replay_since;
        if since.is_some()
            && let Some(job) = self.interrupted_replay(ctx, organization).await?
        {
            let job = Some(self.start_stored_job(ctx, job).await);
            let destination = self.view_with_health(ctx, &destination).await?;
            return Ok(EnabledDestination { destination, job });
        }
        let missed = self.missed_since(&destination, since).await?;
        if missed.is_some() {
            self.require_job_capacity(organization).await?;
        }
        let (enabled, stored) = if destination.takes_deliveries() {
            (self.resume(ctx, destination).await?, None)
        } else {
            self.switch(ctx, destination, DestinationState::Enabled, missed)
                .await?
        };
        let job = match (stored, missed) {
            (Some(job), _) => {
                let job = self.extended_replay(job).await;
                Some(self.start_stored_job(ctx, job).await)
            }
            (None, Some(since)) => {
                let job = self.replay(ctx, &enabled, since);
                Some(self.start_job(ctx, job).await?)
            }
            (None, None) => None,
        };
        let destination = self.view_with_health(ctx, &enabled).await?;
        Ok(EnabledDestination { destination, job })
    }

    /// Returns the job that an earlier run of this request stored before it was interrupted. A job
    /// that has failed does not count.
    async fn interrupted_replay(
        &self,
        ctx: &Context,
        organization: OrganizationId,
    ) -> Result<Option<Job>, Refusal> {
        let Some(reserved) = ctx.reserved else {
            return Ok(None);
        };
        let job = self.store.job(organization, reserved.into()).await?;
        Ok(job.filter(|job| job.status != JobStatus::Failed))
    }

    /// Includes in a stored replay what was skipped until its destination was enabled. If this
    /// fails, deliveries that were skipped during this request are not replayed.
    async fn extended_replay(&self, job: Job) -> Job {
        let extending = self.store.extend_replay(job.clone(), self.clock.now());
        extending.await.unwrap_or_else(|error| {
            tracing::warn!(
                error = %domain::chain(&error),
                job = %job.id,
                "failed to include in a replay what was skipped until now"
            );
            job
        })
    }

    /// Returns the time from which a replay begins, or `None` if none is requested, or if it is
    /// requested since a time that a destination has only while it is disabled.
    async fn missed_since(
        &self,
        destination: &Destination,
        since: Option<ReplaySince>,
    ) -> Result<Option<Timestamp>, Refusal> {
        let disabled_at = match &destination.state {
            DestinationState::Disabled { at, .. } => Some(*at),
            _ => None,
        };
        Ok(match (since, disabled_at) {
            (Some(ReplaySince::Time(at)), _) => Some(at),
            (Some(ReplaySince::Disabled), at) => at,
            (Some(ReplaySince::FirstFailure), Some(at)) => {
                Some(first_failure(&self.store.health(destination.id).await?, at))
            }
            (Some(ReplaySince::FirstFailure), None) | (None, _) => None,
        })
    }

    /// `POST /v1/destinations/{id}/disable`: disables a destination. Its queued and retrying
    /// deliveries become `skipped` when they are next processed.
    pub async fn disable_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<DisableDestination>,
    ) -> Result<DestinationView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let DisableDestination { reason } = input.optional(DisableDestination::read)?;
        if !destination.takes_deliveries() {
            return self.view_with_health(ctx, &destination).await;
        }
        let disabled = DestinationState::Disabled {
            at: self.clock.now(),
            by: DisabledBy::User,
            reason,
        };
        let (disabled, _) = self.switch(ctx, destination, disabled, None).await?;
        self.view_with_health(ctx, &disabled).await
    }

    /// Enables or disables a destination. A replay of what it missed is stored in the same
    /// transaction, so that a request that fails leaves either both or neither. Returns the
    /// destination in its current state, and the job unless another request made the change first.
    async fn switch(
        &self,
        ctx: &Context,
        mut before: Destination,
        state: DestinationState,
        missed: Option<Timestamp>,
    ) -> Result<(Destination, Option<Job>), Refusal> {
        let action = match state {
            DestinationState::Enabled => "destination.enabled",
            _ => "destination.disabled",
        };
        for _ in 0..RACES_MAX {
            if before.takes_deliveries() == (state == DestinationState::Enabled) {
                return Ok((before, None));
            }
            let after = Destination {
                state: state.clone(),
                ..before.revised(self.clock.now())
            };
            let event = self.event(ctx, before.organization_id, action, before.id, Vec::new());
            let alert = self.alert_of_switch(ctx, &after).await?;
            let (revision, job) = (
                before.revision(),
                missed.map(|since| self.replay(ctx, &after, since)),
            );
            let saved = match &job {
                Some(job) => self
                    .store
                    .enable_with_replay(&after, revision, &event, &alert, job)
                    .await?
                    .ok_or_else(too_many)?,
                None => {
                    self.store
                        .switch_destination(&after, revision, &event, &alert)
                        .await?
                }
            };
            match saved {
                Saved::Done => {
                    self.announce(ctx, alert).await;
                    if !after.is_enabled() {
                        self.skip_retrying(&after, SkipReason::DestinationDisabled)
                            .await;
                    }
                    return Ok((after, job));
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
    async fn announce(&self, ctx: &Context, alert: Alert) {
        let id = alert.id;
        let announced = async {
            match self.store.routes(alert.organization_id).await? {
                Some(routes) => self
                    .dispatch
                    .announce_alert(&self.ids, &routes, alert, ctx.trace)
                    .await
                    .map(drop),
                None => Ok(()),
            }
        };
        if let Err(error) = announced.await {
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

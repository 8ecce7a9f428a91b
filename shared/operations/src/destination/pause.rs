//! Pauses and resumes destinations. Deliveries to a paused destination are accepted and wait; none
//! is skipped, sent or counted.

use std::time::Duration;

use dispatch::ReleaseLimits;
use domain::Timestamp;
use domain::destination::{Destination, DestinationState};
use domain::id::OrganizationId;
use domain::input::{FieldCode, Fields};
use domain::limits::DESCRIPTION;
use domain::role::Permission;
use futures_util::future::try_join_all;
use serde::Serialize;
use store::Saved;
use utoipa::ToSchema;

use crate::view::destination::DestinationView;
use crate::{Context, Input, Operations, RACES_MAX, Refusal, RefusalCode};

/// The number of destinations whose turns are reset at the same time.
const DESTINATIONS_AT_ONCE: u32 = 50;
/// How many waiting deliveries the request that resumes a destination releases. The monitor
/// releases the rest.
const RELEASED: ReleaseLimits = ReleaseLimits {
    at_most: 2000,
    within: Duration::from_secs(10),
};

/// The body of `POST /v1/destinations/{id}/pause`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PauseDestination {
    /// The reason, which is shown in the console.
    pub reason: Option<String>,
    /// When the destination resumes by itself. If it is left out, the destination stays paused
    /// until it is resumed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

impl PauseDestination {
    fn read(fields: &mut Fields<'_>, now: Timestamp) -> Option<Self> {
        let reason = fields.text("reason", DESCRIPTION);
        let until = fields.parsed("until", Timestamp::parse);
        if until.is_some_and(|until| until <= now) {
            fields.refuse("until", FieldCode::OutOfRange, "must be in the future");
        }
        Some(Self { reason, until })
    }
}

impl Operations {
    /// `POST /v1/destinations/{id}/pause`: pauses a destination. If it is already paused, the
    /// reason and the end are replaced.
    pub async fn pause_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<PauseDestination>,
    ) -> Result<DestinationView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let mut before = self.own_destination(ctx, organization, id).await?;
        let now = self.clock.now();
        let PauseDestination { reason, until } =
            input.optional(|fields| PauseDestination::read(fields, now))?;
        for _ in 0..RACES_MAX {
            let at = match &before.state {
                DestinationState::Disabled { .. } | DestinationState::Deleted { .. } => {
                    return Err(Refusal::new(
                        RefusalCode::DestinationDisabled,
                        "the destination is disabled; enable it first",
                    ));
                }
                DestinationState::Paused { at, .. } if before.paused_until(now).is_some() => *at,
                DestinationState::Enabled | DestinationState::Paused { .. } => now,
            };
            let state = DestinationState::Paused {
                at,
                reason: reason.clone(),
                until,
            };
            if state == before.state {
                return self.view_with_health(ctx, &before).await;
            }
            match self
                .save_state(ctx, &before, state, "destination.paused")
                .await?
            {
                Some(paused) => return self.view_with_health(ctx, &paused).await,
                None => before = self.existing_destination(organization, before.id).await?,
            }
        }
        Err(Refusal::contended())
    }

    /// `POST /v1/destinations/{id}/resume`: ends a pause. Waiting deliveries are sent, oldest
    /// first.
    pub async fn resume_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<()>,
    ) -> Result<DestinationView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        input.nothing()?;
        let resumed = self.resume(ctx, destination).await?;
        self.view_with_health(ctx, &resumed).await
    }

    /// Ends the pause of a destination, if it is paused. Returns the destination in its current
    /// state.
    pub(crate) async fn resume(
        &self,
        ctx: &Context,
        mut before: Destination,
    ) -> Result<Destination, Refusal> {
        for _ in 0..RACES_MAX {
            match &before.state {
                DestinationState::Enabled => return Ok(before),
                DestinationState::Disabled { .. } | DestinationState::Deleted { .. } => {
                    return Err(Refusal::new(
                        RefusalCode::DestinationDisabled,
                        "the destination is disabled; enable it instead",
                    ));
                }
                DestinationState::Paused { .. } => {}
            }
            match self
                .save_state(
                    ctx,
                    &before,
                    DestinationState::Enabled,
                    "destination.resumed",
                )
                .await?
            {
                Some(resumed) => {
                    self.release(&resumed).await;
                    return Ok(resumed);
                }
                None => {
                    before = self
                        .existing_destination(before.organization_id, before.id)
                        .await?
                }
            }
        }
        Err(Refusal::contended())
    }

    /// Saves the destination in another state. Returns `None` if the destination was changed in the
    /// meantime.
    async fn save_state(
        &self,
        ctx: &Context,
        before: &Destination,
        state: DestinationState,
        action: &str,
    ) -> Result<Option<Destination>, Refusal> {
        let after = Destination {
            state,
            ..before.revised(self.clock.now())
        };
        let changes = crate::audit::changes(
            &serde_json::json!({"state": before.state}),
            &serde_json::json!({"state": after.state}),
        );
        let event = self.event(ctx, before.organization_id, action, before.id, changes);
        let saved = self
            .store
            .save_flow(&after, before.revision(), &event)
            .await?;
        Ok((saved == Saved::Done).then_some(after))
    }

    /// Voids the turns of every destination to which the organization's default limits apply,
    /// because these have changed.
    pub(crate) async fn reset_default_turns(
        &self,
        organization: OrganizationId,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut after = None;
        loop {
            let page = self
                .store
                .destinations_page(organization, after, DESTINATIONS_AT_ONCE)
                .await?;
            let by_default = page
                .items
                .iter()
                .filter(|destination| destination.delivery_limits.is_none());
            try_join_all(by_default.map(|destination| self.store.reset_turns(destination, now)))
                .await?;
            after = page
                .items
                .last()
                .map(|destination| destination.id)
                .filter(|_| page.more);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Releases the oldest waiting deliveries. If this fails, the monitor releases the rest.
    async fn release(&self, destination: &Destination) {
        let released = async {
            let Some(routes) = self.store.routes(destination.organization_id).await? else {
                return Ok::<_, store::StoreError>(0);
            };
            let limits = (routes.shards, routes.settings.delivery_limits);
            self.dispatch
                .release_paused(destination, limits, self.clock.now(), RELEASED)
                .await
        };
        if let Err(error) = released.await {
            tracing::warn!(
                error = %domain::chain(&error),
                destination = %destination.id,
                "failed to release waiting deliveries; the monitor releases them"
            );
        }
    }
}

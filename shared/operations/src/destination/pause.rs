//! Pausing and resuming a destination. While a destination is paused, its deliveries are accepted
//! and wait. They are not sent, skipped or counted as failures.

use std::time::Duration;

use dispatch::Extent;
use domain::Timestamp;
use domain::destination::{Destination, DestinationState};
use domain::id::OrganizationId;
use domain::input::{Errors, FieldCode};
use domain::limits::DESCRIPTION;
use domain::role::Permission;
use futures_util::future::try_join_all;
use store::Saved;

use crate::body::read_members;
use crate::organization::no_parameters;
use crate::view::destination::DestinationView;
use crate::{Body, Context, Operations, Query, RACES_MAX, Refusal, RefusalCode};

/// The number of destinations whose turns are reset concurrently.
const DESTINATIONS_AT_ONCE: u32 = 50;
/// The most that the request that resumes a destination releases. The monitor releases the rest.
const RELEASED: Extent = Extent {
    at_most: 2000,
    within: Duration::from_secs(10),
};

impl Operations {
    /// Handles `POST /v1/destinations/{id}/pause`. For a destination that is already paused,
    /// replaces the reason and the end of the pause.
    pub async fn pause_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
        body: Body,
    ) -> Result<DestinationView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let mut before = self.own_destination(ctx, organization, id).await?;
        let members = body.object_or_empty()?;
        no_parameters(query)?;
        let now = self.clock.now();
        let (reason, until) = read_members(members, Errors::default(), |fields| {
            let reason = fields.text("reason", DESCRIPTION);
            let until = fields.parsed("until", Timestamp::parse);
            if until.is_some_and(|until| until <= now) {
                fields.refuse("until", FieldCode::OutOfRange, "must be in the future");
            }
            Some((reason, until))
        })?;
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

    /// Handles `POST /v1/destinations/{id}/resume`. Releases the waiting deliveries, oldest first.
    pub async fn resume_destination(
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
        read_members(members, Errors::default(), |_| Some(()))?;
        self.resume(ctx, destination).await
    }

    /// Ends the pause of a destination, if it is paused.
    pub(crate) async fn resume(
        &self,
        ctx: &Context,
        mut before: Destination,
    ) -> Result<DestinationView, Refusal> {
        for _ in 0..RACES_MAX {
            match &before.state {
                DestinationState::Enabled => return self.view_with_health(ctx, &before).await,
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
                    return self.view_with_health(ctx, &resumed).await;
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

    /// Saves the destination in another state. Returns `None` if another request changed the
    /// destination first.
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

    /// Resets the turns of every destination that the organization's default limits apply to.
    /// Called when the default limits have changed.
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

    /// Releases the oldest waiting deliveries. The monitor releases the rest, also if this fails.
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

//! Enabling and disabling: idempotent, by the state that is asked for.

use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::input::Errors;
use domain::limits::DESCRIPTION_MAX;
use domain::role::Permission;
use store::Saved;

use crate::body::read_members;
use crate::organization::no_parameters;
use crate::view::destination::DestinationView;
use crate::{Body, Context, Operations, Query, RACES_MAX, Refusal};

impl Operations {
    /// `POST /v1/destinations/{id}/enable`: resets the counter, checks nothing.
    pub async fn enable_destination(&self, ctx: &Context, id: &str, mut query: Query, body: Body) -> Result<DestinationView, Refusal> {
        let organization = self.enter(ctx, Permission::ManageDestinations, &mut query).await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let members = body.object_or_empty()?;
        no_parameters(query)?;
        read_members(members, Errors::default(), |_| Some(()))?;
        if destination.is_enabled() {
            return self.view_with_health(ctx, &destination).await;
        }
        // The epoch first: failures that are still in flight must not count against the enabled destination.
        self.store.raise_epoch(destination.id).await?;
        self.switch(ctx, destination, DestinationState::Enabled, "destination.enabled").await
    }

    /// `POST /v1/destinations/{id}/disable`: queued and retrying deliveries become `skipped` as they come up.
    pub async fn disable_destination(&self, ctx: &Context, id: &str, mut query: Query, body: Body) -> Result<DestinationView, Refusal> {
        let organization = self.enter(ctx, Permission::ManageDestinations, &mut query).await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let members = body.object_or_empty()?;
        no_parameters(query)?;
        let reason = read_members(members, Errors::default(), |fields| Some(fields.text("reason", 1..=DESCRIPTION_MAX)))?;
        if !destination.is_enabled() {
            return self.view_with_health(ctx, &destination).await;
        }
        let disabled = DestinationState::Disabled { at: self.clock.now(), by: DisabledBy::User, reason };
        self.switch(ctx, destination, disabled, "destination.disabled").await
    }

    async fn switch(
        &self,
        ctx: &Context,
        mut before: Destination,
        state: DestinationState,
        action: &str,
    ) -> Result<DestinationView, Refusal> {
        for _ in 0..RACES_MAX {
            if before.is_enabled() == (state == DestinationState::Enabled) {
                return self.view_with_health(ctx, &before).await;
            }
            let after = Destination { state: state.clone(), revision: before.revision + 1, updated_at: self.clock.now(), ..before.clone() };
            let event = self.event(ctx, before.organization_id, action, before.id, Vec::new());
            match self.store.save_destination(&after, before.revision, &event).await? {
                Saved::Done => return self.view_with_health(ctx, &after).await,
                Saved::Conflict => before = self.existing_destination(before.organization_id, before.id).await?,
            }
        }
        Err(Refusal::contended())
    }
}

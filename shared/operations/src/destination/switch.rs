//! Enabling and disabling: idempotent, by the state that is asked for.

use domain::Reason;
use domain::delivery::{Delivery, DeliveryStatus, State};
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::input::Errors;
use domain::limits::DESCRIPTION_MAX;
use domain::role::Permission;
use futures_util::{StreamExt as _, stream};
use store::{DeliveryFilter, Saved, StoreError};

use crate::body::read_members;
use crate::organization::no_parameters;
use crate::view::destination::DestinationView;
use crate::{Body, Context, Operations, Query, RACES_MAX, Refusal};

/// Deliveries that wait for a retry are skipped at once up to this many; the rest as they come up.
const SKIPPED_AT_ONCE_MAX: usize = 1000;
const PAGE: u32 = 100;
/// Conditional writes under way at once.
const WRITES_AT_ONCE: usize = 16;

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
                Saved::Done => {
                    if !after.is_enabled() {
                        self.skip_retrying(&after, Reason::DestinationDisabled).await;
                    }
                    return self.view_with_health(ctx, &after).await;
                }
                Saved::Conflict => before = self.existing_destination(before.organization_id, before.id).await?,
            }
        }
        Err(Refusal::contended())
    }

    /// Skips what waits for a retry to a destination that takes no more deliveries: it would wait for its time only to be skipped then. What
    /// is queued is skipped by the worker as it comes up, and so is what is left here.
    pub(crate) async fn skip_retrying(&self, destination: &Destination, reason: Reason) {
        if let Err(error) = self.try_skip_retrying(destination, reason).await {
            tracing::warn!(%error, destination = %destination.id, "waiting deliveries are skipped when they come up");
        }
    }

    async fn try_skip_retrying(&self, destination: &Destination, reason: Reason) -> Result<(), StoreError> {
        let Some(routes) = self.store.routes(destination.organization_id).await? else { return Ok(()) };
        let filter =
            DeliveryFilter { destination: Some(destination.id), statuses: vec![DeliveryStatus::Retrying], ..DeliveryFilter::default() };
        let (mut after, mut skipped) = (None, 0);
        while skipped < SKIPPED_AT_ONCE_MAX {
            let page = self.store.deliveries_page(destination.organization_id, routes.shards, &filter, after, PAGE).await?;
            skipped += page.items.len();
            let tests_go_on = |delivery: &Delivery| !(delivery.message.test && reason == Reason::DestinationDisabled);
            let skips = page.items.into_iter().filter(tests_go_on).map(|before| async move {
                let now = self.clock.now();
                let after = before.clone().finish_without_attempt(State::Skipped { finished_at: now, reason }, now);
                self.store.transition(&before, &after).await
            });
            // A lost race is no matter: whoever won has moved the delivery on, or the worker skips it.
            let written: Vec<Result<bool, StoreError>> = stream::iter(skips).buffer_unordered(WRITES_AT_ONCE).collect().await;
            written.into_iter().collect::<Result<Vec<bool>, StoreError>>()?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }
}

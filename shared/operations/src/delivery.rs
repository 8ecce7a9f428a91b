//! Reads, retries and cancels deliveries.

use dispatch::{EndError, RedeliverError};
use domain::attempt::{Attempt, Trigger};
use domain::delivery::{Delivery, DeliveryStatus, State, TransitionRefused};
use domain::destination::DestinationState;
use domain::event_type::EventType;
use domain::id::{DeliveryId, DestinationId, Id as _, MessageId, OrganizationId};
use domain::input::{Errors, Fields};
use domain::message::PayloadInfo;
use domain::role::Permission;
use serde::Serialize;
use store::{Content, DeliveryFilter, Unreadable};
use utoipa::ToSchema;

use crate::context::{OwnedDelivery, organization_required};
use crate::cursor::ListScope;
use crate::message::{PayloadAnswer, parse_reference, payload_expired};
use crate::organization::no_parameters;
use crate::page::{Page, PageQuery};
use crate::view::delivery::{DeliveryFacts, DeliverySummary, DeliveryView, Pauses};
use crate::{Context, Input, Operations, Query, Refusal, RefusalCode};

/// The body of `POST /v1/deliveries/{id}/retry`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetryDelivery {
    /// Whether a delivery that has already succeeded is delivered again.
    #[schema(default = false)]
    pub force: Option<bool>,
}

impl RetryDelivery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            force: fields.boolean("force"),
        })
    }
}

impl Operations {
    /// `GET /v1/deliveries`: lists deliveries, newest first. An operator that names no organization
    /// can list those that are failed, retrying or skipped in all organizations.
    pub async fn deliveries(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<DeliverySummary>, Refusal> {
        self.require(ctx, Permission::ReadDeliveries).await?;
        let organization = self.scope_or_all(ctx, &mut query).await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        let filter = take_filter(&mut query, &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = scope_of(organization, &filter);
        let after: Option<DeliveryId> = page.after(&self.cursors, &scope)?;
        let found = match organization {
            Some(organization) if !self.filter_is_own(ctx, organization,
                &filter).await => return Ok(Page::empty()),
            Some(organization) => {
                let shards = self.shards(organization).await?;
                self.store.deliveries_page(organization, shards, &filter, after, page.limit).await?
            }
            None => self.store.deliveries_everywhere(&filter, after,
                page.limit).await?.ok_or_else(|| {
                organization_required(
                    "only deliveries that are failed, retrying or skipped are listed across organizations: \
                     name these with ?status=, or one organization with ?organization_id=",
                )
            })?,
        };
        let pauses = self.pauses_of(&found.items).await?;
        let next_cursor = self.next_cursor(&scope, found.next);
        let now = self.clock.now();
        Ok(Page {
            data: found
                .items
                .iter()
                .map(|delivery| self.delivery_summary(ctx, delivery, &pauses, now))
                .collect(),
            next_cursor,
        })
    }

    /// Whether the ids in a filter belong to the organization. An id of another organization
    /// matches nothing, and is recorded.
    pub(crate) async fn filter_is_own(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        filter: &DeliveryFilter,
    ) -> bool {
        let mut own = true;
        if let Some(destination) = filter.destination {
            own &= self.owns_or_records(ctx, organization, destination).await;
        }
        if let Some(message) = filter.message {
            own &= self.owns_or_records(ctx, organization, message).await;
        }
        own
    }

    /// `GET /v1/deliveries/{id}`: returns a delivery with its attempts.
    pub async fn delivery(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<DeliveryView, Refusal> {
        let candidates = self
            .organizations_of(ctx, Permission::ReadDeliveries, &mut query, id)
            .await?;
        for (organization, OwnedDelivery(id)) in candidates {
            if let Some(delivery) = self.store.delivery(organization, id).await? {
                no_parameters(query)?;
                return self.delivery_view(ctx, &delivery).await;
            }
        }
        Err(Refusal::not_found())
    }

    /// `GET /v1/deliveries/{id}/body`: returns the body that was last sent, after templates and
    /// presets.
    pub async fn delivery_body(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<PayloadAnswer, Refusal> {
        let organization = self
            .enter(ctx, Permission::ReadDeliveries, &mut query)
            .await?;
        let delivery = self.own_delivery(ctx, organization, id).await?;
        no_parameters(query)?;
        let sent = self.last_sent(&delivery).await?;
        // A delivery can succeed without a recorded body: an attempt that was not recorded had
        // already written the file, which is the payload as it is.
        let Some(sha256) =
            sent.or_else(|| matches!(delivery.state, State::Succeeded { .. }).then(String::new))
        else {
            return Err(Refusal {
                detail: "nothing has been sent yet".to_owned(),
                ..Refusal::not_found()
            });
        };
        if let Some(stored) = self
            .store
            .sent_body(&delivery)
            .await?
            .filter(|stored| stored.sha256 == sha256)
        {
            let info = PayloadInfo {
                size_bytes: stored.size_bytes,
                content_type: stored.content_type,
                filename: None,
                sha256: Some(stored.sha256),
            };
            return self.content_answer(info, stored.content).await;
        }
        // An attempt that did not read the whole payload has no hash of it.
        if delivery
            .message
            .payload
            .sha256
            .as_ref()
            .is_some_and(|known| !sha256.is_empty() && *known != sha256)
        {
            return Err(body_expired());
        }
        let content = self
            .store
            .content(&delivery)
            .await?
            .ok_or_else(payload_expired)?;
        self.payload_answer(&delivery, content).await
    }

    /// Returns the hash of the body that was last sent; `None` if no attempt sent one.
    async fn last_sent(&self, delivery: &Delivery) -> Result<Option<String>, Refusal> {
        let sha256 = |attempt: &Attempt| {
            attempt
                .request
                .as_ref()
                .map(|request| request.body_sha256.clone())
        };
        if let Some(last) = delivery.last_attempt.as_ref().and_then(sha256) {
            return Ok(Some(last));
        }
        let (attempts, _) = self.store.attempts(delivery).await?;
        Ok(attempts.iter().rev().find_map(sha256))
    }

    /// `POST /v1/deliveries/{id}/retry`: opens a delivery again, with a fresh budget of retries.
    pub async fn retry_delivery(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<RetryDelivery>,
    ) -> Result<DeliveryView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let before = self.own_delivery(ctx, organization, id).await?;
        let command = input.optional(RetryDelivery::read)?;
        let force = command.force.unwrap_or(false);
        if before.status() == DeliveryStatus::Succeeded && !force {
            return Err(transition_refused(TransitionRefused::AlreadySucceeded));
        }
        if before.status() != DeliveryStatus::Queued {
            self.must_be_deliverable(&before).await?;
        }
        let after = self
            .dispatch
            .redeliver(before, Trigger::Manual, force)
            .await?;
        self.record_action(ctx, &after, "delivery.retried").await;
        Ok(self.view_of_changed(ctx, &after).await)
    }

    /// Refuses a retry that would end at once, because the destination is deleted or disabled, or
    /// because the payload is no longer kept.
    async fn must_be_deliverable(&self, delivery: &Delivery) -> Result<(), Refusal> {
        let destination = self
            .store
            .destination(delivery.organization, delivery.destination)
            .await?;
        match destination.map(|destination| destination.state) {
            None | Some(DestinationState::Deleted { .. }) => {
                return Err(Refusal::new(
                    RefusalCode::DestinationDeleted,
                    "the delivery's destination has been deleted",
                ));
            }
            Some(DestinationState::Disabled { .. }) if !delivery.message.test => {
                return Err(Refusal::new(
                    RefusalCode::DestinationDisabled,
                    "the delivery's destination is disabled; enable it first",
                ));
            }
            Some(_) => {}
        }
        let gone = || Refusal {
            code: RefusalCode::PayloadExpiredForRetry,
            ..payload_expired()
        };
        match self.store.content(delivery).await?.ok_or_else(gone)? {
            Content::Bytes(_) => Ok(()),
            Content::Object(location) => match self.store.object_head(&location).await {
                Err(Unreadable::Missing) => Err(gone()),
                Err(Unreadable::Store(error)) => Err(error.into()),
                // The attempt reports an object that cannot be read.
                Ok(_) | Err(Unreadable::Forbidden | Unreadable::Role) => Ok(()),
            },
        }
    }

    /// `POST /v1/deliveries/{id}/cancel`: cancels a delivery, so that no further attempt starts.
    /// Once it is cancelled, the response is 200 even if a later step fails, because a repeat of
    /// the request would be refused.
    pub async fn cancel_delivery(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<()>,
    ) -> Result<DeliveryView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let before = self.own_delivery(ctx, organization, id).await?;
        input.nothing()?;
        let after = self.dispatch.cancel(before).await?;
        self.record_action(ctx, &after, "delivery.cancelled").await;
        Ok(self.view_of_changed(ctx, &after).await)
    }

    async fn record_action(&self, ctx: &Context, delivery: &Delivery, action: &str) {
        let event = self.event(ctx, delivery.organization, action, delivery.id, Vec::new());
        self.record_made(&event).await;
    }

    /// Returns the view of a delivery that the request has changed. If its attempts cannot be read,
    /// the view has only the last one.
    async fn view_of_changed(&self, ctx: &Context, delivery: &Delivery) -> DeliveryView {
        match self.delivery_view(ctx, delivery).await {
            Ok(view) => view,
            Err(refusal) => {
                let (error, request_id) = (refusal.detail, &ctx.request_id);
                tracing::warn!(
                    error,
                    request_id,
                    delivery = %delivery.id,
                    "failed to read the attempts of a delivery that was changed; the answer has \
                     only the last one"
                );
                let facts = DeliveryFacts::of(
                    delivery,
                    &Pauses::default(),
                    self.clock.now(),
                    &ctx.base_url,
                );
                let last: Vec<Attempt> = delivery.last_attempt.clone().into_iter().collect();
                let omitted = delivery
                    .attempts
                    .saturating_sub(u32::from(!last.is_empty()));
                DeliveryView::of(facts, last, omitted)
            }
        }
    }

    async fn own_delivery(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        id: &str,
    ) -> Result<Delivery, Refusal> {
        let OwnedDelivery(id) = self.own_id(ctx, organization, id).await?;
        self.store
            .delivery(organization, id)
            .await?
            .ok_or_else(Refusal::not_found)
    }

    async fn delivery_view(
        &self,
        ctx: &Context,
        delivery: &Delivery,
    ) -> Result<DeliveryView, Refusal> {
        let (attempts, omitted) = self.store.attempts(delivery).await?;
        let pauses = self.pauses(delivery.organization).await?;
        let facts = DeliveryFacts::of(delivery, &pauses, self.clock.now(), &ctx.base_url);
        Ok(DeliveryView::of(facts, attempts, omitted))
    }
}

/// Returns the 410 for a body that expired with the payload it was rendered from.
fn body_expired() -> Refusal {
    Refusal {
        detail: "the body that was sent is no longer kept".to_owned(),
        ..payload_expired()
    }
}

pub(crate) fn take_filter(query: &mut Query, errors: &Errors) -> DeliveryFilter {
    let mut statuses = query.choices("status", errors, DeliveryStatus::ALL);
    statuses.sort();
    statuses.dedup();
    DeliveryFilter {
        destination: query.parsed("destination_id", errors, DestinationId::from_client),
        statuses,
        event_type: query.parsed("event_type", errors, EventType::parse),
        message: query.parsed("message_id", errors, MessageId::from_client),
        reference: query.parsed("reference", errors, parse_reference),
        since: query.time("since", errors),
        until: query.time("until", errors),
    }
}

fn scope_of(organization: Option<OrganizationId>, filter: &DeliveryFilter) -> ListScope {
    let statuses: Vec<&str> = filter
        .statuses
        .iter()
        .map(|status| status.as_str())
        .collect();
    ListScope::of("/v1/deliveries")
        .with("organization", organization)
        .with("destination_id", filter.destination)
        .with("status", Some(statuses.join(",")))
        .with("event_type", filter.event_type.as_ref())
        .with("message_id", filter.message)
        .with("reference", filter.reference.as_ref())
        .with("since", filter.since)
        .with("until", filter.until)
}

fn transition_refused(refused: TransitionRefused) -> Refusal {
    let code = match refused {
        TransitionRefused::AlreadySucceeded => RefusalCode::AlreadySucceeded,
        TransitionRefused::AlreadyFinished(_)
        | TransitionRefused::StillQueued
        | TransitionRefused::Leased { .. }
        | TransitionRefused::NotAttempting => RefusalCode::AlreadyFinished,
    };
    Refusal::new(code, refused.to_string())
}

impl From<RedeliverError> for Refusal {
    fn from(error: RedeliverError) -> Self {
        match error {
            RedeliverError::Refused(refused) => transition_refused(refused),
            RedeliverError::Contended => Self::contended(),
            RedeliverError::Store(error) | RedeliverError::End(EndError::Store(error)) => {
                error.into()
            }
            RedeliverError::End(error @ EndError::Queue(_)) => Self::unavailable(error),
        }
    }
}

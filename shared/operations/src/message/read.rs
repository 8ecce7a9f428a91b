//! Reading messages: a message is the set of its deliveries.

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::event_type::EventType;
use domain::id::{Id as _, MessageId, OrganizationId};
use domain::input::Errors;
use domain::limits::REFERENCE_MAX;
use domain::message::PayloadInfo;
use domain::role::Permission;
use store::MessageFilter;

use crate::cursor::ListScope;
use crate::organization::no_parameters;
use crate::page::{Page, PageQuery};
use crate::view::delivery::DeliverySummary;
use crate::view::message::{MessageStatus, MessageView};
use crate::{Context, Operations, Query, Refusal};

/// Bytes with what they are: a payload, or a body as it was sent.
#[derive(Debug)]
pub struct Download {
    /// Media type and file name.
    pub info: PayloadInfo,
    /// The bytes.
    pub bytes: Bytes,
}

impl Operations {
    /// `GET /v1/messages`: newest first.
    pub async fn messages(&self, ctx: &Context, mut query: Query) -> Result<Page<MessageView>, Refusal> {
        let organization = self.enter(ctx, Permission::ReadDeliveries, &mut query).await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        let event_type = query.parsed("event_type", &errors, EventType::parse);
        let reference = query.parsed("reference", &errors, parse_reference);
        let since = query.time("since", &errors);
        let until = query.time("until", &errors);
        let system = query.flag("system", &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/messages")
            .with("organization", Some(organization))
            .with("event_type", event_type.as_ref())
            .with("reference", reference.as_ref())
            .with("since", since)
            .with("until", until)
            .with("system", Some(system));
        let after = page.after(&self.cursors, &scope)?;
        let shards = self.shards(organization).await?;
        let filter = MessageFilter { event_type, reference, since, until, system };
        let found = self.store.messages_page(organization, shards, &filter, after, page.limit).await?;
        let next_cursor = self.next_cursor(&scope, found.next);
        Ok(Page { data: found.items.iter().map(|deliveries| self.message_view(ctx, deliveries)).collect(), next_cursor })
    }

    /// `GET /v1/messages/{id}`.
    pub async fn message(&self, ctx: &Context, id: &str, mut query: Query) -> Result<MessageView, Refusal> {
        let organization = self.enter(ctx, Permission::ReadDeliveries, &mut query).await?;
        let deliveries = self.own_message(ctx, organization, id).await?;
        no_parameters(query)?;
        Ok(self.message_view(ctx, &deliveries))
    }

    /// `GET /v1/messages/{id}/payload`: the bytes as they were sent.
    pub async fn message_payload(&self, ctx: &Context, id: &str, mut query: Query) -> Result<Download, Refusal> {
        let organization = self.enter(ctx, Permission::ReadDeliveries, &mut query).await?;
        let deliveries = self.own_message(ctx, organization, id).await?;
        no_parameters(query)?;
        let first = deliveries.first().ok_or_else(Refusal::not_found)?;
        self.download(first).await
    }

    pub(crate) async fn download(&self, delivery: &Delivery) -> Result<Download, Refusal> {
        let bytes = self.store.payload(delivery).await?.ok_or_else(payload_expired)?;
        Ok(Download { info: delivery.message.payload.clone(), bytes })
    }

    async fn own_message(&self, ctx: &Context, organization: OrganizationId, id: &str) -> Result<Vec<Delivery>, Refusal> {
        let id: MessageId = self.own_id(ctx, organization, id).await?;
        self.store.message(organization, id).await?.ok_or_else(Refusal::not_found)
    }

    /// Over how many shards an organization's data is spread.
    pub(crate) async fn shards(&self, organization: OrganizationId) -> Result<u8, Refusal> {
        Ok(self.store.routes(organization).await?.ok_or_else(Refusal::not_found)?.shards)
    }

    /// A message as its deliveries tell it; there is at least one.
    pub(crate) fn message_view(&self, ctx: &Context, deliveries: &[Delivery]) -> MessageView {
        let now = self.clock.now();
        let first = &deliveries[0];
        let id = first.id.message;
        MessageView {
            id,
            organization_id: first.organization,
            event_type: first.message.event_type.clone(),
            reference: first.message.reference.clone(),
            metadata: first.message.metadata.clone(),
            payload_info: first.message.payload.clone(),
            status: MessageStatus::of(deliveries),
            deliveries: deliveries.iter().map(|delivery| self.delivery_summary(ctx, delivery, now)).collect(),
            created_at: first.created_at,
            expires_at: first.message.expires_at,
            url: ctx.link("messages", id),
        }
    }

    pub(crate) fn delivery_summary(&self, ctx: &Context, delivery: &Delivery, now: Timestamp) -> DeliverySummary {
        DeliverySummary::of(delivery, now, ctx.link("deliveries", delivery.id))
    }
}

/// 410: the bytes are gone, by retention or on request.
pub(crate) fn payload_expired() -> Refusal {
    Refusal::new(410, "payload_expired", "the payload is no longer kept")
}

pub(crate) fn parse_reference(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    let good = (1..=REFERENCE_MAX).contains(&length) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(format!("must have 1 to {REFERENCE_MAX} characters")) }
}

/// When a message was accepted: its id says so.
pub(crate) fn accepted_at(message: MessageId) -> Timestamp {
    message.ulid().time()
}

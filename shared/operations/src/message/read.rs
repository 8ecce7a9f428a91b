//! Reads messages. A message is the set of its deliveries.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::event_type::EventType;
use domain::id::{Id as _, MessageId, OrganizationId};
use domain::input::Errors;
use domain::limits::{PAYLOAD_MAX_BYTES, REFERENCE};
use domain::message::PayloadInfo;
use domain::role::Permission;
use futures_util::future::try_join_all;
use serde::Serialize;
use std::time::Duration;
use store::{Content, MessageFilter, ObjectLocation, StoreError, Unreadable};
use utoipa::ToSchema;

use crate::cursor::ListScope;
use crate::organization::no_parameters;
use crate::page::{Page, PageQuery};
use crate::view::delivery::{DeliverySummary, Pauses};
use crate::view::message::MessageView;
use crate::{Context, Operations, Query, Refusal, RefusalCode};

/// Bytes to download: a payload, or a body that was sent.
#[derive(Debug)]
pub struct Download {
    /// The media type and the file name.
    pub info: PayloadInfo,
    /// The content, as it was sent.
    pub bytes: Bytes,
}

/// The response to a request for a payload.
#[derive(Debug)]
pub enum PayloadAnswer {
    /// The content, as it was sent.
    Bytes(Download),
    /// A short-lived URL of the content.
    Redirect(String),
    /// A link that the request asked for.
    Link(PayloadLink),
}

/// A link that downloads a payload without an API key.
#[derive(Debug, Serialize, ToSchema)]
pub struct PayloadLink {
    /// The link. Anyone who has it can download the payload.
    pub url: String,
    /// When the link expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// How long a link can be used after it was requested.
const LINK_LIFE: Duration = Duration::from_secs(3600);
/// How long a redirect can be followed.
const REDIRECT_LIFE: Duration = Duration::from_secs(60);

impl Operations {
    /// `GET /v1/messages`: lists messages, newest first.
    pub async fn messages(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<MessageView>, Refusal> {
        let organization = self
            .enter(ctx, Permission::ReadDeliveries, &mut query)
            .await?;
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
        let routes = self
            .store
            .routes(organization)
            .await?
            .ok_or_else(Refusal::not_found)?;
        let shards = routes.shards;
        let pauses = Pauses::of(&routes, self.clock.now());
        let filter = MessageFilter {
            event_type,
            reference,
            since,
            until,
            system,
        };
        let found = self
            .store
            .messages_page(organization, shards, &filter, after, page.limit)
            .await?;
        let next_cursor = self.next_cursor(&scope, found.next);
        Ok(Page {
            data: found
                .items
                .iter()
                .map(|deliveries| self.message_view(ctx, deliveries, &pauses))
                .collect(),
            next_cursor,
        })
    }

    /// `GET /v1/messages/{id}`: returns one message.
    pub async fn message(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<MessageView, Refusal> {
        let candidates = self
            .organizations_of(ctx, Permission::ReadDeliveries, &mut query, id)
            .await?;
        for (organization, id) in candidates {
            if let Some(deliveries) = self.store.message(organization, id).await? {
                no_parameters(query)?;
                return Ok(self.message_view(ctx, &deliveries, &self.pauses(organization).await?));
            }
        }
        Err(Refusal::not_found())
    }

    /// `GET /v1/messages/{id}/payload`: returns the payload as it was sent, or a link to it.
    pub async fn message_payload(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<PayloadAnswer, Refusal> {
        let organization = self
            .enter(ctx, Permission::ReadDeliveries, &mut query)
            .await?;
        let deliveries = self.own_message(ctx, organization, id).await?;
        let errors = Errors::default();
        let wants_link = query.flag("link", &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let first = deliveries.first().ok_or_else(Refusal::not_found)?;
        let content = self
            .store
            .content(first)
            .await?
            .ok_or_else(payload_expired)?;
        let now = self.clock.now();
        if wants_link {
            let token =
                self.payload_links
                    .seal(organization, first.id.message, now.plus(LINK_LIFE));
            let link = PayloadLink {
                url: format!("{}/d/{token}", ctx.base_url),
                expires_at: now.plus(LINK_LIFE),
            };
            return Ok(PayloadAnswer::Link(link));
        }
        self.payload_answer(first, content).await
    }

    /// `GET /d/{token}`: returns the payload that a signed link names. Anyone who has the link can
    /// download it until the link expires.
    pub async fn linked_payload(&self, token: &str) -> Result<PayloadAnswer, Refusal> {
        let (organization, message) = self
            .payload_links
            .open(token, self.clock.now())
            .ok_or_else(Refusal::not_found)?;
        let (stands, deliveries) = tokio::try_join!(
            self.store.organization_is_active(organization),
            self.store.message(organization, message)
        )?;
        // The messages of a deleted organization are kept until they expire, but its links end with
        // it.
        let deliveries = deliveries
            .filter(|_| stands)
            .ok_or_else(Refusal::not_found)?;
        let first = deliveries.first().ok_or_else(Refusal::not_found)?;
        let content = self
            .store
            .content(first)
            .await?
            .ok_or_else(payload_expired)?;
        self.payload_answer(first, content).await
    }

    /// Returns the payload of a delivery's message, unless it is in a bucket that is no longer
    /// granted to the organization.
    pub(crate) async fn payload_answer(
        &self,
        delivery: &Delivery,
        content: Content,
    ) -> Result<PayloadAnswer, Refusal> {
        if let Content::Object(ObjectLocation {
            bucket: Some(bucket),
            role: None,
            ..
        }) = &content
        {
            self.must_still_be_granted(delivery.organization, bucket)
                .await?;
        }
        self.content_answer(delivery.message.payload.clone(), content)
            .await
    }

    /// Returns the content if it is small enough for a response, or else a redirect to it.
    pub(crate) async fn content_answer(
        &self,
        info: PayloadInfo,
        content: Content,
    ) -> Result<PayloadAnswer, Refusal> {
        match content {
            Content::Bytes(bytes) => Ok(PayloadAnswer::Bytes(Download { info, bytes })),
            Content::Object(location) if info.size_bytes <= PAYLOAD_MAX_BYTES as u64 => {
                let bytes = self
                    .store
                    .read_entire_object(&location, info.size_bytes)
                    .await?
                    .ok_or_else(payload_expired)?;
                Ok(PayloadAnswer::Bytes(Download { info, bytes }))
            }
            Content::Object(location) => {
                // If retention has removed the object, the response is 410 and not the bucket's
                // error.
                match self.store.object_head(&location).await {
                    Ok(_) => {}
                    Err(Unreadable::Store(error)) => return Err(error.into()),
                    Err(_) => return Err(payload_expired()),
                }
                let link = self
                    .store
                    .link_to_get(&location, "attachment", REDIRECT_LIFE)
                    .await?;
                Ok(PayloadAnswer::Redirect(link.url))
            }
        }
    }

    /// Returns an error if a bucket is no longer granted to the organization.
    async fn must_still_be_granted(
        &self,
        organization: OrganizationId,
        bucket: &str,
    ) -> Result<(), Refusal> {
        let organization = self.existing_organization(organization).await?;
        if organization
            .grants
            .buckets
            .iter()
            .any(|granted| granted == bucket)
        {
            return Ok(());
        }
        let detail = "the bucket that holds this payload is no longer granted to the \
             organization; ask the operator";
        Err(Refusal {
            detail: detail.to_owned(),
            ..Refusal::forbidden()
        })
    }

    /// `DELETE /v1/messages/{id}/payload`: erases the payload and what recorded responses quote of
    /// it, and cancels unfinished deliveries. If one delivery is unreadable, the others are erased
    /// and this is an error.
    pub async fn erase_message_payload(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<(), Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let message: MessageId = self.own_id(ctx, organization, id).await?;
        let deliveries = self.store.stored_message(organization, message).await?;
        if deliveries
            .first()
            .is_none_or(|(position, _)| *position != 0)
        {
            return Err(Refusal::not_found());
        }
        no_parameters(query)?;
        let mut not_erased = None;
        let mut erase = async |delivery: Result<Delivery, StoreError>| match delivery {
            Ok(delivery) => self.erase_delivery_payload(delivery).await,
            Err(error) => {
                not_erased.get_or_insert(error);
                Ok(())
            }
        };
        // No delivery is added to a message once the payload of its first one is erased.
        if let Some((_, first)) = deliveries.into_iter().next() {
            erase(first).await?;
        }
        let others = self.store.stored_message(organization, message).await?;
        for (_, delivery) in others.into_iter().skip(1) {
            erase(delivery).await?;
        }
        if let Some(error) = not_erased {
            return Err(error.into());
        }
        let event = self.event(
            ctx,
            organization,
            "message.payload_erased",
            message,
            Vec::new(),
        );
        self.store.record_audit(&event).await?;
        Ok(())
    }

    /// Cancels a delivery that is unfinished and erases its payload.
    async fn erase_delivery_payload(&self, delivery: Delivery) -> Result<(), Refusal> {
        let finished = match delivery.status().is_finished() {
            true => delivery,
            false => match self.dispatch.cancel(delivery.clone()).await {
                Ok(cancelled) => cancelled,
                // The delivery has ended in the meantime.
                Err(dispatch::RedeliverError::Refused(_)) => delivery,
                Err(error) => return Err(error.into()),
            },
        };
        let current = self
            .store
            .delivery(finished.organization, finished.id)
            .await?
            .unwrap_or(finished);
        Ok(self.store.erase_payload(&current).await?)
    }

    pub(super) async fn own_message(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        id: &str,
    ) -> Result<Vec<Delivery>, Refusal> {
        let id: MessageId = self.own_id(ctx, organization, id).await?;
        self.store
            .message(organization, id)
            .await?
            .ok_or_else(Refusal::not_found)
    }

    /// Returns over how many shards an organization's data is spread.
    pub(crate) async fn shards(&self, organization: OrganizationId) -> Result<u8, Refusal> {
        Ok(self
            .store
            .routes(organization)
            .await?
            .ok_or_else(Refusal::not_found)?
            .shards)
    }

    /// Returns the paused destinations of the organizations that own these deliveries.
    pub(crate) async fn pauses_of(&self, deliveries: &[Delivery]) -> Result<Pauses, Refusal> {
        let organizations: BTreeSet<OrganizationId> = deliveries
            .iter()
            .map(|delivery| delivery.organization)
            .collect();
        let each = try_join_all(
            organizations
                .into_iter()
                .map(|organization| self.pauses(organization)),
        )
        .await?;
        Ok(each.into_iter().fold(Pauses::default(), Pauses::and))
    }

    /// Returns the paused destinations of an organization.
    pub(crate) async fn pauses(&self, organization: OrganizationId) -> Result<Pauses, Refusal> {
        let routes = self.store.routes(organization).await?;
        Ok(routes
            .map(|routes| Pauses::of(&routes, self.clock.now()))
            .unwrap_or_default())
    }

    /// Returns the view of the message that has these deliveries, of which there is at least one.
    pub(crate) fn message_view(
        &self,
        ctx: &Context,
        deliveries: &[Delivery],
        pauses: &Pauses,
    ) -> MessageView {
        MessageView::of(deliveries, pauses, self.clock.now(), &ctx.base_url)
            .expect("a message has deliveries")
    }

    pub(crate) fn delivery_summary(
        &self,
        ctx: &Context,
        delivery: &Delivery,
        pauses: &Pauses,
        now: Timestamp,
    ) -> DeliverySummary {
        DeliverySummary::of(delivery, pauses, now, &ctx.base_url)
    }
}

/// Returns the 410 for a payload that retention or a request has erased.
pub(crate) fn payload_expired() -> Refusal {
    Refusal::new(RefusalCode::PayloadExpired, "the payload is no longer kept")
}

/// Reads a reference in a filter. Every reference that a message can have is accepted.
pub(crate) fn parse_reference(text: &str) -> Result<String, String> {
    if !REFERENCE.contains(&text.chars().count()) {
        return Err(format!(
            "must have {} to {} characters",
            REFERENCE.start(),
            REFERENCE.end()
        ));
    }
    let is_refused = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(is_refused) {
        Err("must not contain control characters".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Returns when a message was accepted, which its id contains.
pub(crate) fn accepted_at(message: MessageId) -> Timestamp {
    message.ulid().time()
}

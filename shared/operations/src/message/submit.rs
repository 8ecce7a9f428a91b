//! Submits messages: validates the request, claims its key, commits the message, and answers 202.
//! After the answer, each delivery succeeds or fails visibly, whatever crashes.
//!
//! With an `Idempotency-Key`, the claim is the one additional write. It records the id and the
//! targets of the message before anything is sent. A repeat finds the committed deliveries under
//! that id, and answers from those of their members that never change. If the first request was
//! interrupted before its commit, the repeat takes over its lease and commits the same deliveries
//! conditionally, so that nothing is sent twice.

use bytes::Bytes;
use dispatch::{Submission, Target, Unresolved, resolve};
use domain::delivery::Delivery;
use domain::id::{MessageId, OrganizationId};
use domain::message::{MessageFacts, StatusCallback};
use domain::organization::OrganizationStatus;
use domain::role::Permission;
use store::{Claim, Routes, StoreError};

use super::claim::Recorded;
use super::input::{MessageInput, read_message};
use super::read::accepted_at;
use crate::idempotency::{RequestFingerprint, wait_deadline, wait_until};
use crate::organization::no_parameters;
use crate::view::delivery::Pauses;
use crate::view::message::MessageView;
use crate::{Body, Context, Input, Operations, Query, Refusal, RefusalCode};

/// A message to submit, as the JSON object that its client sent. It stays bytes, because the payload
/// is delivered as it was sent, and an idempotency key is claimed for exactly these bytes. A repeat
/// is answered before they are read.
#[derive(Debug)]
pub struct MessageToSubmit {
    json: Bytes,
    /// The parameters of the request, of which none is accepted.
    parameters: Query,
}

impl MessageToSubmit {
    /// Creates a message from its JSON.
    #[must_use]
    pub fn new(json: Bytes) -> Self {
        Self {
            json,
            parameters: Query::default(),
        }
    }

    fn read(parameters: Query, body: Body) -> Result<Self, Refusal> {
        Ok(Self {
            json: body.bytes()?,
            parameters,
        })
    }
}

/// An accepted message, and whether it is a repeat.
#[derive(Debug)]
pub struct Submitted {
    /// The accepted message, with its deliveries.
    pub message: MessageView,
    /// Whether the message was accepted before, by the same request.
    pub replayed: bool,
}

/// The deliveries of an accepted message, as the response shows them.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) deliveries: Vec<Delivery>,
    /// The destinations that were paused when the message was accepted.
    pub(crate) pauses: Pauses,
    /// Whether the message was accepted before, by the same request.
    pub(crate) replayed: bool,
}

/// The context of a submission: the request, its organization, and where messages of the
/// organization may go.
pub(crate) struct Entry<'e> {
    pub(crate) ctx: &'e Context,
    pub(crate) organization: OrganizationId,
    pub(crate) routes: &'e Routes,
}

/// When the deliveries of a message are counted against the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// They are counted when the message is accepted.
    OnAcceptance,
    /// They were counted with those of the other messages of a batch.
    WithBatch,
}

/// Returns a 403 while the operator has suspended the organization. It can be read, but it submits
/// nothing and gives no one access.
pub(crate) fn not_suspended(status: OrganizationStatus) -> Result<(), Refusal> {
    match status {
        OrganizationStatus::Active => Ok(()),
        OrganizationStatus::Suspended => Err(Refusal::new(
            RefusalCode::OrganizationSuspended,
            "the organization is suspended; it cannot do this until the operator lifts the \
             suspension",
        )),
    }
}

impl Operations {
    /// `POST /v1/messages`: submits one message.
    pub async fn submit_message(
        &self,
        ctx: &Context,
        mut input: Input<MessageToSubmit>,
    ) -> Result<Submitted, Refusal> {
        let organization = self
            .enter(ctx, Permission::Submit, &mut input.query)
            .await?;
        let routes = self.routes(ctx, organization).await?;
        not_suspended(routes.status)?;
        let MessageToSubmit { json, parameters } = input.read_with(MessageToSubmit::read)?;
        let entry = Entry {
            ctx,
            organization,
            routes: &routes,
        };
        let fingerprint = ctx
            .idempotency_key
            .as_ref()
            .map(|key| RequestFingerprint::of(organization, key, &ctx.request_line, &json));
        let read = || {
            no_parameters(parameters)?;
            read_message(&json, self.clock.now(), &self.addresses(), false)
        };
        let accepted = match fingerprint {
            None => {
                let input = self
                    .recording_blocked_addresses(ctx, organization, read())
                    .await?;
                self.accept(&entry, input).await?
            }
            Some(fingerprint) => {
                self.accept_once(&entry, &fingerprint, Counting::OnAcceptance, read)
                    .await?
            }
        };
        Ok(Submitted {
            message: self.message_view(ctx, &accepted.deliveries, &accepted.pauses),
            replayed: accepted.replayed,
        })
    }

    async fn accept(&self, entry: &Entry<'_>, input: MessageInput) -> Result<Accepted, Refusal> {
        let targets = self.targets(entry, &input).await?;
        let input = self.located(entry, input).await?;
        self.admit_deliveries(entry.organization, 1, targets.len())
            .await?;
        let message = self.ids.mint(entry.organization, entry.routes.shards);
        let submission = submission(entry, message, input, targets);
        Ok(Accepted {
            deliveries: self.dispatch.submit(&submission).await?,
            pauses: Pauses::of(entry.routes, self.clock.now()),
            replayed: false,
        })
    }

    /// Accepts the message, unless the same request has been accepted before. Returns the
    /// deliveries as they were accepted, whatever happened to them and to their destinations since.
    pub(crate) async fn accept_once(
        &self,
        entry: &Entry<'_>,
        fingerprint: &RequestFingerprint,
        counting: Counting,
        read: impl FnOnce() -> Result<MessageInput, Refusal>,
    ) -> Result<Accepted, Refusal> {
        // A repeat is answered before it is validated, because a destination may have been deleted
        // or `expires_at` may have passed since.
        if let Some(earlier) = self
            .store
            .find_claim(fingerprint.organization, &fingerprint.key_hash)
            .await?
        {
            let recorded = match fingerprint.checked(earlier)? {
                Claim::Running { recorded, .. }
                | Claim::Finished { recorded, .. }
                | Claim::TakenOver { recorded } => recorded,
                Claim::New => serde_json::Value::Null,
            };
            let recorded = Recorded::from_json(recorded)?;
            if let Some(accepted) = self.accepted_before(entry, recorded).await? {
                return Ok(accepted);
            }
        }
        let input = self
            .recording_blocked_addresses(entry.ctx, entry.organization, read())
            .await?;
        let targets = self.targets(entry, &input).await?;
        let input = self.located(entry, input).await?;
        if counting == Counting::OnAcceptance {
            self.admit_deliveries(entry.organization, 1, targets.len())
                .await?;
        }
        let fresh = Recorded::new(
            self.ids.mint(entry.organization, entry.routes.shards),
            &targets,
            Pauses::of(entry.routes, self.clock.now()),
        );
        let deadline = wait_deadline();
        loop {
            let recorded = match self.claim(fingerprint, fresh.to_json()).await? {
                Claim::New => fresh,
                Claim::TakenOver { recorded } => Recorded::from_json(recorded)?,
                Claim::Running { recorded, .. } | Claim::Finished { recorded, .. } => {
                    let recorded = Recorded::from_json(recorded)?;
                    if let Some(accepted) = self.accepted_before(entry, recorded).await? {
                        return Ok(accepted);
                    }
                    wait_until(deadline).await?;
                    continue;
                }
            };
            let submission = submission(entry, recorded.message, input, recorded.targets());
            let submitted = self.dispatch.submit(&submission).await;
            return match submitted {
                Ok(deliveries) => Ok(Accepted {
                    deliveries,
                    pauses: recorded.pauses,
                    replayed: false,
                }),
                Err(error) => {
                    self.yield_claim(fingerprint).await;
                    Err(error.into())
                }
            };
        }
    }

    /// Returns the deliveries of a message that was committed under an earlier claim, as they were
    /// accepted.
    async fn accepted_before(
        &self,
        entry: &Entry<'_>,
        recorded: Recorded,
    ) -> Result<Option<Accepted>, Refusal> {
        let committed = self.committed(entry.organization, recorded.message);
        Ok(committed.await?.map(|deliveries| Accepted {
            deliveries: as_accepted(deliveries, recorded.targets().len()),
            pauses: recorded.pauses,
            replayed: true,
        }))
    }

    /// Returns the deliveries of a message if an earlier request committed it. Those whose tasks
    /// may not have been queued come due once no first attempt can be running.
    pub(super) async fn committed(
        &self,
        organization: OrganizationId,
        message: MessageId,
    ) -> Result<Option<Vec<Delivery>>, StoreError> {
        let found = self.store.message(organization, message).await?;
        if let Some(deliveries) = &found {
            self.dispatch.remember_untouched(deliveries).await;
        }
        Ok(found)
    }

    /// Ends the lease of a submission that was interrupted and may or may not have been committed.
    /// A repeat continues at once with the same ids.
    pub(crate) async fn yield_claim(&self, fingerprint: &RequestFingerprint) {
        if let Err(error) = self
            .store
            .yield_claim(
                fingerprint.organization,
                &fingerprint.key_hash,
                self.clock.now(),
            )
            .await
        {
            tracing::warn!(
                error = %domain::chain(&error),
                "failed to release an idempotency key; it stays claimed until its lease ends"
            );
        }
    }

    /// Returns the targets of a message. An id that belongs to another organization is recorded.
    pub(crate) async fn targets(
        &self,
        entry: &Entry<'_>,
        input: &MessageInput,
    ) -> Result<Vec<Target>, Refusal> {
        if let Some(StatusCallback::DestinationId(id)) = input.status_callback
            && !entry.routes.destinations.iter().any(|route| route.id == id)
        {
            self.owns_or_records(entry.ctx, entry.organization, id)
                .await;
            return Err(Refusal::not_found_at([
                "/status_callback/destination_id".to_owned()
            ]));
        }
        match resolve(entry.routes, input.named.as_deref(), &input.event_type) {
            Ok(targets) => Ok(targets),
            Err(Unresolved::NoDestinations) => Err(Refusal::no_destinations()),
            Err(Unresolved::Unknown(positions)) => {
                let named = input.named.as_deref().unwrap_or_default();
                for id in positions.iter().filter_map(|position| named.get(*position)) {
                    self.owns_or_records(entry.ctx, entry.organization, *id)
                        .await;
                }
                Err(Refusal::unknown_destinations(positions))
            }
        }
    }
}

/// Returns the first `count` deliveries of a message as they were accepted. The others were added
/// since.
pub(crate) fn as_accepted(deliveries: Vec<Delivery>, count: usize) -> Vec<Delivery> {
    let accepted = deliveries.into_iter().take(count);
    accepted.map(Delivery::as_accepted).collect()
}

/// Returns the submission of a message. The message's id also says when it was accepted.
pub(crate) fn submission(
    entry: &Entry<'_>,
    message: MessageId,
    input: MessageInput,
    targets: Vec<Target>,
) -> Submission {
    let facts = MessageFacts {
        event_type: input.event_type,
        reference: input.reference,
        metadata: input.metadata,
        payload: input.info,
        expires_at: input.expires_at,
        trace: entry.ctx.trace,
        test: false,
        status_callback: input.status_callback,
    };
    Submission {
        organization: entry.organization,
        message,
        facts,
        targets,
        payload: input.payload,
        retention_days: entry.routes.settings.retention_days,
        payload_retention_days: entry.routes.settings.payload_retention_days,
        accepted_at: accepted_at(message),
    }
}

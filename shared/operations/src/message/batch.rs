//! A batch: up to 100 messages, each accepted or refused on its own.
//!
//! A batch's `Idempotency-Key` is one claim for all of it: it records each message's id and targets, and what was refused for want of a
//! destination. A repeat answers each message from its deliveries; those that were cut off before their commit are sent then.

use bytes::Bytes;
use dispatch::Target;
use domain::delivery::Delivery;
use domain::id::MessageId;
use domain::input::{Errors, FieldCode, FieldError};
use domain::role::Permission;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use store::Claim;

use super::claim::{RecordedTarget, record_targets};
use super::input::{MessageInput, read_message};
use super::raw::{RawMembers, items};
use super::read::accepted_at;
use super::submit::{Entry, as_accepted, submission, suspended};
use crate::destination::Addresses;
use crate::idempotency::{Fingerprint, wait_deadline, wait_until};
use crate::organization::no_parameters;
use crate::view::message::{BatchResult, BatchView};
use crate::view::problem::Problem;
use crate::{Body, Context, Operations, Query, Refusal};

/// Messages of a batch.
pub const BATCH_MAX: usize = 100;
/// Messages of a batch that are committed at once.
const AT_ONCE: usize = 10;

/// What a batch was answered with.
#[derive(Debug)]
pub struct SubmittedBatch {
    /// A result for each message.
    pub results: BatchView,
    /// It was accepted before, by the same request.
    pub replayed: bool,
}

/// What a batch's claim records. Target lists are told once, however many messages go to the same destinations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RecordedBatch {
    #[serde(rename = "l")]
    lists: Vec<Vec<RecordedTarget>>,
    #[serde(rename = "i")]
    items: Vec<RecordedItem>,
}

/// What a claim records of one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum RecordedItem {
    /// Sent under this id to the targets of this list.
    #[serde(rename = "s")]
    Sent(MessageId, usize),
    /// Nobody to send it to.
    #[serde(rename = "n")]
    NoDestinations,
    /// Named destinations that did not exist, at these positions.
    #[serde(rename = "u")]
    Unknown(Vec<usize>),
    /// Says the same each time it is read: invalid, or under a key of its own.
    #[serde(rename = "a")]
    Again,
}

/// One message of a batch on its way.
enum Planned {
    /// To be committed under this id, unless it already is.
    Send(MessageInput, MessageId, Vec<Target>),
    /// Under a key of its own.
    Keyed(MessageInput, Bytes),
    /// Not accepted.
    Refused(Refusal),
}

impl Operations {
    /// `POST /v1/messages/batch`.
    pub async fn submit_batch(&self, ctx: &Context, mut query: Query, body: Body) -> Result<SubmittedBatch, Refusal> {
        let organization = self.enter(ctx, Permission::Submit, &mut query).await?;
        let routes = self.store.routes(organization).await?.ok_or_else(Refusal::not_found)?;
        suspended(&routes)?;
        let entry = Entry { ctx, organization, routes: &routes };
        let json = body.bytes()?;
        let messages = read_batch(&json)?;
        no_parameters(query)?;
        let planned = self.plan(&entry, &messages).await;
        let print = ctx.idempotency_key.as_ref().map(|key| Fingerprint::of(organization, key, &ctx.request_line, &json));
        let (planned, replayed) = match &print {
            None => (planned, false),
            Some(print) => self.plan_once(&entry, print, &messages, planned).await?,
        };
        let results = planned.into_iter().map(|planned| self.carry_out(&entry, planned, replayed));
        let results: Vec<BatchResult> = stream::iter(results).buffered(AT_ONCE).collect().await;
        if let Some(print) = &print
            && results.iter().any(|result| result.status >= 500)
        {
            self.yield_claim(print).await;
        }
        Ok(SubmittedBatch { results: BatchView { results }, replayed })
    }

    async fn plan(&self, entry: &Entry<'_>, messages: &[Bytes]) -> Vec<Planned> {
        let mut planned = Vec::with_capacity(messages.len());
        for json in messages {
            planned.push(match self.plan_message(entry, json).await {
                Ok(message) => message,
                Err(refusal) => Planned::Refused(refusal),
            });
        }
        planned
    }

    async fn plan_message(&self, entry: &Entry<'_>, json: &Bytes) -> Result<Planned, Refusal> {
        let input = self.noted(entry.ctx, entry.organization, read_message(json, self.clock.now(), &self.addresses(), true)).await?;
        if input.idempotency_key.is_some() {
            return Ok(Planned::Keyed(input, json.clone()));
        }
        let targets = self.targets(entry, &input).await?;
        let input = self.located(entry, input).await?;
        Ok(Planned::Send(input, self.ids.mint(entry.organization, entry.routes.shards), targets))
    }

    /// Claims the batch's key for what is planned, or finds what was planned under it before.
    async fn plan_once(
        &self,
        entry: &Entry<'_>,
        print: &Fingerprint,
        messages: &[Bytes],
        planned: Vec<Planned>,
    ) -> Result<(Vec<Planned>, bool), Refusal> {
        let recorded = serde_json::to_value(record(&planned)).map_err(Refusal::internal)?;
        let deadline = wait_deadline();
        loop {
            let (earlier, over) = match self.claim(print, recorded.clone()).await? {
                Claim::New => return Ok((planned, false)),
                Claim::TakenOver { recorded } => (recorded, true),
                Claim::Running { recorded, .. } | Claim::Finished { recorded, .. } => (recorded, false),
            };
            let earlier: RecordedBatch = serde_json::from_value(earlier).map_err(Refusal::internal)?;
            if over || self.all_committed(entry, &earlier).await? {
                return Ok((replan(messages, planned, &earlier, &self.addresses()), !over));
            }
            wait_until(deadline).await?;
        }
    }

    async fn all_committed(&self, entry: &Entry<'_>, recorded: &RecordedBatch) -> Result<bool, Refusal> {
        for item in &recorded.items {
            if let RecordedItem::Sent(message, _) = item
                && self.store.message(entry.organization, *message).await?.is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn carry_out(&self, entry: &Entry<'_>, planned: Planned, replayed: bool) -> BatchResult {
        match self.accept_planned(entry, planned, replayed).await {
            Ok(deliveries) => BatchResult { status: 202, message: Some(self.message_view(entry.ctx, &deliveries)), error: None },
            Err(refusal) => {
                if let Some(chain) = refusal.chain() {
                    tracing::error!(error = chain, request_id = entry.ctx.request_id, "a message of a batch failed");
                }
                BatchResult { status: refusal.status, message: None, error: Some(Problem::of(refusal, entry.ctx.request_id.clone())) }
            }
        }
    }

    async fn accept_planned(&self, entry: &Entry<'_>, planned: Planned, replayed: bool) -> Result<Vec<Delivery>, Refusal> {
        match planned {
            Planned::Refused(refusal) => Err(refusal),
            Planned::Keyed(input, json) => {
                let Some(key) = input.idempotency_key.clone() else { return Err(Refusal::internal("a keyed message has a key")) };
                let print = Fingerprint::of(entry.organization, &key, "message of a batch", &json);
                Ok(self.accept_once(entry, &print, || Ok(input)).await?.0)
            }
            Planned::Send(input, message, targets) => {
                if replayed && let Some(deliveries) = self.store.message(entry.organization, message).await? {
                    return Ok(deliveries.into_iter().map(as_accepted).collect());
                }
                Ok(self.dispatch.submit(&submission(entry, message, input, targets)).await?)
            }
        }
    }
}

/// The messages of a batch, each as its bytes.
fn read_batch(json: &Bytes) -> Result<Vec<Bytes>, Refusal> {
    let mut members = RawMembers::parse(json)?;
    let messages = members.take("messages");
    let errors = Errors::default();
    let found = messages.as_ref().map(items);
    let mistake = match &found {
        None => Some((FieldCode::Required, "messages is required")),
        Some(None) => Some((FieldCode::InvalidType, "must be a list")),
        Some(Some(items)) if items.is_empty() => Some((FieldCode::TooShort, "must have at least one message")),
        Some(Some(items)) if items.len() > BATCH_MAX => Some((FieldCode::TooLong, "must have at most 100 messages")),
        Some(Some(_)) => None,
    };
    if let Some((code, detail)) = mistake {
        errors.extend([FieldError::at("/messages", code, detail)]);
    }
    members.read(errors, None, |_| Some(()))?;
    found.flatten().ok_or_else(|| Refusal::internal("a batch without messages was accepted"))
}

fn names_a_target(error: &FieldError) -> bool {
    error.pointer.as_deref().is_some_and(|pointer| pointer.starts_with("/destination_ids/"))
}

fn record(planned: &[Planned]) -> RecordedBatch {
    let mut batch = RecordedBatch::default();
    for planned in planned {
        let item = match planned {
            Planned::Send(_, message, targets) => {
                let list = record_targets(targets);
                let position = batch.lists.iter().position(|known| *known == list).unwrap_or_else(|| {
                    batch.lists.push(list);
                    batch.lists.len() - 1
                });
                RecordedItem::Sent(*message, position)
            }
            Planned::Refused(refusal) if refusal.code == "no_destinations" => RecordedItem::NoDestinations,
            Planned::Refused(refusal) if refusal.status == 404 && refusal.errors.iter().all(names_a_target) => {
                let position = |error: &FieldError| error.pointer.as_deref()?.rsplit('/').next()?.parse().ok();
                RecordedItem::Unknown(refusal.errors.iter().filter_map(position).collect())
            }
            Planned::Keyed(..) | Planned::Refused(_) => RecordedItem::Again,
        };
        batch.items.push(item);
    }
    batch
}

/// What was planned the first time, made whole again with the inputs, which are the same. `planned` is what would be planned now.
fn replan(messages: &[Bytes], planned: Vec<Planned>, recorded: &RecordedBatch, addresses: &Addresses<'_>) -> Vec<Planned> {
    let again = |now: Planned, item: &RecordedItem, json: &Bytes| match (item, now) {
        (RecordedItem::Sent(message, list), now) => {
            let targets = recorded.lists.get(*list).map(|list| list.iter().map(RecordedTarget::target).collect()).unwrap_or_default();
            match input_of(now, *message, json, addresses) {
                Ok(input) => Planned::Send(input, *message, targets),
                Err(refusal) => Planned::Refused(refusal),
            }
        }
        (RecordedItem::NoDestinations, _) => Planned::Refused(Refusal::no_destinations()),
        (RecordedItem::Unknown(positions), _) => {
            Planned::Refused(Refusal::not_found_at(positions.iter().map(|position| format!("/destination_ids/{position}"))))
        }
        (RecordedItem::Again, now) => now,
    };
    planned.into_iter().zip(&recorded.items).zip(messages).map(|((now, item), json)| again(now, item, json)).collect()
}

/// The input of a message that was accepted before: read as of then, so that an `expires_at` that was in the future still is.
fn input_of(planned: Planned, message: MessageId, json: &Bytes, addresses: &Addresses<'_>) -> Result<MessageInput, Refusal> {
    match planned {
        Planned::Send(input, ..) | Planned::Keyed(input, _) => Ok(input),
        Planned::Refused(_) => read_message(json, accepted_at(message), addresses, true),
    }
}

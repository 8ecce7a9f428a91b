//! Batches of up to 100 messages, each of which is accepted or refused independently.
//!
//! The `Idempotency-Key` of a batch is one claim for all of it. The claim records the id and the
//! targets of each message, and which messages were refused because they had no destination. A
//! repeat answers each message from its deliveries. Messages that were interrupted before their
//! commit are submitted by the repeat. A repeat that can accept a message that was refused for
//! another reason accepts it once, under a claim of its own, and within the quota.

use std::time::Duration;

use bytes::Bytes;
use dispatch::{Target, resolve};
use domain::delivery::Delivery;
use domain::id::MessageId;
use domain::input::{Errors, FieldCode, FieldError};
use domain::limits::BATCH_MAX;
use domain::role::Permission;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use store::{Claim, Routes};
use tokio::time::Instant;

use super::claim::{RecordedTarget, record_targets};
use super::input::{MessageInput, read_message};
use super::raw::{RawMembers, items};
use super::read::accepted_at;
use super::submit::{Counting, Entry, as_accepted, not_suspended, submission};
use crate::destination::Addresses;
use crate::idempotency::{RequestFingerprint, wait_deadline, wait_until};
use crate::organization::no_parameters;
use crate::view::delivery::Pauses;
use crate::view::message::{BatchResult, BatchView};
use crate::view::problem::Problem;
use crate::{Body, Context, Input, Operations, Query, Refusal, RefusalCode};

/// The maximum number of deliveries that the messages of a batch make together, which one request
/// can commit and answer within its function's time.
pub const BATCH_DELIVERIES_MAX: usize = 1000;
/// The number of messages of a batch that are committed at the same time.
const CONCURRENCY: usize = 25;
/// The request line in the fingerprint of a message that has a key of its own.
const MESSAGE_OF_A_BATCH: &str = "message of a batch";
/// The part of a function's time that is reserved for the response.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// The part of a function's time that is reserved for messages that are being committed.
const COMMIT_TIME: Duration = Duration::from_secs(6);
/// The time limit for reading whether a message was committed.
const READ_TIME_MAX: Duration = Duration::from_secs(1);

/// The time limits of a batch. A message that has not begun or has not ended in time gets an error
/// of its own.
#[derive(Clone, Copy, Debug)]
struct Time {
    begin_until: Instant,
    end: Instant,
}

impl Time {
    fn within(function: Duration) -> Self {
        let end = Instant::now() + function.saturating_sub(ANSWER_TIME);
        Self {
            begin_until: end - COMMIT_TIME.min(function / 2),
            end,
        }
    }
}

/// Returns the 503 for a message that a batch had no time for.
fn out_of_time() -> Refusal {
    let detail = "the batch ran out of time before this message was accepted; submit it again";
    Refusal {
        detail: detail.to_owned(),
        ..Refusal::unavailable("a batch ran out of time")
    }
}

/// A batch to submit: the JSON that its client sent, for which an idempotency key is claimed, and
/// the messages in it, which are slices of the JSON.
#[derive(Debug)]
pub struct BatchToSubmit {
    json: Bytes,
    messages: Vec<Bytes>,
}

impl BatchToSubmit {
    fn read(query: Query, body: Body) -> Result<Self, Refusal> {
        let json = body.bytes()?;
        let messages = read_batch(&json)?;
        no_parameters(query)?;
        Ok(Self { json, messages })
    }
}

/// The results of a batch, and whether they are a repeat.
#[derive(Debug)]
pub struct SubmittedBatch {
    /// The results, one for each message.
    pub results: BatchView,
    /// Whether the batch was accepted before, by the same request.
    pub replayed: bool,
}

/// What the claim of a batch records. A list of targets is recorded once, for all messages that
/// have the same destinations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RecordedBatch {
    #[serde(rename = "l")]
    lists: Vec<Vec<RecordedTarget>>,
    #[serde(rename = "i")]
    items: Vec<RecordedItem>,
    /// The targets that were paused, which the response shows.
    #[serde(rename = "p", default, skip_serializing_if = "Pauses::is_empty")]
    pauses: Pauses,
}

/// What a claim records of one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum RecordedItem {
    /// The message is sent under this id, to the targets in the list at this position.
    #[serde(rename = "s")]
    Sent(MessageId, usize),
    /// The message was refused because no destination would receive it.
    #[serde(rename = "n")]
    NoDestinations,
    /// The message was refused because the destinations at these positions did not exist.
    #[serde(rename = "u")]
    Unknown(Vec<usize>),
    /// The message is planned again and accepted once: it was refused for another reason, or has a
    /// key of its own.
    #[serde(rename = "a")]
    Again,
}

/// What is done with one message of a batch.
enum Planned {
    /// The message is committed under this id, unless it has been.
    Send(MessageInput, MessageId, Vec<Target>),
    /// The message, or its refusal if it was not accepted before, has an idempotency claim of its
    /// own.
    Once(Result<MessageInput, Refusal>, RequestFingerprint),
    /// The message is not accepted.
    Refused(Refusal),
}

impl Planned {
    /// Returns the id under which the message is sent, and the number of its deliveries; `None` if
    /// it has a claim of its own or is refused.
    fn sent(&self) -> Option<(MessageId, usize)> {
        match self {
            Self::Send(_, message, targets) => Some((*message, targets.len())),
            Self::Once(..) | Self::Refused(_) => None,
        }
    }

    /// Returns how many deliveries the message makes; `None` if it is refused.
    fn deliveries(&self, routes: &Routes) -> Option<usize> {
        match self {
            Self::Send(_, _, targets) => Some(targets.len()),
            Self::Once(Ok(input), _) => resolve(routes, input.named.as_deref(), &input.event_type)
                .map(|targets| targets.len())
                .ok(),
            Self::Once(Err(_), _) | Self::Refused(_) => None,
        }
    }
}

/// How the request relates to earlier requests with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// It is the first one, or has no key.
    First,
    /// An earlier request was interrupted, and this one continues it.
    Continued,
    /// An earlier request committed all of its messages, and this one repeats it.
    Repeated,
}

impl Round {
    /// Returns when the deliveries of a message that has a claim of its own are counted. The first
    /// request counts its batch as a whole; later ones count each message that they newly accept.
    fn counting(self) -> Counting {
        match self {
            Self::First => Counting::WithBatch,
            Self::Continued | Self::Repeated => Counting::OnAcceptance,
        }
    }
}

impl Operations {
    /// `POST /v1/messages/batch`: submits the messages of a batch.
    pub async fn submit_batch(
        &self,
        ctx: &Context,
        mut input: Input<BatchToSubmit>,
    ) -> Result<SubmittedBatch, Refusal> {
        let organization = self
            .enter(ctx, Permission::Submit, &mut input.query)
            .await?;
        let routes = self.routes(ctx, organization).await?;
        not_suspended(routes.status)?;
        let entry = Entry {
            ctx,
            organization,
            routes: &routes,
        };
        let BatchToSubmit { json, messages } = input.read_with(BatchToSubmit::read)?;
        let time = Time::within(Duration::from_secs(
            self.settings.function_timeout_seconds.into(),
        ));
        let planned = self.plan(&entry, &messages, time).await;
        let fingerprint = ctx
            .idempotency_key
            .as_ref()
            .map(|key| RequestFingerprint::of(organization, key, &ctx.request_line, &json));
        self.admit_batch(&entry, fingerprint.as_ref(), &planned)
            .await?;
        let pauses = Pauses::of(&routes, self.clock.now());
        let (planned, round, pauses) = match &fingerprint {
            None => (planned, Round::First, pauses),
            Some(fingerprint) => {
                self.plan_once(&entry, fingerprint, &messages, planned, pauses)
                    .await?
            }
        };
        let results = planned
            .into_iter()
            .map(|planned| self.carry_out(&entry, planned, &pauses, round, time));
        let results: Vec<BatchResult> = stream::iter(results).buffered(CONCURRENCY).collect().await;
        if let Some(fingerprint) = &fingerprint
            && results.iter().any(|result| result.status >= 500)
        {
            self.yield_claim(fingerprint).await;
        }
        Ok(SubmittedBatch {
            results: BatchView { results },
            replayed: round == Round::Repeated,
        })
    }

    async fn plan(&self, entry: &Entry<'_>, messages: &[Bytes], time: Time) -> Vec<Planned> {
        let planned = messages
            .iter()
            .cloned()
            .map(|json| self.plan_in_time(entry, json, time));
        stream::iter(planned).buffered(CONCURRENCY).collect().await
    }

    async fn plan_in_time(&self, entry: &Entry<'_>, json: Bytes, time: Time) -> Planned {
        match tokio::time::timeout_at(time.begin_until, self.plan_message(entry, &json)).await {
            Ok(Ok(message)) => message,
            Ok(Err(refusal)) => Planned::Refused(refusal),
            Err(_) => Planned::Refused(out_of_time()),
        }
    }

    /// Refuses a batch as a whole if it makes too many deliveries or exceeds the quota. A batch
    /// that was accepted before is answered again without these checks.
    async fn admit_batch(
        &self,
        entry: &Entry<'_>,
        fingerprint: Option<&RequestFingerprint>,
        planned: &[Planned],
    ) -> Result<(), Refusal> {
        if let Some(fingerprint) = fingerprint
            && let Some(earlier) = self
                .store
                .find_claim(fingerprint.organization, &fingerprint.key_hash)
                .await?
        {
            return fingerprint.checked(earlier).map(drop);
        }
        let sizes = planned
            .iter()
            .filter_map(|planned| planned.deliveries(entry.routes));
        let (messages, deliveries) = sizes.fold((0, 0), |(messages, sum), deliveries| {
            (messages + 1, sum + deliveries)
        });
        within_deliveries_max(deliveries)?;
        self.admit_deliveries(entry.organization, messages, deliveries)
            .await
    }

    async fn plan_message(&self, entry: &Entry<'_>, json: &Bytes) -> Result<Planned, Refusal> {
        let input = self
            .recording_blocked_addresses(
                entry.ctx,
                entry.organization,
                read_message(json, self.clock.now(), &self.addresses(), true),
            )
            .await?;
        if let Some(key) = &input.idempotency_key {
            let fingerprint =
                RequestFingerprint::of(entry.organization, key, MESSAGE_OF_A_BATCH, json);
            return Ok(Planned::Once(Ok(input), fingerprint));
        }
        let targets = self.targets(entry, &input).await?;
        let input = self.located(entry, input).await?;
        Ok(Planned::Send(
            input,
            self.ids.mint(entry.organization, entry.routes.shards),
            targets,
        ))
    }

    /// Claims the batch's key for what is planned, or returns what was planned under the key
    /// before, with the pauses of that time.
    async fn plan_once(
        &self,
        entry: &Entry<'_>,
        fingerprint: &RequestFingerprint,
        messages: &[Bytes],
        planned: Vec<Planned>,
        pauses: Pauses,
    ) -> Result<(Vec<Planned>, Round, Pauses), Refusal> {
        let recorded = record(&planned, pauses.clone());
        let recorded = serde_json::to_value(recorded).map_err(Refusal::internal)?;
        let deadline = wait_deadline();
        loop {
            let (earlier, was_interrupted) = match self.claim(fingerprint, recorded.clone()).await?
            {
                Claim::New => return Ok((planned, Round::First, pauses)),
                Claim::TakenOver { recorded } => (recorded, true),
                Claim::Running { recorded, .. } | Claim::Finished { recorded, .. } => {
                    (recorded, false)
                }
            };
            let earlier: RecordedBatch =
                serde_json::from_value(earlier).map_err(Refusal::internal)?;
            let round = if self.all_committed(entry, &earlier).await? {
                Round::Repeated
            } else if was_interrupted {
                Round::Continued
            } else {
                wait_until(deadline).await?;
                continue;
            };
            within_deliveries_max(refused_before(&planned, &earlier, entry.routes))?;
            let planned = replan(fingerprint, messages, planned, &earlier, &self.addresses());
            return Ok((planned, round, earlier.pauses));
        }
    }

    async fn all_committed(
        &self,
        entry: &Entry<'_>,
        recorded: &RecordedBatch,
    ) -> Result<bool, Refusal> {
        for item in &recorded.items {
            if let RecordedItem::Sent(message, _) = item
                && self
                    .store
                    .message(entry.organization, *message)
                    .await?
                    .is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn carry_out(
        &self,
        entry: &Entry<'_>,
        planned: Planned,
        pauses: &Pauses,
        round: Round,
        time: Time,
    ) -> BatchResult {
        let sent = planned.sent();
        let accepted = if Instant::now() < time.begin_until {
            let accepting = self.accept_planned(entry, planned, pauses, round);
            match tokio::time::timeout_at(time.end, accepting).await {
                Ok(accepted) => accepted,
                Err(_) => self
                    .accepted_in_time(entry, sent)
                    .await
                    .map(|deliveries| (deliveries, pauses.clone())),
            }
        } else {
            Err(out_of_time())
        };
        match accepted {
            Ok((deliveries, pauses)) => BatchResult {
                status: 202,
                message: Some(self.message_view(entry.ctx, &deliveries, &pauses)),
                error: None,
            },
            Err(refusal) => {
                if let Some(chain) = refusal.chain() {
                    tracing::error!(
                        error = chain,
                        request_id = entry.ctx.request_id,
                        "a message of a batch failed"
                    );
                }
                BatchResult {
                    status: refusal.status(),
                    message: None,
                    error: Some(Problem::of(refusal, entry.ctx.request_id.clone())),
                }
            }
        }
    }

    /// Returns the deliveries of a message whose submission did not end in time, if the message was
    /// committed. Those whose tasks may not have been queued come due once no first attempt can be
    /// running.
    async fn accepted_in_time(
        &self,
        entry: &Entry<'_>,
        sent: Option<(MessageId, usize)>,
    ) -> Result<Vec<Delivery>, Refusal> {
        let Some((id, count)) = sent else {
            return Err(out_of_time());
        };
        let found = tokio::time::timeout(READ_TIME_MAX, self.store.message(entry.organization, id))
            .await
            .map_err(|_| out_of_time())?;
        let deliveries = found?.ok_or_else(out_of_time)?;
        let remembering = self.dispatch.remember_untouched(&deliveries);
        if tokio::time::timeout(READ_TIME_MAX, remembering)
            .await
            .is_err()
        {
            tracing::warn!(
                message_id = %id,
                "failed to enter deliveries in the due index in time; reconcile sends their tasks"
            );
        }
        Ok(as_accepted(deliveries, count))
    }

    async fn accept_planned(
        &self,
        entry: &Entry<'_>,
        planned: Planned,
        pauses: &Pauses,
        round: Round,
    ) -> Result<(Vec<Delivery>, Pauses), Refusal> {
        match planned {
            Planned::Refused(refusal) => Err(refusal),
            Planned::Once(input, fingerprint) => {
                let accepted = self
                    .accept_once(entry, &fingerprint, round.counting(), || input)
                    .await?;
                Ok((accepted.deliveries, accepted.pauses))
            }
            Planned::Send(input, message, targets) => {
                if round != Round::First
                    && let Some(deliveries) = self.committed(entry.organization, message).await?
                {
                    return Ok((as_accepted(deliveries, targets.len()), pauses.clone()));
                }
                let submission = submission(entry, message, input, targets);
                Ok((self.dispatch.submit(&submission).await?, pauses.clone()))
            }
        }
    }
}

/// Returns the messages of a batch, each as its bytes.
fn read_batch(json: &Bytes) -> Result<Vec<Bytes>, Refusal> {
    let mut members = RawMembers::parse(json)?;
    let messages = members.take("messages");
    let errors = Errors::default();
    let found = messages.as_ref().map(items);
    let mistake = match &found {
        None => Some((FieldCode::Required, "messages is required".to_owned())),
        Some(None) => Some((FieldCode::InvalidType, "must be a list".to_owned())),
        Some(Some(items)) if items.is_empty() => Some((
            FieldCode::TooShort,
            "must have at least one message".to_owned(),
        )),
        Some(Some(items)) if items.len() > BATCH_MAX => Some((
            FieldCode::TooLong,
            format!("must have at most {BATCH_MAX} messages"),
        )),
        Some(Some(_)) => None,
    };
    if let Some((code, detail)) = mistake {
        errors.extend([FieldError::at("/messages", code, detail)]);
    }
    members.read(errors, None, |_| Some(()))?;
    found
        .flatten()
        .ok_or_else(|| Refusal::internal("a batch without messages was accepted"))
}

fn record(planned: &[Planned], pauses: Pauses) -> RecordedBatch {
    let sent = planned.iter().filter_map(|planned| match planned {
        Planned::Send(_, _, targets) => Some(targets),
        Planned::Once(..) | Planned::Refused(_) => None,
    });
    let destinations = sent.flatten().map(|target| target.destination).collect();
    let mut batch = RecordedBatch {
        pauses: pauses.only(&destinations),
        ..RecordedBatch::default()
    };
    for planned in planned {
        let item = match planned {
            Planned::Send(_, message, targets) => {
                let list = record_targets(targets);
                let position = batch
                    .lists
                    .iter()
                    .position(|known| *known == list)
                    .unwrap_or_else(|| {
                        batch.lists.push(list);
                        batch.lists.len() - 1
                    });
                RecordedItem::Sent(*message, position)
            }
            Planned::Refused(refusal) if refusal.code == RefusalCode::NoDestinations => {
                RecordedItem::NoDestinations
            }
            Planned::Refused(refusal) => match refusal
                .extra
                .as_ref()
                .map(|extra| &extra.unknown_destinations)
            {
                Some(positions) if !positions.is_empty() => {
                    RecordedItem::Unknown(positions.clone())
                }
                _ => RecordedItem::Again,
            },
            Planned::Once(..) => RecordedItem::Again,
        };
        batch.items.push(item);
    }
    batch
}

/// Refuses a batch whose messages make more than [`BATCH_DELIVERIES_MAX`] deliveries together.
fn within_deliveries_max(deliveries: usize) -> Result<(), Refusal> {
    if deliveries <= BATCH_DELIVERIES_MAX {
        return Ok(());
    }
    let detail = format!(
        "the batch makes {deliveries} deliveries; at most {BATCH_DELIVERIES_MAX} are accepted at \
         once"
    );
    let error = FieldError::at("/messages", FieldCode::TooLong, detail.clone());
    Err(Refusal {
        errors: vec![error],
        ..Refusal::new(RefusalCode::BatchTooLarge, detail)
    })
}

/// Returns how many deliveries the messages make that were refused at first and can be sent now.
fn refused_before(planned: &[Planned], recorded: &RecordedBatch, routes: &Routes) -> usize {
    planned
        .iter()
        .zip(&recorded.items)
        .filter(|(now, item)| matches!((now, item), (Planned::Send(..), RecordedItem::Again)))
        .filter_map(|(now, _)| now.deliveries(routes))
        .sum()
}

/// Restores what was planned the first time from the record and from the inputs, which are the
/// same. `planned` is what would be planned now.
fn replan(
    fingerprint: &RequestFingerprint,
    messages: &[Bytes],
    planned: Vec<Planned>,
    recorded: &RecordedBatch,
    addresses: &Addresses<'_>,
) -> Vec<Planned> {
    let again = |position, now: Planned, item: &RecordedItem, json: &Bytes| match (item, now) {
        (RecordedItem::Sent(message, list), now) => {
            let targets = recorded
                .lists
                .get(*list)
                .map(|list| list.iter().map(RecordedTarget::target).collect())
                .unwrap_or_default();
            match input_of(now, *message, json, addresses) {
                Ok(input) => Planned::Send(input, *message, targets),
                Err(refusal) => Planned::Refused(refusal),
            }
        }
        (RecordedItem::NoDestinations, _) => Planned::Refused(Refusal::no_destinations()),
        (RecordedItem::Unknown(positions), _) => {
            Planned::Refused(Refusal::unknown_destinations(positions.clone()))
        }
        (RecordedItem::Again, Planned::Send(input, ..)) => {
            Planned::Once(Ok(input), fingerprint.of_message(position))
        }
        (RecordedItem::Again, Planned::Refused(refusal)) => {
            Planned::Once(Err(refusal), fingerprint.of_message(position))
        }
        (RecordedItem::Again, once @ Planned::Once(..)) => once,
    };
    planned
        .into_iter()
        .zip(&recorded.items)
        .zip(messages)
        .enumerate()
        .map(|(position, ((now, item), json))| again(position, now, item, json))
        .collect()
}

/// Returns the input of a message that was accepted before. It is validated as of that time, so
/// that an `expires_at` that has passed since is accepted.
fn input_of(
    planned: Planned,
    message: MessageId,
    json: &Bytes,
    addresses: &Addresses<'_>,
) -> Result<MessageInput, Refusal> {
    match planned {
        Planned::Send(input, ..) | Planned::Once(Ok(input), _) => Ok(input),
        Planned::Once(Err(_), _) | Planned::Refused(_) => {
            read_message(json, accepted_at(message), addresses, true)
        }
    }
}

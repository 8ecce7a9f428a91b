//! The views of deliveries and their attempts.

use std::collections::{BTreeMap, BTreeSet};

use domain::attempt::{Attempt, RequestRecord, ResponseRecord, Trigger};
use domain::delivery::{Delivery, DeliveryStatus};
use domain::event_type::EventType;
use domain::id::{DeliveryId, DestinationId, MessageId, OrganizationId};
use domain::receipt::Receipt;
use domain::trace::TraceId;
use domain::waiting::{Waiting, WaitingFor};
use domain::{Reason, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Routes;
use utoipa::ToSchema;

use super::words::{DeliveryStatusName, DestinationTypeName, ReasonName};

/// A delivery, without its attempts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryFacts {
    /// Unique identifier of the delivery. Receivers see it as the idempotency key.
    #[schema(value_type = String, example = "dlv_01kavd83802s63efghp3q1cpj4_00")]
    pub id: DeliveryId,
    /// The organization that the object belongs to.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// The message that is delivered.
    #[schema(value_type = String)]
    pub message_id: MessageId,
    /// The identifier of the destination.
    #[schema(value_type = String)]
    pub destination_id: DestinationId,
    /// The type of the destination.
    #[schema(value_type = DestinationTypeName)]
    pub destination_type: &'static str,
    /// The event type of the message.
    #[schema(value_type = String, example = "report.ready")]
    pub event_type: EventType,
    /// The reference of the message.
    pub reference: Option<String>,
    /// The labels of the message.
    pub metadata: BTreeMap<String, String>,
    /// The status of the delivery.
    #[schema(value_type = DeliveryStatusName)]
    pub status: DeliveryStatus,
    /// The failure category; for a fallback without a failure of its own, that of the delivery it
    /// stands in for.
    #[schema(value_type = Option<ReasonName>)]
    pub reason: Option<Reason>,
    /// What triggered the last attempt, or triggers the first one: `first`, `retry`, `manual` or
    /// `replay`; `fallback` for every fallback.
    #[schema(value_type = String, example = "first")]
    pub trigger: Trigger,
    /// Whether the delivery used up its retries.
    pub exhausted: bool,
    /// Whether this is a test delivery.
    pub test: bool,
    /// Whether an attempt is known to be running.
    pub in_flight: bool,
    /// The number of attempts so far.
    pub attempt_count: u32,
    /// When the next attempt is due; null if none is planned.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    /// What it waits for although it is due: `pause`, `rate` or `concurrency`; null while it waits
    /// for nothing.
    #[schema(value_type = Option<String>, example = "rate")]
    pub waiting_for: Option<WaitingFor>,
    /// When a delivery that waits is expected to start; null if that is not known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expected_at: Option<Timestamp>,
    /// The delivery that this one stands in for, when it is a fallback.
    #[schema(value_type = Option<String>)]
    pub failed_delivery_id: Option<DeliveryId>,
    /// Why the delivery that this one stands in for failed.
    #[schema(value_type = Option<ReasonName>)]
    pub failed_reason: Option<Reason>,
    /// When the message was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the delivery last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When the delivery finished; null while it is unfinished.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// What identifies the delivery at the destination.
    #[schema(value_type = Option<Object>)]
    pub tracking: Option<Value>,
    /// A link to this object in the console.
    pub url: String,
}

/// A delivery in a list, without its attempts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliverySummary {
    /// The delivery, with its attempts.
    #[serde(flatten)]
    pub delivery: DeliveryFacts,
    /// A summary of the latest attempt.
    pub last_attempt: Option<LastAttempt>,
}

/// A delivery with its attempts.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The delivery, with its attempts.
    #[serde(flatten)]
    pub delivery: DeliveryFacts,
    /// The attempts that were made, oldest first.
    pub attempts: Vec<AttemptView>,
    /// The number of attempts that are no longer kept.
    pub attempts_omitted: u32,
}

/// A summary of the latest attempt of a delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LastAttempt {
    /// The number of the attempt, starting at 1.
    pub number: u32,
    /// When the attempt started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// How long the attempt took, in milliseconds.
    pub duration_ms: u64,
    /// The outcome of the attempt: `succeeded` or `failed`.
    pub outcome: &'static str,
    /// The failure category; null if the attempt succeeded.
    #[schema(value_type = Option<ReasonName>)]
    pub reason: Option<Reason>,
    /// A sentence for people that explains the result. Programs should use the codes.
    pub detail: Option<String>,
    /// The HTTP status of the response.
    pub response_status: Option<u16>,
}

/// One attempt to deliver a message to its destination.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// The number of the attempt, starting at 1.
    pub number: u32,
    /// What triggered the attempt: `first`, `retry`, `manual`, `replay` or `fallback`.
    #[schema(value_type = String, example = "first")]
    pub trigger: Trigger,
    /// When the attempt started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// How long the attempt took, in milliseconds.
    pub duration_ms: u64,
    /// The outcome of the attempt: `succeeded` or `failed`.
    pub outcome: &'static str,
    /// The failure category; null if the attempt succeeded.
    #[schema(value_type = Option<ReasonName>)]
    pub reason: Option<Reason>,
    /// A sentence for people that explains the result. Programs should use the codes.
    pub detail: Option<String>,
    /// The request, as far as it was sent.
    pub request: Option<RequestView>,
    /// The response, as far as it was received.
    pub response: Option<ResponseView>,
    /// The W3C trace ID that the attempt was made under, to find it in your tracing system.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
}

/// The request. Signatures are shown; credentials are `[redacted]`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AttemptRequest)]
pub struct RequestView {
    /// The HTTP method, which is always `POST`.
    pub method: String,
    /// The URL that the request was sent to.
    pub url: String,
    /// Header fields by name. Repeated fields are joined by commas.
    #[schema(value_type = BTreeMap<String, String>)]
    pub headers: Map<String, Value>,
    /// The size of the body that was sent, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the body that was sent, in lower-case hexadecimal.
    pub body_sha256: String,
}

/// The response of the destination.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AttemptResponse)]
pub struct ResponseView {
    /// The HTTP status code of the response.
    pub status: u16,
    /// Header fields by name. Repeated fields are joined by commas.
    #[schema(value_type = BTreeMap<String, String>)]
    pub headers: Map<String, Value>,
    /// The body of the response, of which at most 4 KiB are kept.
    pub body: String,
    /// Whether the body is longer than what is shown.
    pub truncated: bool,
}

/// The paused destinations of an organization, with the times at which their pauses end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pauses(BTreeMap<DestinationId, Timestamp>);

impl Pauses {
    /// Returns the destinations of an organization that are paused at `now`.
    #[must_use]
    pub fn of(routes: &Routes, now: Timestamp) -> Self {
        let paused = routes
            .destinations
            .iter()
            .filter_map(|route| Some((route.id, route.paused_until?)));
        Self(paused.filter(|(_, until)| now < *until).collect())
    }

    /// Returns whether no destination is paused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the pauses of these destinations.
    #[must_use]
    pub fn only(mut self, destinations: &BTreeSet<DestinationId>) -> Self {
        self.0.retain(|id, _| destinations.contains(id));
        self
    }

    /// Returns the pauses of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns what a delivery waits for. A delivery records this only after its task was received,
    /// while a pause applies to all deliveries immediately.
    fn waiting(&self, delivery: &Delivery) -> Option<Waiting> {
        if delivery.status().is_finished() {
            return None;
        }
        match self
            .0
            .get(&delivery.destination)
            .filter(|_| !delivery.message.test)
        {
            Some(until) => Some(Waiting {
                reason: WaitingFor::Pause,
                expected_at: Some(*until).filter(|until| *until < Timestamp::MAX),
            }),
            None => delivery
                .waiting
                .filter(|waiting| waiting.reason != WaitingFor::Pause),
        }
    }
}

/// Returns the URL of a page of the console, such as `https://waybill.example/deliveries/dlv_…`.
pub(super) fn link(public_url: &str, page: &str, id: impl std::fmt::Display) -> String {
    format!("{public_url}/{page}/{id}")
}

impl DeliveryFacts {
    /// Creates the view of a delivery as of `now`. Links start with `public_url`.
    #[must_use]
    pub fn of(delivery: &Delivery, pauses: &Pauses, now: Timestamp, public_url: &str) -> Self {
        let waiting = pauses.waiting(delivery);
        Self {
            id: delivery.id,
            organization_id: delivery.organization,
            message_id: delivery.id.message,
            destination_id: delivery.destination,
            destination_type: delivery.destination_type.as_str(),
            event_type: delivery.message.event_type.clone(),
            reference: delivery.message.reference.clone(),
            metadata: delivery.message.metadata.clone(),
            status: delivery.status(),
            reason: delivery.reason(),
            trigger: delivery.shown_trigger(),
            exhausted: delivery.state.is_exhausted(),
            test: delivery.message.test,
            in_flight: delivery.in_flight(now),
            attempt_count: delivery.attempts,
            next_attempt_at: delivery.state.next_attempt_at(),
            waiting_for: waiting.map(|waiting| waiting.reason),
            expected_at: waiting.and_then(|waiting| waiting.expected_at),
            failed_delivery_id: delivery.fallback_of.map(|failed| failed.delivery),
            failed_reason: delivery.fallback_of.map(|failed| failed.reason),
            created_at: delivery.created_at,
            updated_at: delivery.updated_at,
            finished_at: delivery.state.finished_at(),
            tracking: delivery.state.receipt().map(Receipt::to_json),
            url: link(public_url, "deliveries", delivery.id),
        }
    }
}

impl DeliveryView {
    /// Creates the view of a delivery with its attempts, of which `omitted` are no longer kept.
    #[must_use]
    pub fn of(delivery: DeliveryFacts, attempts: Vec<Attempt>, omitted: u32) -> Self {
        Self {
            delivery,
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
            attempts_omitted: omitted,
        }
    }
}

impl DeliverySummary {
    /// Creates the view of a delivery with its last attempt, as of `now`. Links start with
    /// `public_url`.
    #[must_use]
    pub fn of(delivery: &Delivery, pauses: &Pauses, now: Timestamp, public_url: &str) -> Self {
        Self {
            delivery: DeliveryFacts::of(delivery, pauses, now, public_url),
            last_attempt: delivery.last_attempt.as_ref().map(LastAttempt::from),
        }
    }
}

fn outcome(attempt: &Attempt) -> &'static str {
    if attempt.failure.is_none() {
        "succeeded"
    } else {
        "failed"
    }
}

impl From<&Attempt> for LastAttempt {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            outcome: outcome(attempt),
            reason: attempt.failure.as_ref().map(|failure| failure.reason),
            detail: attempt
                .failure
                .as_ref()
                .map(|failure| failure.detail.clone()),
            response_status: attempt.response.as_ref().map(|response| response.status),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let outcome = outcome(&attempt);
        let (reason, detail) = attempt
            .failure
            .map(|failure| (failure.reason, failure.detail))
            .unzip();
        Self {
            number: attempt.number,
            trigger: attempt.trigger,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            outcome,
            reason,
            detail,
            request: attempt.request.map(RequestView::from),
            response: attempt.response.map(ResponseView::from),
            trace_id: attempt.trace_id,
        }
    }
}

impl From<RequestRecord> for RequestView {
    fn from(request: RequestRecord) -> Self {
        let RequestRecord {
            method,
            url,
            headers,
            size_bytes,
            body_sha256,
        } = request;
        Self {
            method,
            url,
            headers: by_name(headers),
            size_bytes,
            body_sha256,
        }
    }
}

impl From<ResponseRecord> for ResponseView {
    fn from(response: ResponseRecord) -> Self {
        let ResponseRecord {
            status,
            headers,
            body,
            truncated,
        } = response;
        Self {
            status,
            headers: by_name(headers),
            body,
            truncated,
        }
    }
}

/// Combines fields of the same name, in order, with commas (RFC 9110 §5.3).
fn by_name(headers: Vec<(String, String)>) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in headers {
        match members.get_mut(&name) {
            Some(Value::String(earlier)) => {
                earlier.push_str(", ");
                earlier.push_str(&value);
            }
            _ => {
                members.insert(name, value.into());
            }
        }
    }
    members
}

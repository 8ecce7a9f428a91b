//! A delivery as an item. Attribute names are short, and what follows from the key or has its
//! default is left out, because writes cost by the kibibyte.
//!
//! | name | what |
//! |---|---|
//! | `t` | destination type, unless webhook |
//! | `e`, `r`, `m`, `x`, `tr`, `te` | event type, reference (on `#00` it is in the index key), metadata, expiry, trace, whether a test |
//! | `sz`, `ct`, `fn`, `h` | the payload's size, content type, file name, SHA-256; size and hash are left out where they follow from an inline payload |
//! | `p`, `z`, `w`, `v`, `o` | the payload inline; inline and compressed; where else it is; the version of the service's object; another object |
//! | `f`, `rd`, `pd`, `bk`, `cb` | fan-out, retention in days, that of the payload if it differs, whether created as skipped, status callback |
//! | `g`, `n`, `b`, `tg`, `l` | generation, attempts, start of the budget, trigger, lease (of a finished delivery: of an attempt that still runs) |
//! | `s`, `u`, `na`, `re`, `ex`, `fa` | status, last change after creation, next attempt, reason, exhausted, when finished if not at `u` |
//! | `wf`, `wa` | what it waits for, and when it is expected to start |
//! | `fo`, `fr` | the delivery that this one is a fallback of, and why that one failed |
//! | `a`, `k` | the record of the last attempt with the tracking data, the token of the settle that wrote it |
//!
//! The destination is in the key of `by_destination`; the creation time is that of the message's
//! id.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::delivery::{Delivery, DeliveryStatus, FallbackOf, Pending, SkipReason, State};
use domain::event_type::EventType;
use domain::id::Id;
use domain::message::{MessageFacts, PayloadInfo, StatusCallback};
use domain::receipt::Receipt;
use domain::settings::DestinationType;
use domain::trace::TraceId;
use domain::waiting::{Waiting, WaitingFor};
use domain::{Reason, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::record;
use crate::StoreError;
use crate::attributes::{Item, Put, Reader, binary, flag, number, text, text_map, time};
use crate::keys::{
    self, ATTENTION_DST, ATTENTION_ORG, BY_DESTINATION, BY_REFERENCE, DUE, PK, SK, TROUBLE, TTL,
    TroubleKind,
};

pub(super) const PAYLOAD: &str = "p";
pub(super) const PAYLOAD_COMPRESSED: &str = "z";
pub(super) const PAYLOAD_PLACE: &str = "w";
pub(super) const PAYLOAD_VERSION: &str = "v";
pub(super) const PAYLOAD_OBJECT: &str = "o";
pub(super) const GENERATION: &str = "g";
pub(super) const ATTEMPTS: &str = "n";
pub(super) const STATUS: &str = "s";
pub(super) const LEASE: &str = "l";
pub(super) const RECORD: &str = "a";
pub(super) const TOKEN: &str = "k";
pub(super) const WAITING: &str = "wf";

pub(super) const FAN_OUT: &str = "f";
/// The attributes that hold the payload or say where it is.
pub(super) const PAYLOADS: &[&str] = &[
    PAYLOAD,
    PAYLOAD_COMPRESSED,
    PAYLOAD_PLACE,
    PAYLOAD_VERSION,
    PAYLOAD_OBJECT,
    "sz",
    "h",
];

const JSON: &str = "application/json";
const RETENTION_DAYS: u32 = 30;

/// The attributes that may change after the commit, except the record and its token.
pub(super) const MUTABLE: &[&str] = &[
    GENERATION,
    ATTEMPTS,
    "b",
    "tg",
    LEASE,
    STATUS,
    "u",
    "na",
    "re",
    "ex",
    "fa",
    WAITING,
    "wa",
    DUE.pk,
    DUE.sk,
    ATTENTION_ORG.pk,
    ATTENTION_ORG.sk,
    ATTENTION_DST.pk,
    ATTENTION_DST.sk,
    TROUBLE.pk,
    TROUBLE.sk,
    TTL,
];

/// A shorter wait ends before a change of limits matters, so it needs no release.
const RELEASED_AFTER: Duration = Duration::from_secs(10);

/// The letter for what a delivery waits for. Letters never change, because they are stored.
const WAITING_LETTERS: &[(&str, WaitingFor)] = &[
    ("p", WaitingFor::Pause),
    ("r", WaitingFor::Rate),
    ("c", WaitingFor::Concurrency),
];

/// The letter of each status. Letters never change, because they are stored.
const STATUSES: &[(&str, DeliveryStatus)] = &[
    ("q", DeliveryStatus::Queued),
    ("r", DeliveryStatus::Retrying),
    ("s", DeliveryStatus::Succeeded),
    ("f", DeliveryStatus::Failed),
    ("k", DeliveryStatus::Skipped),
    ("c", DeliveryStatus::Cancelled),
];

/// The statuses whose deliveries are in the attention indexes.
pub(super) const ATTENTION: &[DeliveryStatus] = &[
    DeliveryStatus::Retrying,
    DeliveryStatus::Failed,
    DeliveryStatus::Skipped,
    DeliveryStatus::Cancelled,
];

/// Returns the letter of a status.
pub(super) fn status(status: DeliveryStatus) -> AttributeValue {
    text(
        STATUSES
            .iter()
            .find(|(_, known)| *known == status)
            .map_or("", |(letter, _)| letter),
    )
}

/// Stores a payload's hash as bytes if it is hexadecimal, else as text.
pub(super) fn hash(sha256: &str) -> AttributeValue {
    hex::decode(sha256).map_or_else(|_| text(sha256), binary)
}

/// Makes the item of a delivery, without its payload.
pub(crate) fn encode(delivery: &Delivery) -> Item {
    let mut item = keys::delivery(delivery.organization, delivery.id).item();
    let sort = keys::delivery_sort(delivery.id);
    item.put(
        BY_DESTINATION.pk,
        text(keys::by_destination(
            delivery.destination,
            delivery.id.message.ulid().shard(),
        )),
    );
    item.put(BY_DESTINATION.sk, text(&sort));
    item.put_some(
        "t",
        (delivery.destination_type != DestinationType::Webhook)
            .then(|| word(&delivery.destination_type)),
    );
    encode_message(&mut item, delivery);
    item.put_some(
        FAN_OUT,
        (delivery.fan_out != 1).then(|| number(delivery.fan_out)),
    );
    item.put_some(
        "rd",
        (delivery.retention_days != RETENTION_DAYS).then(|| number(delivery.retention_days)),
    );
    let payload_days = delivery.payload_retention_days;
    item.put_some(
        "pd",
        (payload_days != delivery.retention_days).then(|| number(payload_days)),
    );
    item.put_some("bk", delivery.born_skipped.then(flag));
    if let Some(FallbackOf {
        delivery: failed,
        reason,
    }) = delivery.fallback_of
    {
        item.put("fo", text(failed.to_string()));
        item.put("fr", text(reason.as_str()));
    }
    item.extend(encode_progress(delivery));
    item.put_some(RECORD, encode_record(delivery));
    item
}

fn encode_message(item: &mut Item, delivery: &Delivery) {
    let MessageFacts {
        event_type,
        reference,
        metadata,
        payload,
        expires_at,
        trace,
        test,
        status_callback,
    } = &delivery.message;
    item.put("e", text(event_type.as_str()));
    if let Some(reference) = reference {
        // The reference of one delivery is enough to find the message.
        if delivery.id.position == 0 {
            item.put(
                BY_REFERENCE.pk,
                text(keys::by_reference(delivery.organization, reference)),
            );
            item.put(BY_REFERENCE.sk, text(keys::delivery_sort(delivery.id)));
        } else {
            item.put("r", text(reference));
        }
    }
    item.put_some("m", (!metadata.is_empty()).then(|| text_map(metadata)));
    item.put("sz", number(payload.size_bytes));
    item.put_some(
        "ct",
        (payload.content_type != JSON).then(|| text(&payload.content_type)),
    );
    item.put_some("fn", payload.filename.as_deref().map(text));
    item.put_some("h", payload.sha256.as_deref().map(hash));
    item.put_some("x", expires_at.map(time));
    item.put("tr", binary(trace.to_bytes().to_vec()));
    item.put_some("te", test.then(flag));
    item.put_some("cb", status_callback.as_ref().map(callback));
}

/// A destination's id parses as an id; anything else is a URL.
fn callback(callback: &StatusCallback) -> AttributeValue {
    match callback {
        StatusCallback::DestinationId(id) => text(id.to_string()),
        StatusCallback::Url(url) => text(url),
    }
}

fn decode_callback(text: &str) -> StatusCallback {
    text.parse().map_or_else(
        |_| StatusCallback::Url(text.to_owned()),
        StatusCallback::DestinationId,
    )
}

/// The attributes in [`MUTABLE`]: the delivery's progress, and the index keys and the expiry that
/// follow from it.
pub(super) fn encode_progress(delivery: &Delivery) -> Item {
    let mut item = Item::new();
    let offset = |at: Timestamp| at.as_millis() - delivery.created_at.as_millis();
    item.put(GENERATION, number(delivery.generation));
    item.put(ATTEMPTS, number(delivery.attempts));
    item.put_some(
        "b",
        (delivery.budget_start != 0).then(|| number(delivery.budget_start)),
    );
    item.put_some(
        "tg",
        (delivery.trigger != default_trigger(delivery.attempts)).then(|| word(&delivery.trigger)),
    );
    item.put_some(LEASE, delivery.state.attempt_until().map(time));
    item.put(STATUS, status(delivery.status()));
    item.put_some(
        "u",
        Some(offset(delivery.updated_at))
            .filter(|offset| *offset != 0)
            .map(number),
    );
    item.put_some("na", delivery.state.next_attempt_at().map(time));
    let reason = delivery
        .state
        .reason()
        .filter(|_| delivery.status() != DeliveryStatus::Cancelled);
    item.put_some("re", reason.map(|reason| text(reason.as_str())));
    item.put_some("ex", delivery.state.is_exhausted().then(flag));
    if let Some(finished_at) = delivery.state.finished_at() {
        item.put_some(
            "fa",
            (finished_at != delivery.updated_at).then(|| time(finished_at)),
        );
        item.put(TTL, number(expiry_seconds(delivery)));
    }
    if let Some(Waiting {
        reason,
        expected_at,
    }) = delivery.waiting
    {
        let letter = WAITING_LETTERS
            .iter()
            .find(|(_, known)| *known == reason)
            .map_or("", |(letter, _)| letter);
        item.put(WAITING, text(letter));
        item.put_some("wa", expected_at.map(time));
    }
    if let Some(due_at) = super::due::due_at(delivery) {
        item.put(DUE.pk, text(keys::due_partition(delivery.id)));
        item.put(DUE.sk, time(due_at));
    }
    if ATTENTION.contains(&delivery.status()) {
        let (sort, shard) = (
            keys::delivery_sort(delivery.id),
            delivery.id.message.ulid().shard(),
        );
        item.put(
            ATTENTION_ORG.pk,
            text(keys::attention_org(
                delivery.organization,
                delivery.status(),
                shard,
            )),
        );
        item.put(ATTENTION_ORG.sk, text(&sort));
        item.put(
            ATTENTION_DST.pk,
            text(keys::attention_dst(
                delivery.destination,
                delivery.status(),
                shard,
            )),
        );
        item.put(ATTENTION_DST.sk, text(sort));
    } else if waits_in_index(delivery) {
        let shard = delivery.id.message.ulid().shard();
        item.put(
            ATTENTION_DST.pk,
            text(keys::attention_dst(
                delivery.destination,
                delivery.status(),
                shard,
            )),
        );
        item.put(ATTENTION_DST.sk, text(keys::delivery_sort(delivery.id)));
    }
    if let Some(kind) = TroubleKind::of(delivery.status()) {
        keys::put_trouble(&mut item, kind, keys::delivery_sort(delivery.id));
    }
    item
}

/// Whether the delivery is queued and waits long enough to be worth releasing. It is then in its
/// destination's index.
fn waits_in_index(delivery: &Delivery) -> bool {
    let Some(Waiting {
        reason,
        expected_at,
    }) = delivery.waiting
    else {
        return false;
    };
    let is_long = |at: Timestamp| at.since(delivery.updated_at) > RELEASED_AFTER;
    delivery.status() == DeliveryStatus::Queued
        && (reason == WaitingFor::Pause || expected_at.is_some_and(is_long))
}

/// Encodes the record of the last attempt, with the receipt.
pub(super) fn encode_record(delivery: &Delivery) -> Option<AttributeValue> {
    let tracking = delivery.state.receipt().map(Receipt::to_json);
    delivery
        .last_attempt
        .as_ref()
        .map(|attempt| binary(record::pack(delivery, attempt, tracking.as_ref())))
}

/// Returns when a finished delivery expires.
pub(crate) fn expiry_seconds(delivery: &Delivery) -> i64 {
    delivery.created_at.as_seconds() + i64::from(delivery.retention_days) * 86_400
}

fn kept_days(from: Reader<'_>) -> Result<u32, StoreError> {
    Ok(from.number_opt("rd")?.unwrap_or(RETENTION_DAYS))
}

/// Reads how many days the payload is kept.
pub(super) fn payload_days(from: Reader<'_>) -> Result<u32, StoreError> {
    from.number_opt("pd")?.map_or_else(|| kept_days(from), Ok)
}

/// Reads the delivery in an item.
pub(crate) fn decode(item: &Item) -> Result<Delivery, StoreError> {
    let from = Reader(item);
    let id = keys::delivery_of(from.text(SK)?)
        .ok_or_else(|| from.corrupt("its sort key names no delivery"))?;
    let organization = keys::organization_of(from.text(PK)?)
        .ok_or_else(|| from.corrupt("its partition names no organization"))?;
    let destination = keys::destination_of(from.text(BY_DESTINATION.pk)?)
        .ok_or_else(|| from.corrupt("its index key names no destination"))?;
    let created_at = id.message.ulid().time();
    let attempts = from.number(ATTEMPTS)?;
    let updated_at =
        Timestamp::from_millis(created_at.as_millis() + from.number_opt::<i64>("u")?.unwrap_or(0));
    let mut delivery = Delivery {
        id,
        organization,
        destination,
        destination_type: word_opt(from, "t")?.unwrap_or(DestinationType::Webhook),
        message: decode_message(from)?,
        fan_out: from.number_opt(FAN_OUT)?.unwrap_or(1),
        created_at,
        updated_at,
        generation: from.number(GENERATION)?,
        attempts,
        budget_start: from.number_opt("b")?.unwrap_or(0),
        trigger: word_opt(from, "tg")?.unwrap_or(default_trigger(attempts)),
        state: State::Queued,
        waiting: decode_waiting(from)?,
        fallback_of: decode_fallback(from)?,
        born_skipped: from.flag("bk")?,
        last_attempt: None,
        retention_days: kept_days(from)?,
        payload_retention_days: payload_days(from)?,
    };
    let record = from
        .binary_opt(RECORD)?
        .map(|packed| record::unpack(&delivery, packed))
        .transpose();
    let (attempt, tracking) = record
        .map_err(|error| from.corrupt(error.to_string()))?
        .unzip();
    delivery.last_attempt = attempt;
    delivery.state = decode_state(from, updated_at, tracking.flatten())?;
    Ok(delivery)
}

fn decode_waiting(from: Reader<'_>) -> Result<Option<Waiting>, StoreError> {
    let Some(letter) = from.text_opt(WAITING)? else {
        return Ok(None);
    };
    let known = WAITING_LETTERS
        .iter()
        .find(|(known, _)| *known == letter)
        .map(|(_, reason)| *reason);
    let reason = known.ok_or_else(|| from.corrupt(format!("a delivery waits for {letter}")))?;
    Ok(Some(Waiting {
        reason,
        expected_at: from.time_opt("wa")?,
    }))
}

fn decode_fallback(from: Reader<'_>) -> Result<Option<FallbackOf>, StoreError> {
    let Some(failed) = from.text_opt("fo")? else {
        return Ok(None);
    };
    let delivery = failed
        .parse()
        .map_err(|_| from.corrupt("fo names no delivery"))?;
    let reason = word_opt(from, "fr")?.ok_or_else(|| from.corrupt("fr is missing"))?;
    Ok(Some(FallbackOf { delivery, reason }))
}

fn decode_message(from: Reader<'_>) -> Result<MessageFacts, StoreError> {
    let event_type =
        EventType::parse(from.text("e")?).map_err(|error| from.corrupt(format!("e {error}")))?;
    let reference = match from.text_opt(BY_REFERENCE.pk)? {
        Some(partition) => keys::reference_of(partition),
        None => from.text_opt("r")?,
    };
    let sha256 = match from.binary_opt("h") {
        Ok(binary) => binary.map(hex::encode),
        Err(_) => Some(from.text("h")?.to_owned()),
    };
    let inline = super::payload::inline(from)?;
    let payload = PayloadInfo {
        size_bytes: match &inline {
            Some(bytes) => bytes.len() as u64,
            None => from.number("sz")?,
        },
        content_type: from.text_opt("ct")?.unwrap_or(JSON).to_owned(),
        filename: from.text_opt("fn")?.map(str::to_owned),
        sha256: sha256.or_else(|| inline.map(|bytes| super::payload::sha256(&bytes))),
    };
    let trace = from
        .binary_opt("tr")?
        .and_then(|bytes| bytes.try_into().ok())
        .map(TraceId::from_bytes);
    let trace = trace.ok_or_else(|| from.corrupt("tr is not a trace id of 16 bytes"))?;
    Ok(MessageFacts {
        event_type,
        reference: reference.map(str::to_owned),
        metadata: from.text_map("m")?,
        payload,
        expires_at: from.time_opt("x")?,
        trace,
        test: from.flag("te")?,
        status_callback: from.text_opt("cb")?.map(decode_callback),
    })
}

fn decode_state(
    from: Reader<'_>,
    updated_at: Timestamp,
    tracking: Option<Value>,
) -> Result<State, StoreError> {
    let receipt = tracking.map(serde_json::from_value::<Receipt>).transpose();
    let receipt = receipt.map_err(|error| from.corrupt(format!("the receipt: {error}")))?;
    let attempt_until = from.time_opt(LEASE)?;
    let letter = from.text(STATUS)?;
    let status = STATUSES
        .iter()
        .find(|(known, _)| *known == letter)
        .map(|(_, status)| *status);
    let reason: Option<Reason> = word_opt(from, "re")?;
    let must = |reason: Option<Reason>| reason.ok_or_else(|| from.corrupt("re is missing"));
    let finished_at = from.time_opt("fa")?.unwrap_or(updated_at);
    Ok(
        match status.ok_or_else(|| from.corrupt(format!("{letter} is no status")))? {
            DeliveryStatus::Queued => Pending::Queued.leased(attempt_until),
            DeliveryStatus::Retrying => Pending::Retrying {
                next_attempt_at: from.time("na")?,
                reason,
            }
            .leased(attempt_until),
            DeliveryStatus::Succeeded => State::Succeeded {
                finished_at,
                receipt,
            },
            DeliveryStatus::Failed => State::Failed {
                finished_at,
                reason: must(reason)?,
                exhausted: from.flag("ex")?,
                attempt_until,
            },
            DeliveryStatus::Skipped => {
                let reason = must(reason)?;
                let reason = SkipReason::of(reason)
                    .ok_or_else(|| from.corrupt(format!("a delivery is skipped for {reason}")))?;
                State::Skipped {
                    finished_at,
                    reason,
                    attempt_until,
                }
            }
            DeliveryStatus::Cancelled => State::Cancelled {
                finished_at,
                attempt_until,
            },
        },
    )
}

fn default_trigger(attempts: u32) -> domain::attempt::Trigger {
    if attempts == 0 {
        domain::attempt::Trigger::First
    } else {
        domain::attempt::Trigger::Retry
    }
}

/// Encodes a value of one of the domain's closed sets by its name in JSON.
fn word(value: &impl Serialize) -> AttributeValue {
    let value = serde_json::to_value(value).ok();
    text(
        value
            .as_ref()
            .and_then(Value::as_str)
            .expect("closed sets are written as their names"),
    )
}

fn word_opt<T: DeserializeOwned>(from: Reader<'_>, name: &str) -> Result<Option<T>, StoreError> {
    let Some(word) = from.text_opt(name)? else {
        return Ok(None);
    };
    serde_json::from_value(Value::from(word))
        .map(Some)
        .map_err(|error| from.corrupt(format!("{name}: {error}")))
}

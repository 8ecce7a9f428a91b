//! Reads a submission. Other modules decide where it goes and who may send it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::Timestamp;
use domain::event_type::EventType;
use domain::id::{DestinationId, Id as _};
use domain::input::{Errors, FieldCode, Fields, pointer_token};
use domain::limits::{
    FILENAME, MEDIA_TYPE, METADATA_KEY, METADATA_MAX, METADATA_VALUE_MAX, NAMED_DESTINATIONS_MAX,
    PAYLOAD_MAX_BYTES, REFERENCE, URL,
};
use domain::message::{PayloadInfo, StatusCallback};
use domain::settings::Address;
use domain::settings::webhook::is_header_value;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::elsewhere::{Unlocated, take_elsewhere, unknown_info};
use super::raw::RawMembers;
use super::sha256_hex;
use crate::Refusal;
use crate::destination::{Addresses, admit, refused};
use crate::idempotency::IdempotencyKey;

/// How far ahead `expires_at` may be.
const EXPIRY_MAX: Duration = Duration::from_secs(30 * 86_400);

/// The body of `POST /v1/messages`.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubmitMessage {
    /// The event type: segments of letters, digits, `_`, `:`, `/` and `-`, joined by dots.
    /// `waybill.*` is reserved.
    #[schema(example = "report.ready")]
    pub event_type: String,
    /// Any JSON value, null too, of at most 1 MiB: delivered byte for byte as sent. Exactly one of
    /// `payload`, `content`, `upload_id` and `source`.
    #[schema(value_type = Option<Value>)]
    pub payload: Option<Value>,
    /// Anything else, of at most 1 MiB. Exactly one of `payload`, `content`, `upload_id` and
    /// `source`.
    pub content: Option<Content>,
    /// An upload of the organization's own: `POST /v1/uploads`.
    #[schema(example = "upl_01kavd83802s63efghp3q1cpj4")]
    pub upload_id: Option<String>,
    /// An object of a bucket that was granted to the organization, or that a role of its own may
    /// read: `{"s3": {"bucket", "key", "version_id?", "role_arn?"}}`.
    #[schema(value_type = Option<Object>)]
    pub source: Option<Value>,
    /// The destinations. Default: those of the organization's settings and every enabled
    /// destination that subscribes to the event type.
    pub destination_ids: Option<Vec<String>>,
    /// Your own reference, used to find the message.
    pub reference: Option<String>,
    /// The customer's own labels: at most 20, names of 64 and values of 512 characters.
    pub metadata: Option<BTreeMap<String, String>>,
    /// The time from which the message is no longer delivered, at most 30 days ahead.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Where status updates of the message are sent, in addition to the destinations in the
    /// organization's settings: `{"destination_id"}`, or `{"url"}`, which gets requests signed with
    /// the organization's status secret (`POST /v1/organization/rotate-status-secret`).
    #[schema(value_type = Option<Object>, example = json!({"url": "https://example.com/status"}))]
    pub status_callback: Option<Value>,
}

/// A payload of any media type, in base64.
#[derive(Debug, Serialize, ToSchema)]
pub struct Content {
    /// The bytes, in base64 with padding.
    pub base64: String,
    /// The media type of the content.
    #[schema(example = "text/csv")]
    pub content_type: String,
    /// The file name, for destinations that write files or attach them.
    #[schema(example = "report.csv")]
    pub filename: Option<String>,
}

/// The body of `POST /v1/messages/batch`.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubmitBatch {
    /// The messages. Each is accepted or refused independently.
    pub messages: Vec<BatchMessage>,
}

/// One message of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchMessage {
    /// The message.
    #[serde(flatten)]
    pub message: SubmitMessage,
    /// An idempotency key for this message alone, with the same effect as the `Idempotency-Key`
    /// header.
    pub idempotency_key: Option<String>,
}

/// A submission as it was read from the request.
#[derive(Clone, Debug)]
pub(crate) struct MessageInput {
    pub(crate) event_type: EventType,
    pub(crate) payload: store::Content,
    /// The payload that has not been looked up yet, if it is stored elsewhere.
    pub(crate) unlocated: Option<Unlocated>,
    pub(crate) info: PayloadInfo,
    pub(crate) named: Option<Vec<DestinationId>>,
    pub(crate) reference: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) status_callback: Option<StatusCallback>,
    /// The key of a message in a batch.
    pub(crate) idempotency_key: Option<IdempotencyKey>,
}

/// Reads a submission that arrives at `now`. If it is `in_batch`, it may have an idempotency key of
/// its own.
pub(crate) fn read_message(
    json: &Bytes,
    now: Timestamp,
    addresses: &Addresses<'_>,
    in_batch: bool,
) -> Result<MessageInput, Refusal> {
    let mut members = RawMembers::parse(json)?;
    let payload = members.take_payload()?;
    let mut too_large = false;
    let input = members.read(Errors::default(), payload.as_ref(), |fields| {
        let event_type = take_event_type(fields);
        let content = take_content(fields, &mut too_large);
        let elsewhere = take_elsewhere(fields);
        let named = [
            payload.is_some().then_some("payload"),
            content.is_some().then_some("content"),
            elsewhere.as_ref().map(|(name, _)| *name),
        ];
        let payload = match (payload.clone(), content, elsewhere) {
            (None, None, None) => {
                fields.refuse(
                    "payload",
                    FieldCode::Required,
                    "exactly one of payload, content, upload_id and source is required",
                );
                None
            }
            (Some(raw), None, None) => Some((
                json_info(&raw.bytes),
                store::Content::Bytes(raw.bytes),
                None,
            )),
            (None, Some(content), None) => {
                content.map(|(info, bytes)| (info, store::Content::Bytes(bytes), None))
            }
            (None, None, Some((_, unlocated))) => unlocated.map(|unlocated| {
                (
                    unknown_info(),
                    store::Content::Bytes(Bytes::new()),
                    Some(unlocated),
                )
            }),
            _ => {
                let last = named.into_iter().flatten().last().unwrap_or("payload");
                fields.refuse(
                    last,
                    FieldCode::Conflict,
                    "exactly one of payload, content, upload_id and source is accepted",
                );
                None
            }
        };
        let named = take_destinations(fields);
        let reference = fields.text("reference", REFERENCE);
        let metadata = take_metadata(fields);
        let expires_at = take_expiry(fields, now);
        let status_callback = take_callback(fields, addresses);
        let idempotency_key = if in_batch {
            fields.parsed("idempotency_key", IdempotencyKey::parse)
        } else {
            None
        };
        let (info, payload, unlocated) = payload?;
        Some(MessageInput {
            event_type: event_type?,
            payload,
            unlocated,
            info,
            named,
            reference,
            metadata,
            expires_at,
            status_callback,
            idempotency_key,
        })
    });
    if too_large {
        Err(Refusal::too_large(format!(
            "content has at most {PAYLOAD_MAX_BYTES} bytes"
        )))
    } else {
        input
    }
}

fn json_info(payload: &[u8]) -> PayloadInfo {
    PayloadInfo {
        size_bytes: payload.len() as u64,
        content_type: "application/json".to_owned(),
        filename: None,
        sha256: Some(sha256_hex(payload)),
    }
}

fn take_event_type(fields: &mut Fields<'_>) -> Option<EventType> {
    let given = fields.given("event_type");
    let event_type = fields.parsed("event_type", EventType::parse);
    let event_type = fields.require("event_type", given, event_type);
    if event_type.as_ref().is_some_and(EventType::is_reserved) {
        fields.refuse(
            "event_type",
            FieldCode::Reserved,
            "types that begin with waybill. are Waybill's own",
        );
    }
    event_type
}

/// Takes `content`. Returns `None` if it is not given, `Some(None)` if it is invalid and its
/// mistakes have been recorded, or else its description and its bytes.
fn take_content(
    fields: &mut Fields<'_>,
    too_large: &mut bool,
) -> Option<Option<(PayloadInfo, Bytes)>> {
    if !fields.given("content") {
        return None;
    }
    let read = fields.object("content", |inner| {
        let bytes = take_base64(inner, too_large);
        let content_type = inner.required_text("content_type", MEDIA_TYPE);
        let is_plausible = |text: &str| {
            text.split_once('/')
                .is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
        };
        inner.check_format(
            "content_type",
            content_type.as_deref(),
            |text| is_plausible(text) && is_header_value(text),
            "must be a media type, such as text/csv",
        );
        let filename = inner.name("filename", FILENAME);
        let bytes = bytes?;
        let info = PayloadInfo {
            size_bytes: bytes.len() as u64,
            content_type: content_type?,
            filename,
            sha256: Some(sha256_hex(&bytes)),
        };
        Some((info, bytes))
    });
    Some(read.flatten())
}

fn take_base64(fields: &mut Fields<'_>, too_large: &mut bool) -> Option<Bytes> {
    let Some(value) = fields.take("base64") else {
        fields.refuse("base64", FieldCode::Required, "base64 is required");
        return None;
    };
    let Value::String(text) = value else {
        fields.refuse("base64", FieldCode::InvalidType, "must be a string");
        return None;
    };
    match STANDARD.decode(text) {
        Ok(bytes) => {
            *too_large |= bytes.len() > PAYLOAD_MAX_BYTES;
            Some(Bytes::from(bytes))
        }
        Err(_) => {
            fields.refuse(
                "base64",
                FieldCode::InvalidFormat,
                "must be base64 with padding",
            );
            None
        }
    }
}

fn take_destinations(fields: &mut Fields<'_>) -> Option<Vec<DestinationId>> {
    let named: Vec<DestinationId> = fields.parsed_list(
        "destination_ids",
        NAMED_DESTINATIONS_MAX,
        DestinationId::from_client,
    )?;
    if named.is_empty() {
        fields.refuse(
            "destination_ids",
            FieldCode::TooShort,
            "must name at least one destination; leave it out for the defaults",
        );
    }
    Some(named)
}

fn take_metadata(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(members) = fields.members("metadata") else {
        return BTreeMap::new();
    };
    if members.len() > METADATA_MAX {
        fields.refuse(
            "metadata",
            FieldCode::TooLong,
            format!("must have at most {METADATA_MAX} members"),
        );
        return BTreeMap::new();
    }
    let errors = fields.errors();
    let mut metadata = BTreeMap::new();
    for (key, value) in members {
        let pointer = format!("/metadata/{}", pointer_token(&key));
        match value {
            _ if !METADATA_KEY.contains(&key.chars().count()) => {
                let detail = format!(
                    "a name has {} to {} characters",
                    METADATA_KEY.start(),
                    METADATA_KEY.end()
                );
                errors.add(pointer, FieldCode::TooLong, detail);
            }
            Value::String(text) if text.chars().count() > METADATA_VALUE_MAX => {
                errors.add(
                    pointer,
                    FieldCode::TooLong,
                    format!("must have at most {METADATA_VALUE_MAX} characters"),
                );
            }
            Value::String(text) => {
                metadata.insert(key, text);
            }
            _ => errors.add(pointer, FieldCode::InvalidType, "must be a string"),
        }
    }
    metadata
}

fn take_expiry(fields: &mut Fields<'_>, now: Timestamp) -> Option<Timestamp> {
    let expires_at = fields.parsed("expires_at", Timestamp::parse)?;
    if expires_at <= now || expires_at > now.plus(EXPIRY_MAX) {
        fields.refuse(
            "expires_at",
            FieldCode::OutOfRange,
            "must be in the future, at most 30 days ahead",
        );
    }
    Some(expires_at)
}

/// Takes `status_callback`: a destination of the organization, or a URL.
fn take_callback(fields: &mut Fields<'_>, addresses: &Addresses<'_>) -> Option<StatusCallback> {
    let callback = fields.object("status_callback", |inner| {
        let (by_id, by_url) = (inner.given("destination_id"), inner.given("url"));
        let destination = inner.parsed("destination_id", DestinationId::from_client);
        let url = inner.text("url", URL);
        if let Some(Err(refusal)) = url
            .as_deref()
            .map(|url| admit(Address::Url(url), addresses))
        {
            inner.refuse("url", refused(&refusal), refusal.to_string());
        }
        match (by_id, by_url) {
            (true, true) => {
                inner.refuse("url", FieldCode::Conflict, "either destination_id or url")
            }
            (false, false) => inner.refuse(
                "url",
                FieldCode::Required,
                "destination_id or url is required",
            ),
            _ => {}
        }
        destination
            .map(StatusCallback::DestinationId)
            .or(url.map(StatusCallback::Url))
    });
    callback.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000)
    }

    fn read(body: Value) -> Result<MessageInput, Refusal> {
        read_message(
            &Bytes::from(body.to_string()),
            now(),
            &Addresses {
                policy: &egress::Policy::public(),
                plain_http: false,
                account_id: "000000000000",
            },
            false,
        )
    }

    fn mistakes(body: Value) -> Vec<(String, FieldCode)> {
        read(body)
            .unwrap_err()
            .errors
            .into_iter()
            .map(|error| (error.pointer.unwrap(), error.code))
            .collect()
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let found = mistakes(json!({
            "event_type": "waybill.x", "destination_ids": ["dst_nope"], "metadata": {"k": 1},
            "expires_at": "2020-01-01T00:00:00Z",
            "reference": "", "colour": "red",
        }));
        let expected = [
            ("/event_type", FieldCode::Reserved),
            ("/payload", FieldCode::Required),
            ("/destination_ids/0", FieldCode::InvalidFormat),
            ("/reference", FieldCode::TooShort),
            ("/metadata/k", FieldCode::InvalidType),
            ("/expires_at", FieldCode::OutOfRange),
            ("/colour", FieldCode::UnknownField),
        ];
        assert_eq!(
            found,
            expected.map(|(pointer, code)| (pointer.to_owned(), code))
        );
    }

    #[test]
    fn a_callback_is_a_destination_or_an_address_that_may_be_reached() {
        let found = |callback: Value| {
            mistakes(json!({"event_type": "a", "payload": 1, "status_callback": callback}))
        };
        let at = |name: &str, code| vec![(format!("/status_callback/{name}"), code)];
        assert_eq!(found(json!({})), at("url", FieldCode::Required));
        assert_eq!(
            found(json!({"url": "https://169.254.169.254/"})),
            at("url", FieldCode::BlockedAddress)
        );
        assert_eq!(
            found(json!({"url": "ftp://example.com"})),
            at("url", FieldCode::InvalidFormat)
        );
        assert_eq!(
            found(json!({"url": "https://example.com",
                    "destination_id": "dst_01kavd83802s63efghp3q1cpj4"})),
            at("url", FieldCode::Conflict)
        );
        assert_eq!(found(json!({"email": "a"})).len(), 2);
    }

    #[test]
    fn exactly_one_of_payload_and_content() {
        let content = json!({"base64": "aGk=", "content_type": "text/plain"});
        let both = mistakes(json!({"event_type": "a", "payload": 1, "content": content}));
        assert_eq!(both, [("/content".to_owned(), FieldCode::Conflict)]);
        let input = read(json!({"event_type": "a", "content": content})).unwrap();
        assert_eq!(
            (input.payload, input.info.size_bytes),
            (store::Content::Bytes(Bytes::from_static(b"hi")), 2)
        );
        let null = read(json!({"event_type": "a", "payload": null})).unwrap();
        assert_eq!(
            null.payload,
            store::Content::Bytes(Bytes::from_static(b"null"))
        );
    }

    #[test]
    fn content_of_one_mebibyte_is_accepted_and_a_byte_more_is_not() {
        let content = |bytes: usize| {
            json!({"event_type": "a",
            "content": {"base64": STANDARD.encode(vec![7; bytes]), "content_type": "a/b"}})
        };
        assert_eq!(
            read(content(PAYLOAD_MAX_BYTES)).unwrap().info.size_bytes,
            1_048_576
        );
        assert_eq!(
            read(content(PAYLOAD_MAX_BYTES + 1)).unwrap_err().status(),
            413
        );
        assert_eq!(read(content(0)).unwrap().info.size_bytes, 0);
    }

    #[test]
    fn no_named_destination_is_a_mistake() {
        assert_eq!(
            mistakes(json!({"event_type": "a", "payload": 1, "destination_ids": []})),
            [("/destination_ids".to_owned(), FieldCode::TooShort)]
        );
        let many: Vec<String> = (0..101)
            .map(|_| "dst_01kavd83802s63efghp3q1cpj4".to_owned())
            .collect();
        assert_eq!(
            mistakes(json!({"event_type": "a", "payload": 1, "destination_ids": many})),
            [("/destination_ids".to_owned(), FieldCode::TooLong)]
        );
    }
}

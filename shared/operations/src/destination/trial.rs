//! Tests destinations. A test is an ordinary message for one destination, with one attempt, which
//! no counter or statistic includes.

use bytes::Bytes;
use dispatch::Target;
use domain::event_type::EventType;
use domain::id::MessageId;
use domain::input::{Errors, FieldCode, Fields};
use domain::message::{MessageFacts, PayloadInfo};
use domain::role::Permission;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::body::read_members;
use crate::message::{RawMembers, RawPayload, accepted_at, not_suspended, sha256_hex};
use crate::organization::no_parameters;
use crate::quota::Limited;
use crate::view::message::MessageView;
use crate::{Body, Context, Input, Operations, Query, Refusal};

const TEST_EVENT_TYPE: &str = "waybill.test";
const TEST_PAYLOAD: &[u8] =
    br#"{"type":"waybill.test","message":"This is a test delivery from Waybill."}"#;

/// The body of `POST /v1/destinations/{id}/test`.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestDestination {
    /// The event type of the test message.
    #[schema(default = "waybill.test")]
    pub event_type: Option<String>,
    /// The payload of the test message: any JSON value.
    #[schema(value_type = Option<serde_json::Value>)]
    pub payload: Option<serde_json::Value>,
}

/// A test message to send. Its payload is kept as the bytes that were sent or typed.
#[derive(Debug)]
pub struct TestMessage {
    event_type: EventType,
    payload: Option<Bytes>,
}

impl TestMessage {
    /// Creates a test message from the event type and the JSON that a person typed. What was left
    /// out has a default.
    pub fn typed(event_type: Option<&str>, payload: Option<&str>) -> Result<Self, Refusal> {
        let errors = Errors::default();
        let members = event_type.map(|text| ("event_type".to_owned(), text.into()));
        let payload = match payload {
            Some(text) => Some(RawPayload::new(Bytes::copy_from_slice(text.as_bytes()))?),
            None => None,
        };
        if let Some(payload) = &payload {
            if let Err(error) = serde_json::from_slice::<&RawValue>(&payload.bytes) {
                let detail = format!("is not JSON: {error}");
                errors.add("/payload", FieldCode::InvalidFormat, detail);
            }
            payload.check_depth(&errors);
        }
        let event_type = read_members(members.into_iter().collect(), errors, read_event_type)?;
        Ok(Self {
            event_type,
            payload: payload.map(|raw| raw.bytes),
        })
    }

    fn read(query: Query, body: Body) -> Result<Self, Refusal> {
        let json = body.bytes()?;
        let mut members = if json.iter().all(u8::is_ascii_whitespace) {
            RawMembers::default()
        } else {
            RawMembers::parse(&json)?
        };
        no_parameters(query)?;
        let payload = members.take_payload()?;
        let event_type = members.read(Errors::default(), payload.as_ref(), read_event_type)?;
        Ok(Self {
            event_type,
            payload: payload.map(|raw| raw.bytes),
        })
    }
}

/// Reads the event type of a test. Without one, it is [`TEST_EVENT_TYPE`].
fn read_event_type(fields: &mut Fields<'_>) -> Option<EventType> {
    let given = fields.given("event_type");
    let event_type = fields.parsed("event_type", EventType::parse);
    if event_type
        .as_ref()
        .is_some_and(|kind| kind.is_reserved() && kind.as_str() != TEST_EVENT_TYPE)
    {
        fields.refuse(
            "event_type",
            FieldCode::Reserved,
            "types that begin with waybill. are Waybill's own",
        );
    }
    if given {
        event_type
    } else {
        EventType::parse(TEST_EVENT_TYPE).ok()
    }
}

impl Operations {
    /// `POST /v1/destinations/{id}/test`: sends a test message to one destination.
    pub async fn test_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<TestMessage>,
    ) -> Result<MessageView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let routes = self
            .store
            .routes(organization)
            .await?
            .ok_or_else(Refusal::not_found)?;
        not_suspended(routes.status)?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let TestMessage {
            event_type,
            payload,
        } = input.read_with(TestMessage::read)?;
        self.limit(organization, Limited::Test).await?;
        let payload = payload.unwrap_or(Bytes::from_static(TEST_PAYLOAD));
        let info = PayloadInfo {
            size_bytes: payload.len() as u64,
            content_type: "application/json".to_owned(),
            filename: None,
            sha256: Some(sha256_hex(&payload)),
        };
        let facts = MessageFacts {
            event_type,
            reference: None,
            metadata: Default::default(),
            payload: info,
            expires_at: None,
            trace: ctx.trace,
            test: true,
            status_callback: None,
        };
        let message: MessageId = ctx.reserved.map_or_else(
            || self.ids.mint(organization, routes.shards),
            MessageId::from,
        );
        let submission = dispatch::Submission {
            organization,
            message,
            facts,
            targets: vec![Target {
                destination: destination.id,
                kind: destination.kind(),
                enabled: destination.takes_deliveries(),
            }],
            payload: store::Content::Bytes(payload),
            retention_days: routes.settings.retention_days,
            payload_retention_days: routes.settings.payload_retention_days,
            accepted_at: accepted_at(message),
        };
        let deliveries = self.dispatch.submit(&submission).await?;
        let event = self.event(
            ctx,
            organization,
            "destination.tested",
            destination.id,
            Vec::new(),
        );
        self.record_made(&event).await;
        Ok(self.message_view(ctx, &deliveries, &crate::view::delivery::Pauses::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_payload_is_sent_as_it_was_typed() {
        let typed = TestMessage::typed(None, Some("{\"b\": 1.50,\n \"a\": 1e3}")).unwrap();
        assert_eq!(typed.payload.unwrap(), "{\"b\": 1.50,\n \"a\": 1e3}");
        assert_eq!(typed.event_type.as_str(), TEST_EVENT_TYPE);
    }

    #[test]
    fn every_mistake_in_a_typed_test_is_shown_at_its_field() {
        let refusal = TestMessage::typed(Some("waybill.own"), Some("{\"a\": }")).unwrap_err();
        let found: Vec<_> = refusal
            .errors
            .iter()
            .map(|error| (error.pointer.as_deref().unwrap_or_default(), error.code))
            .collect();
        assert_eq!(
            found,
            [
                ("/payload", FieldCode::InvalidFormat),
                ("/event_type", FieldCode::Reserved)
            ]
        );
    }
}

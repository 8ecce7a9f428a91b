//! Tests destinations. A test is an ordinary message for one destination, with one attempt, which
//! no counter or statistic includes.

use bytes::Bytes;
use dispatch::Target;
use domain::event_type::EventType;
use domain::id::MessageId;
use domain::input::{Errors, FieldCode};
use domain::message::{MessageFacts, PayloadInfo};
use domain::role::Permission;

use crate::message::{RawMembers, accepted_at, not_suspended, sha256_hex};
use crate::organization::no_parameters;
use crate::quota::Limited;
use crate::view::message::MessageView;
use crate::{Body, Context, Operations, Query, Refusal};

const TEST_EVENT_TYPE: &str = "waybill.test";
const TEST_PAYLOAD: &[u8] =
    br#"{"type":"waybill.test","message":"This is a test delivery from Waybill."}"#;

impl Operations {
    /// `POST /v1/destinations/{id}/test`: sends a test message to one destination.
    pub async fn test_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
        body: Body,
    ) -> Result<MessageView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let routes = self
            .store
            .routes(organization)
            .await?
            .ok_or_else(Refusal::not_found)?;
        not_suspended(routes.status)?;
        let destination = self.own_destination(ctx, organization, id).await?;
        let body = body.bytes()?;
        let empty = body.iter().all(u8::is_ascii_whitespace);
        let mut members = if empty {
            RawMembers::default()
        } else {
            RawMembers::parse(&body)?
        };
        no_parameters(query)?;
        let payload = members.take_payload()?;
        let errors = Errors::default();
        let event_type = members.read(errors, payload.as_ref(), |fields| {
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
        })?;
        self.limit(organization, Limited::Test).await?;
        let payload = payload.map_or(Bytes::from_static(TEST_PAYLOAD), |raw| raw.bytes);
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

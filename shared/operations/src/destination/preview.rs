//! A preview: what a destination would receive of a sample, without sending anything.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::input::{Errors, FieldCode, Fields};
use domain::role::Permission;
use domain::settings::{DestinationType, Settings};
use render::{Fault, PAYLOAD_READ_BYTES_MAX, Wording};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::input::read_settings;
use crate::body::read_members;
use crate::organization::no_parameters;
use crate::quota::Limited;
use crate::words::DestinationTypeName;
use crate::{Body, Context, Operations, Query, Refusal};

/// The body of `POST /v1/destinations/preview`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewDestination {
    /// Its type.
    #[serde(rename = "type")]
    #[schema(value_type = DestinationTypeName)]
    pub kind: String,
    /// Its settings.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// What would be sent: `event_type`, `payload`, `reference`, `metadata`, `filename`, `content_type`; all of them optional.
    #[schema(value_type = Option<Object>)]
    pub sample: Option<Value>,
}

struct Draft {
    settings: Settings,
    wording: Wording,
    payload: Bytes,
}

impl Operations {
    /// `POST /v1/destinations/preview`.
    pub async fn preview_destination(&self, ctx: &Context, mut query: Query, body: Body) -> Result<Value, Refusal> {
        let organization = self.enter(ctx, Permission::ManageDestinations, &mut query).await?;
        let members = body.object()?;
        no_parameters(query)?;
        let (id, now) = (organization.to_string(), self.clock.now().to_string());
        let draft = read_members(members, Errors::default(), |fields| {
            let given = fields.given("type");
            let kind = fields.choice("type", DestinationType::ALL);
            let kind = fields.require("type", given, kind);
            let settings = read_settings(fields, kind, None, &self.addresses());
            let wording = take_sample(fields, &id, &now);
            let payload = wording.payload.clone().unwrap_or_else(|| json!({"sample": true})).to_string().into();
            Some(Draft { settings: settings?, wording, payload })
        });
        let draft = self.noted(ctx, organization, draft.map_err(Refusal::from)).await?;
        self.limit(organization, Limited::Preview).await?;
        rendered(&draft).map_err(|fault| {
            let pointer = format!("/settings/{}", fault.name);
            Refusal::invalid(vec![domain::input::FieldError::at(pointer, FieldCode::InvalidValue, fault.detail)])
        })
    }
}

/// A sample with what its sender left out.
fn take_sample(fields: &mut Fields<'_>, organization_id: &str, now: &str) -> Wording {
    let sample = fields.object("sample", |sample| {
        let payload = sample.take("payload");
        if payload.as_ref().is_some_and(|payload| payload.to_string().len() > PAYLOAD_READ_BYTES_MAX) {
            sample.refuse("payload", FieldCode::TooLong, "must have at most 1 MiB");
        }
        let metadata = sample.members("metadata").unwrap_or_default();
        let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
        (
            sample.text("event_type", 1..=128),
            payload,
            sample.text("reference", 1..=255),
            metadata.into_iter().filter_map(text).collect::<BTreeMap<_, _>>(),
            sample.text("filename", 1..=255),
            sample.text("content_type", 1..=255),
        )
    });
    let (event_type, payload, reference, metadata, filename, content_type) = sample.unwrap_or_default();
    Wording {
        organization_id: organization_id.to_owned(),
        event_type: event_type.unwrap_or_else(|| "report.ready".to_owned()),
        message_id: "msg_00000000000000000000000000".to_owned(),
        delivery_id: "dlv_00000000000000000000000000_00".to_owned(),
        reference,
        metadata,
        filename,
        content_type: content_type.unwrap_or_else(|| "application/json".to_owned()),
        created_at: now.to_owned(),
        attempt: 1,
        payload: Some(payload.unwrap_or_else(|| json!({"sample": true}))),
    }
}

fn rendered(draft: &Draft) -> Result<Value, Fault> {
    let Draft { settings, wording, payload } = draft;
    match settings {
        Settings::Webhook(webhook) => {
            let body = render::webhook::body(webhook, wording, payload.clone(), "…")?;
            let mut headers: Map<String, Value> =
                webhook.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            headers.insert("content-type".to_owned(), body.content_type.into());
            headers.insert("waybill-event-type".to_owned(), wording.event_type.as_str().into());
            Ok(json!({"method": webhook.method.as_str(), "headers": headers, "body": String::from_utf8_lossy(&body.bytes)}))
        }
        Settings::Email(email) => {
            let mail = render::mail::mail(email, wording, None)?;
            Ok(json!({"subject": mail.subject, "text": mail.text, "html": mail.html}))
        }
        Settings::S3(bucket) => Ok(json!({"key": render::line::key(&bucket.object, wording)?})),
        Settings::Gcs(bucket) => Ok(json!({"key": render::line::key(&bucket.object, wording)?})),
        Settings::AzureBlob(container) => Ok(json!({"key": render::line::key(&container.object, wording)?})),
        Settings::Sftp(sftp) => {
            let (directory, filename) = render::line::file(sftp, wording)?;
            Ok(json!({"directory": directory, "filename": filename}))
        }
        Settings::Postgres(database) | Settings::Mysql(database) => {
            Ok(json!({"table": database.table, "mode": database.mode, "body": String::from_utf8_lossy(payload)}))
        }
    }
}

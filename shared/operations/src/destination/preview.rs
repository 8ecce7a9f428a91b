//! Previews: what a destination would receive for a sample message. Nothing is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use domain::event_type::EVENT_TYPE;
use domain::id::OrganizationId;
use domain::input::{Errors, FieldCode, Fields, parse_value};
use domain::limits::{FILENAME, MEDIA_TYPE, PAYLOAD_DEPTH_MAX, REFERENCE};
use domain::role::Permission;
use domain::settings::email::Attach;
use domain::settings::{DestinationType, Settings};
use render::mail::Link;
use render::{Fault, PAYLOAD_READ_BYTES_MAX, Stop, TemplateValues};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::input::read_settings;
use super::off_thread;
use crate::body::{Source, read_members};
use crate::message::raw::{RawMembers, depth};
use crate::organization::no_parameters;
use crate::quota::Limited;
use crate::words::DestinationTypeName;
use crate::{Body, Context, Input, Operations, Query, Refusal};

/// The link that a preview shows in place of a link to the payload.
const SAMPLE_LINK: &str = "https://waybill.example/d/sample";
/// The number of previews that a process renders at the same time.
const CONCURRENCY: usize = 2;
/// How long a preview waits for its turn before it is refused.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// The payload of a sample that has none.
const DEFAULT_PAYLOAD: &[u8] = br#"{"sample":true}"#;

static RENDERS: Semaphore = Semaphore::const_new(CONCURRENCY);

/// The body of `POST /v1/destinations/preview`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewDestination {
    /// The type of the destination, which decides its settings and credentials.
    #[serde(rename = "type")]
    #[schema(value_type = DestinationTypeName)]
    pub kind: String,
    /// Its settings.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// What would be sent: `event_type`, `payload`, `reference`, `metadata`, `filename`,
    /// `content_type`; all of them optional.
    #[schema(value_type = Option<Object>)]
    pub sample: Option<Value>,
}

/// A destination and a sample, of which a preview is made.
#[derive(Debug)]
pub struct PreviewToRender {
    settings: Settings,
    template_values: TemplateValues,
    payload: Bytes,
}

impl Operations {
    /// `POST /v1/destinations/preview`: returns what a destination with these settings would
    /// receive.
    pub async fn preview_destination(
        &self,
        ctx: &Context,
        mut input: Input<PreviewToRender>,
    ) -> Result<Value, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let read = async |query, body| self.read_preview(ctx, organization, query, body).await;
        let preview = input.read_async(read).await?;
        let late = |_| Refusal::rate_limited(1);
        let permit = timeout(WAIT_MAX, RENDERS.acquire()).await.map_err(late)?;
        let _permit = permit.map_err(Refusal::internal)?;
        self.limit(organization, Limited::Preview).await?;
        render::off_thread(organization.to_string(), None, move |stop| {
            rendered(&preview, stop)
        })
        .await
        .map_err(|fault| {
            if fault.is_ours {
                return Refusal::rate_limited(1);
            }
            let pointer = format!("/settings/{}", fault.name);
            Refusal::invalid(vec![domain::input::FieldError::at(
                pointer,
                FieldCode::InvalidValue,
                fault.detail,
            )])
        })
    }
}

impl Operations {
    /// Reads a preview on a thread that serves no requests, because compiling its templates takes
    /// time.
    async fn read_preview(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        query: Query,
        body: Body,
    ) -> Result<PreviewToRender, Refusal> {
        let (members, payload) = match body.source()? {
            Source::Bytes(json) => split(&json)?,
            Source::Form(fields) => (fields, Bytes::from_static(DEFAULT_PAYLOAD)),
        };
        no_parameters(query)?;
        let (id, now) = (organization.to_string(), self.clock.now().to_string());
        let operations = self.clone();
        let read = off_thread(move || {
            read_members(members, Errors::default(), |fields| {
                let given = fields.given("type");
                let kind = fields.choice("type", DestinationType::ALL);
                let kind = fields.require("type", given, kind);
                let settings = read_settings(fields, kind, None, &operations.addresses());
                let template_values = take_sample(fields, &id, &now, &payload);
                Some(PreviewToRender {
                    settings: settings?,
                    template_values,
                    payload,
                })
            })
        });
        let read = read.await?.map_err(Refusal::invalid);
        self.recording_blocked_addresses(ctx, organization, read)
            .await
    }
}

/// Returns the members of a request without the payload of its sample, and that payload as the
/// bytes that were sent.
fn split(json: &Bytes) -> Result<(Map<String, Value>, Bytes), Refusal> {
    let mut members = RawMembers::parse(json)?;
    let mut payload = None;
    let sample = match members.take("sample") {
        None => None,
        // A sample that is not an object is refused together with the other fields.
        Some(sample) if !sample.starts_with(b"{") => Some(parse_value(&sample)?),
        Some(sample) => {
            let mut inner = RawMembers::parse(&sample)?;
            payload = inner.take("payload");
            Some(inner.into_members()?.into())
        }
    };
    let mut members = members.into_members()?;
    if let Some(sample) = sample {
        members.insert("sample".to_owned(), sample);
    }
    let payload = payload.unwrap_or(Bytes::from_static(DEFAULT_PAYLOAD));
    Ok((members, payload))
}

/// Takes the sample, with defaults for what is left out.
fn take_sample(
    fields: &mut Fields<'_>,
    organization_id: &str,
    now: &str,
    payload: &Bytes,
) -> TemplateValues {
    let sample = fields.object("sample", |sample| {
        if payload.len() > PAYLOAD_READ_BYTES_MAX {
            sample.refuse("payload", FieldCode::TooLong, "must have at most 1 MiB");
        } else if depth(payload) > PAYLOAD_DEPTH_MAX {
            sample.refuse(
                "payload",
                FieldCode::TooDeep,
                format!("must not nest deeper than {PAYLOAD_DEPTH_MAX} levels"),
            );
        }
        let metadata = sample.members("metadata").unwrap_or_default();
        let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
        (
            sample.text("event_type", EVENT_TYPE),
            sample.text("reference", REFERENCE),
            metadata
                .into_iter()
                .filter_map(text)
                .collect::<BTreeMap<_, _>>(),
            sample.text("filename", FILENAME),
            sample.text("content_type", MEDIA_TYPE),
        )
    });
    let (event_type, reference, metadata, filename, content_type) = sample.unwrap_or_default();
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    TemplateValues {
        organization_id: organization_id.to_owned(),
        event_type: event_type.unwrap_or_else(|| "report.ready".to_owned()),
        message_id: "msg_00000000000000000000000000".to_owned(),
        delivery_id: "dlv_00000000000000000000000000_00".to_owned(),
        reference,
        metadata,
        filename,
        payload: render::payload_of(&content_type, payload.len() as u64, Some(payload)),
        content_type,
        created_at: now.to_owned(),
        attempt: 1,
        failed_delivery_id: None,
        reason: None,
    }
}

fn rendered(preview: &PreviewToRender, stop: &Stop) -> Result<Value, Fault> {
    let PreviewToRender {
        settings,
        template_values,
        payload,
    } = preview;
    match settings {
        Settings::Webhook(webhook) => {
            let body = render::webhook::body(webhook, template_values, payload.clone(), "…", stop)?;
            let mut headers: Map<String, Value> = webhook
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            headers.insert("content-type".to_owned(), body.content_type.into());
            headers.insert(
                "waybill-event-type".to_owned(),
                template_values.event_type.as_str().into(),
            );
            Ok(
                json!({"method": webhook.method.as_str(), "headers": headers,
                    "body": String::from_utf8_lossy(&body.bytes)}),
            )
        }
        Settings::Email(email) => {
            // The delivery is not known here, so the link is a sample. A large payload becomes a
            // link when it is delivered.
            let link = Link {
                url: SAMPLE_LINK,
                is_required: email.attach == Attach::Never,
            };
            let mail = render::mail::mail(email, template_values, Some(link), stop)?;
            Ok(json!({"subject": mail.subject, "text": mail.text, "html": mail.html}))
        }
        Settings::S3(bucket) => {
            Ok(json!({"key": render::line::key(&bucket.object, template_values, stop)?}))
        }
        Settings::Gcs(bucket) => {
            Ok(json!({"key": render::line::key(&bucket.object, template_values, stop)?}))
        }
        Settings::AzureBlob(container) => {
            Ok(json!({"key": render::line::key(&container.object, template_values, stop)?}))
        }
        Settings::Sftp(sftp) => {
            let (directory, filename) = render::line::file(sftp, template_values, stop)?;
            Ok(json!({"directory": directory, "filename": filename}))
        }
        Settings::Postgres(database) | Settings::Mysql(database) => {
            Ok(json!({"table": database.table, "mode": database.mode,
                "body": String::from_utf8_lossy(payload)}))
        }
    }
}

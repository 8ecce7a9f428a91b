//! Uploads. A client announces a file, gets a URL to put it to, and submits messages that name the
//! upload.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use domain::id::UploadId;
use domain::input::Fields;
use domain::limits::{FILENAME, MEDIA_TYPE, UPLOAD_BYTES};
use domain::media_type::is_media_type;
use domain::role::Permission;
use serde::Serialize;
use store::{AnnounceOutcome, Store, Upload, UploadTerms};
use utoipa::ToSchema;

use crate::message::not_suspended;
use crate::{Context, Input, Operations, Refusal};

/// How long the URL of an upload can be used.
const LIFE: Duration = Duration::from_secs(86_400);

/// The body of `POST /v1/uploads`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateUpload {
    /// The media type of the file.
    #[schema(example = "text/csv")]
    pub content_type: String,
    /// The file name, for destinations that write files or attach them.
    pub filename: Option<String>,
    /// The size of the file in bytes, at most 5 GiB.
    pub size_bytes: u64,
    /// The SHA-256 of the file, in lower-case hexadecimal. Content with another hash is refused.
    pub sha256: Option<String>,
}

/// An announced upload and how to send its bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadView {
    /// The identifier of the upload: the `upload_id` of `POST /v1/messages`.
    #[schema(value_type = String)]
    pub id: UploadId,
    /// The HTTP method to send the content with, which is always `PUT`.
    pub method: &'static str,
    /// The URL to send the content to.
    pub url: String,
    /// The headers to send the content with, exactly as they are.
    #[schema(value_type = Object)]
    pub headers: serde_json::Map<String, serde_json::Value>,
    /// When the URL stops working, after which the upload can no longer be made.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: domain::Timestamp,
}

/// An upload to announce.
#[derive(Debug)]
pub struct NewUpload {
    content_type: String,
    filename: Option<String>,
    size_bytes: u64,
    sha256: Option<String>,
}

impl Operations {
    /// `POST /v1/uploads`: announces an upload, and returns the URL to put it to.
    pub async fn create_upload(
        &self,
        ctx: &Context,
        mut input: Input<NewUpload>,
    ) -> Result<UploadView, Refusal> {
        let organization = self
            .enter(ctx, Permission::Submit, &mut input.query)
            .await?;
        let announced = input.required(read)?;
        let owner = self.existing_organization(organization).await?;
        not_suspended(owner.status)?;
        let retention_days = owner.settings.payload_retention_days;
        let id: UploadId = self.id_for(ctx, organization);
        let now = self.clock.now();
        let upload = Upload {
            id,
            organization_id: organization,
            key: Store::upload_key(retention_days, organization, id),
            content_type: announced.content_type,
            filename: announced.filename,
            size_bytes: announced.size_bytes,
            sha256: announced.sha256,
            created_at: now,
            expires_at: now.plus(LIFE),
        };
        let hash = upload
            .sha256
            .as_deref()
            .and_then(digest)
            .map(|digest| BASE64.encode(digest));
        let terms = UploadTerms {
            size_bytes: upload.size_bytes,
            content_type: &upload.content_type,
            sha256: hash.as_deref(),
        };
        let link = self.store.link_to_put(&upload.key, terms, LIFE).await?;
        let most = self.upload_bytes_max(organization).await?;
        if let AnnounceOutcome::Over { until } = self
            .store
            .create_upload(&upload, retention_days, most)
            .await?
        {
            return Err(self.over_upload_bytes(most.unwrap_or_default(), until));
        }
        let headers = link
            .headers
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        Ok(UploadView {
            id,
            method: "PUT",
            url: link.url,
            headers,
            expires_at: upload.expires_at,
        })
    }
}

fn read(fields: &mut Fields<'_>) -> Option<NewUpload> {
    let content_type = fields.required_text("content_type", MEDIA_TYPE);
    fields.check_format(
        "content_type",
        content_type.as_deref(),
        is_media_type,
        "must be a media type, such as text/csv",
    );
    let filename = fields.name("filename", FILENAME);
    let given = fields.given("size_bytes");
    let size_bytes = UPLOAD_BYTES.read(fields, "size_bytes");
    let size_bytes = fields.require("size_bytes", given, size_bytes);
    let sha256 = fields.text("sha256", 64..=64);
    fields.check_format(
        "sha256",
        sha256.as_deref(),
        |text| digest(text).is_some(),
        "must be 64 lower-case hexadecimal digits",
    );
    Some(NewUpload {
        content_type: content_type?,
        filename,
        size_bytes: size_bytes?,
        sha256,
    })
}

/// Returns the 32 bytes of a hash in lower-case hexadecimal; `None` if the text is not one.
fn digest(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hex {
        return None;
    }
    hex::decode(text).ok()
}

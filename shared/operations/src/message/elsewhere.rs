//! Payloads that are stored elsewhere: as an upload, or as an object that the submitter keeps.

use domain::id::{Id as _, UploadId};
use domain::input::{FieldCode, FieldError, Fields};
use domain::limits::{SOURCE_KEY, SOURCE_ROLE_ARN, UPLOAD_BYTES};
use domain::message::PayloadInfo;
use domain::settings::storage::take_s3_bucket;
use store::{Content, ObjectLocation, Unreadable};

use super::input::MessageInput;
use super::submit::Entry;
use crate::role::customers_role;
use crate::{Operations, Refusal, RefusalCode};

/// A payload that has not been looked up yet.
#[derive(Clone, Debug)]
pub(crate) enum Unlocated {
    /// An upload of the organization.
    Upload(UploadId),
    /// An object in an S3 bucket.
    S3 {
        bucket: String,
        key: String,
        version_id: Option<String>,
        role_arn: Option<String>,
    },
}

/// Returns what is known of a payload before it is looked up.
pub(crate) fn unknown_info() -> PayloadInfo {
    PayloadInfo {
        size_bytes: 0,
        content_type: "application/octet-stream".to_owned(),
        filename: None,
        sha256: None,
    }
}

/// Takes `upload_id` or `source`. Returns `None` if neither is given. Otherwise returns the name of
/// the member with the location of the payload, or without it if the member is invalid and its
/// mistakes have been recorded.
pub(crate) fn take_elsewhere(fields: &mut Fields<'_>) -> Option<(&'static str, Option<Unlocated>)> {
    let upload = fields.given("upload_id").then(|| {
        fields
            .parsed("upload_id", UploadId::from_client)
            .map(Unlocated::Upload)
    });
    let source = fields.given("source").then(|| take_source(fields));
    match (upload, source) {
        (Some(_), Some(_)) => {
            fields.refuse(
                "source",
                FieldCode::Conflict,
                "exactly one of payload, content, upload_id and source is accepted",
            );
            Some(("source", None))
        }
        (Some(upload), None) => Some(("upload_id", upload)),
        (None, Some(source)) => Some(("source", source)),
        (None, None) => None,
    }
}

fn take_source(fields: &mut Fields<'_>) -> Option<Unlocated> {
    let source = fields.object("source", |source| {
        let given = source.given("s3");
        let s3 = source.object("s3", |s3| {
            let bucket = take_s3_bucket(s3);
            let key = s3.required_text("key", SOURCE_KEY);
            let version_id = s3.text("version_id", SOURCE_KEY);
            let role_arn = s3.text("role_arn", SOURCE_ROLE_ARN);
            Some(Unlocated::S3 {
                bucket: bucket?,
                key: key?,
                version_id,
                role_arn,
            })
        });
        source.require("s3", given, s3.flatten())
    });
    source.flatten()
}

impl Operations {
    /// Looks up a payload that is stored elsewhere, and adds its size, type and version to the
    /// input.
    pub(crate) async fn located(
        &self,
        entry: &Entry<'_>,
        input: MessageInput,
    ) -> Result<MessageInput, Refusal> {
        match input.unlocated.clone() {
            None => Ok(input),
            Some(Unlocated::Upload(id)) => self.uploaded(entry, id, input).await,
            Some(Unlocated::S3 {
                bucket,
                key,
                version_id,
                role_arn,
            }) => {
                let location = self
                    .source_location(entry, bucket, key, version_id, role_arn)
                    .await?;
                self.sourced(location, input).await
            }
        }
    }

    async fn uploaded(
        &self,
        entry: &Entry<'_>,
        id: UploadId,
        input: MessageInput,
    ) -> Result<MessageInput, Refusal> {
        if !self
            .owns_or_records(entry.ctx, entry.organization, id)
            .await
        {
            return Err(Refusal::not_found_at(["/upload_id".to_owned()]));
        }
        let upload = self.store.upload(entry.organization, id).await?;
        let upload = upload.ok_or_else(|| Refusal::not_found_at(["/upload_id".to_owned()]))?;
        if !upload.outlives_message(
            entry.routes.settings.payload_retention_days,
            self.clock.now(),
        ) {
            let detail = "the upload is deleted before the payload retention of a message \
                 accepted now ends; announce it and put it again";
            return Err(Refusal::new(RefusalCode::PayloadExpiredForRetry, detail));
        }
        let location = ObjectLocation {
            bucket: None,
            key: upload.key,
            version: None,
            etag: None,
            role: None,
        };
        let head = match self.store.object_head(&location).await {
            Ok(head) => head,
            Err(Unreadable::Missing) => {
                return Err(Refusal::new(
                    RefusalCode::UploadIncomplete,
                    "the upload's bytes have not arrived; put them to its url first",
                ));
            }
            Err(error) => return Err(Refusal::unavailable(error)),
        };
        if head.size_bytes != upload.size_bytes {
            let detail = format!(
                "has {} bytes; {} were announced",
                head.size_bytes, upload.size_bytes
            );
            return Err(Refusal::invalid(vec![FieldError::at(
                "/upload_id",
                FieldCode::InvalidValue,
                detail,
            )]));
        }
        let info = PayloadInfo {
            size_bytes: upload.size_bytes,
            content_type: upload.content_type,
            filename: upload.filename,
            sha256: upload.sha256,
        };
        Ok(MessageInput {
            info,
            payload: Content::Object(location.pinned(&head)),
            ..input
        })
    }

    /// Returns the location of a source. A bucket is read with the deployment's role only if the
    /// operator has granted it to the organization, so that no organization reads the buckets of
    /// others.
    async fn source_location(
        &self,
        entry: &Entry<'_>,
        bucket: String,
        key: String,
        version: Option<String>,
        role_arn: Option<String>,
    ) -> Result<ObjectLocation, Refusal> {
        if let Some(Err(why)) = role_arn
            .as_deref()
            .map(|role| customers_role(role, &self.settings.account_id))
        {
            return Err(refused_source("role_arn", why.code(), &why.to_string()));
        }
        if bucket == self.settings.own_bucket {
            return Err(refused_source(
                "bucket",
                FieldCode::Reserved,
                "is Waybill's own; send the bytes as an upload",
            ));
        }
        let organization = self.existing_organization(entry.organization).await?;
        let role = role_arn.map(|role_arn| (role_arn, organization.aws_external_id.clone()));
        let granted = organization.grants.buckets.contains(&bucket);
        if role.is_none() && !granted {
            let detail = "this bucket has not been granted to the organization; ask the operator, \
                 or name a role_arn that may read it";
            return Err(Refusal::invalid(vec![FieldError::at(
                "/source/s3/bucket",
                FieldCode::InvalidValue,
                detail,
            )]));
        }
        Ok(ObjectLocation {
            bucket: Some(bucket),
            key,
            version,
            etag: None,
            role,
        })
    }

    async fn sourced(
        &self,
        location: ObjectLocation,
        input: MessageInput,
    ) -> Result<MessageInput, Refusal> {
        let head = self
            .store
            .object_head(&location)
            .await
            .map_err(|error| match error {
                Unreadable::Store(error) => error.into(),
                Unreadable::Missing => unreadable("key", "there is no such object"),
                Unreadable::Forbidden => unreadable("bucket", "Waybill may not read this object"),
                Unreadable::Role => unreadable("role_arn", &Unreadable::Role.to_string()),
            })?;
        if head.size_bytes > UPLOAD_BYTES.max {
            return Err(Refusal::too_large(format!(
                "a source has at most {} bytes",
                UPLOAD_BYTES.max
            )));
        }
        let location = location.pinned(&head);
        let filename = location
            .key
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        let info = PayloadInfo {
            size_bytes: head.size_bytes,
            content_type: head
                .content_type
                .unwrap_or_else(|| "application/octet-stream".to_owned()),
            filename,
            sha256: None,
        };
        Ok(MessageInput {
            info,
            payload: Content::Object(location),
            ..input
        })
    }
}

fn unreadable(member: &str, detail: &str) -> Refusal {
    refused_source(member, FieldCode::InvalidValue, detail)
}

fn refused_source(member: &str, code: FieldCode, detail: &str) -> Refusal {
    Refusal::invalid(vec![FieldError::at(
        format!("/source/s3/{member}"),
        code,
        detail,
    )])
}

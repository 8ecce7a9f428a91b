//! Payloads that are objects, in the service's own bucket or in the submitter's.

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use roles::{NotAssumed, Purpose};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError};

/// The location of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectLocation {
    /// The bucket; `None` is the service's own.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The key of the object.
    #[serde(rename = "k")]
    pub key: String,
    /// The version of the object, if the bucket has versioning.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The entity tag of the object when it was accepted, if no version identifies it. An object
    /// that replaced it is not read.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The role to assume for reading it, and the organization's external id; `None` if the
    /// function's own role may read it.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub role: Option<(String, String)>,
}

/// An object in S3 that the service may read with its own role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnObject {
    /// The bucket of the object.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    /// The version of the object, if the bucket has versioning.
    pub version: Option<String>,
    /// The entity tag of the object, if no version identifies it.
    pub etag: Option<String>,
}

/// What S3 reports about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// The length of the object in bytes.
    pub size_bytes: u64,
    /// The media type of the object, if it has one.
    pub content_type: Option<String>,
    /// The version of the object, if the bucket has versioning.
    pub version: Option<String>,
    /// The entity tag of the object.
    pub etag: Option<String>,
}

impl ObjectLocation {
    /// Returns the location of an object in the service's own bucket.
    pub(crate) fn own(key: String, version: Option<String>) -> Self {
        Self {
            bucket: None,
            key,
            version,
            etag: None,
            role: None,
        }
    }

    /// Returns the same location restricted to the object that `head` describes, by its version or
    /// else by its entity tag.
    #[must_use]
    pub fn pinned(self, head: &ObjectHead) -> Self {
        let version = self.version.or_else(|| head.version.clone());
        let etag = head.etag.clone().filter(|_| version.is_none());
        Self {
            version,
            etag,
            ..self
        }
    }
}

/// A signed link that allows its holder to put or get one object.
#[derive(Clone, Debug)]
pub struct ObjectLink {
    /// The URL of the link.
    pub url: String,
    /// The headers that a request must send unchanged.
    pub headers: Vec<(String, String)>,
}

/// The properties that an uploaded object must have.
#[derive(Clone, Copy, Debug)]
pub struct UploadTerms<'t> {
    /// The exact length in bytes.
    pub size_bytes: u64,
    /// The media type of the object.
    pub content_type: &'t str,
    /// The SHA-256 in base64.
    pub sha256: Option<&'t str>,
}

/// Why a submitter's object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The object does not exist.
    #[error("there is no such object")]
    Missing,
    /// Access to the object is denied.
    #[error("Waybill may not read it")]
    Forbidden,
    /// The role cannot be assumed.
    #[error(
        "the role cannot be assumed; its trust policy must name Waybill and the organization's \
         external id"
    )]
    Role,
    /// A service that Waybill depends on failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Reads the properties of an object.
    pub async fn object_head(&self, location: &ObjectLocation) -> Result<ObjectHead, Unreadable> {
        let client = self.client_for(location).await?;
        let call = client
            .head_object()
            .bucket(self.bucket_of(location)?)
            .key(&location.key)
            .set_version_id(location.version.clone());
        let call = call.set_if_match(location.etag.clone());
        match call.send().await {
            Ok(head) => Ok(ObjectHead {
                size_bytes: u64::try_from(head.content_length().unwrap_or_default())
                    .unwrap_or_default(),
                content_type: head.content_type().map(str::to_owned),
                version: head
                    .version_id()
                    .filter(|version| *version != "null")
                    .map(str::to_owned),
                etag: head.e_tag().map(str::to_owned),
            }),
            Err(error) => Err(
                match (
                    error.as_service_error(),
                    error.raw_response().map(|raw| raw.status().as_u16()),
                ) {
                    (Some(refused), _) if refused.is_not_found() => Unreadable::Missing,
                    (_, Some(404 | 412)) => Unreadable::Missing,
                    (_, Some(400 | 403)) => Unreadable::Forbidden,
                    _ => Unreadable::Store(StoreError::of("look at an object")(error)),
                },
            ),
        }
    }

    /// Streams an object of this size, holding one chunk in memory at a time. Returns `None` if the
    /// object is gone or was replaced.
    pub async fn stream_object(
        &self,
        location: &ObjectLocation,
        size_bytes: u64,
    ) -> Result<
        Option<impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static + use<>>,
        StoreError,
    > {
        let unreadable = |error| match error {
            Unreadable::Store(error) => error,
            other => StoreError::Unavailable {
                action: "read a payload",
                source: std::sync::Arc::new(other),
            },
        };
        let client = self.client_for(location).await.map_err(unreadable)?;
        let call = client
            .get_object()
            .bucket(self.bucket_of(location)?)
            .key(&location.key)
            .set_version_id(location.version.clone());
        let call = call.set_if_match(location.etag.clone());
        let body = match call.send().await {
            Ok(answer) => {
                let found = answer
                    .content_length()
                    .and_then(|length| u64::try_from(length).ok());
                // The entity tag is compared here too, because a server may ignore the condition.
                let is_other = location
                    .etag
                    .as_deref()
                    .zip(answer.e_tag())
                    .is_some_and(|(accepted, found)| accepted != found);
                if is_other || found.is_some_and(|found| found != size_bytes) {
                    return Ok(None);
                }
                answer.body
            }
            Err(error) if error.as_service_error().is_some_and(is_gone) => return Ok(None),
            Err(error) => return Err(StoreError::of("read a payload")(error)),
        };
        let failed = |error| StoreError::Unavailable {
            action: "read a payload",
            source: std::sync::Arc::new(error),
        };
        Ok(Some(stream::unfold(body, move |mut body| async move {
            let piece = body.next().await?;
            Some((piece.map_err(failed), body))
        })))
    }

    /// Makes a link to get an object.
    pub async fn link_to_get(
        &self,
        location: &ObjectLocation,
        disposition: &str,
        life: Duration,
    ) -> Result<ObjectLink, StoreError> {
        let client = self
            .client_for(location)
            .await
            .map_err(|error| StoreError::Unavailable {
                action: "link to a payload",
                source: std::sync::Arc::new(error),
            })?;
        let call = client
            .get_object()
            .bucket(self.bucket_of(location)?)
            .key(&location.key)
            .set_version_id(location.version.clone());
        let call = call.response_content_disposition(disposition);
        let signed = call
            .presigned(presigning(life)?)
            .await
            .map_err(StoreError::of("link to a payload"))?;
        Ok(ObjectLink {
            url: signed.uri().to_owned(),
            headers: Vec::new(),
        })
    }

    /// Makes a link to put an object that does not exist yet, of exactly this length and hash.
    pub async fn link_to_put(
        &self,
        key: &str,
        terms: UploadTerms<'_>,
        life: Duration,
    ) -> Result<ObjectLink, StoreError> {
        let bucket = self.bucket.as_ref().ok_or(StoreError::NoBucket)?;
        let call = self
            .objects
            .put_object()
            .bucket(bucket)
            .key(key)
            .if_none_match("*")
            .content_type(terms.content_type);
        let call = call.content_length(i64::try_from(terms.size_bytes).unwrap_or(i64::MAX));
        let call = call.set_checksum_sha256(terms.sha256.map(str::to_owned));
        let signed = call
            .presigned(presigning(life)?)
            .await
            .map_err(StoreError::of("link to an upload"))?;
        let headers = signed
            .headers()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
        Ok(ObjectLink {
            url: signed.uri().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// Deletes an object of the service's own bucket, in this version.
    pub async fn delete_object(&self, location: &ObjectLocation) -> Result<(), StoreError> {
        let call = self
            .objects
            .delete_object()
            .bucket(self.bucket_of(location)?)
            .key(&location.key)
            .set_version_id(location.version.clone());
        call.send()
            .await
            .map_err(StoreError::of("delete a payload"))?;
        Ok(())
    }

    /// Returns the object at a location, if the service may read it with its own role.
    #[must_use]
    pub fn own_object(&self, location: &ObjectLocation) -> Option<OwnObject> {
        let bucket = self
            .bucket_of(location)
            .ok()
            .filter(|_| location.role.is_none())?;
        Some(OwnObject {
            bucket: bucket.to_owned(),
            key: location.key.clone(),
            version: location.version.clone(),
            etag: location.etag.clone(),
        })
    }

    fn bucket_of<'p>(&'p self, location: &'p ObjectLocation) -> Result<&'p str, StoreError> {
        location
            .bucket
            .as_deref()
            .or(self.bucket.as_deref())
            .ok_or(StoreError::NoBucket)
    }

    async fn client_for(&self, location: &ObjectLocation) -> Result<Client, Unreadable> {
        match &location.role {
            None => Ok(self.objects.clone()),
            Some((role_arn, external_id)) => {
                let purpose = Purpose::ReadBucket(self.bucket_of(location)?);
                let credentials = roles::assume(&self.aws, role_arn, external_id, purpose).await?;
                let provider = SharedCredentialsProvider::new(credentials);
                Ok(Client::new(
                    &self.aws.to_builder().credentials_provider(provider).build(),
                ))
            }
        }
    }
}

/// Whether the object no longer exists, or is no longer the one that was accepted.
fn is_gone(refused: &GetObjectError) -> bool {
    refused.is_no_such_key()
        || matches!(refused.code(), Some("NoSuchVersion" | "PreconditionFailed"))
}

fn presigning(life: Duration) -> Result<PresigningConfig, StoreError> {
    PresigningConfig::expires_in(life).map_err(|error| StoreError::Unavailable {
        action: "make a link",
        source: std::sync::Arc::new(error),
    })
}

impl From<NotAssumed> for Unreadable {
    fn from(why: NotAssumed) -> Self {
        match why {
            NotAssumed::NotARole(_) | NotAssumed::Refused => Self::Role,
            NotAssumed::Unavailable(_) => Self::Store(StoreError::Unavailable {
                action: "assume a customer's role",
                source: std::sync::Arc::new(why),
            }),
        }
    }
}

//! Payloads that are objects: in the service's own bucket, or where their submitter keeps them.

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

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectPlace {
    /// Which bucket; `None`: the service's own.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Its key.
    #[serde(rename = "k")]
    pub key: String,
    /// Which version of it, where the bucket keeps versions.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its entity tag when it was accepted, where no version pins it: another object in its place is not read.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The role that may read it, when it is not the function's own, and the organization's external id.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub role: Option<(String, String)>,
}

/// An object in S3 that the service may read with its own role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnObject {
    /// Which bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Which version of it, where the bucket keeps versions.
    pub version: Option<String>,
    /// Its entity tag, where no version pins it.
    pub etag: Option<String>,
}

/// An object, as its head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// Its length.
    pub size_bytes: u64,
    /// Its media type, where it has one.
    pub content_type: Option<String>,
    /// Which version it is, where the bucket keeps versions.
    pub version: Option<String>,
    /// Its entity tag.
    pub etag: Option<String>,
}

impl ObjectPlace {
    /// The same place, pinned to the object that this head describes: by its version, else by its entity tag.
    #[must_use]
    pub fn pinned(self, head: &ObjectHead) -> Self {
        let version = self.version.or_else(|| head.version.clone());
        let etag = head.etag.clone().filter(|_| version.is_none());
        Self { version, etag, ..self }
    }
}

/// A link that lets whoever holds it put or get one object.
#[derive(Clone, Debug)]
pub struct ObjectLink {
    /// The address.
    pub url: String,
    /// The headers that have to be sent with it, as they are.
    pub headers: Vec<(String, String)>,
}

/// What an upload must be.
#[derive(Clone, Copy, Debug)]
pub struct UploadTerms<'t> {
    /// Exactly so long.
    pub size_bytes: u64,
    /// Of this type.
    pub content_type: &'t str,
    /// With this SHA-256, in base64.
    pub sha256: Option<&'t str>,
}

/// Why an object of somebody else's cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is none.
    #[error("there is no such object")]
    Missing,
    /// We may not.
    #[error("Waybill may not read it")]
    Forbidden,
    /// The role cannot be taken on.
    #[error("the role cannot be assumed; its trust policy must name Waybill and the organization's external id")]
    Role,
    /// Something of ours does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The head of an object.
    pub async fn object_head(&self, place: &ObjectPlace) -> Result<ObjectHead, Unreadable> {
        let client = self.client_for(place).await?;
        let call = client.head_object().bucket(self.bucket_of(place)?).key(&place.key).set_version_id(place.version.clone());
        let call = call.set_if_match(place.etag.clone());
        match call.send().await {
            Ok(head) => Ok(ObjectHead {
                size_bytes: u64::try_from(head.content_length().unwrap_or_default()).unwrap_or_default(),
                content_type: head.content_type().map(str::to_owned),
                version: head.version_id().filter(|version| *version != "null").map(str::to_owned),
                etag: head.e_tag().map(str::to_owned),
            }),
            Err(error) => Err(match (error.as_service_error(), error.raw_response().map(|raw| raw.status().as_u16())) {
                (Some(refused), _) if refused.is_not_found() => Unreadable::Missing,
                (_, Some(404 | 412)) => Unreadable::Missing,
                (_, Some(400 | 403)) => Unreadable::Forbidden,
                _ => Unreadable::Store(StoreError::of("look at an object")(error)),
            }),
        }
    }

    /// An object of this size, piece by piece, in memory one piece at a time; `None` when it is gone or another one is in its place.
    pub async fn stream_object(
        &self,
        place: &ObjectPlace,
        size_bytes: u64,
    ) -> Result<Option<impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static + use<>>, StoreError> {
        let unreadable = |error| match error {
            Unreadable::Store(error) => error,
            other => StoreError::Unavailable { action: "read a payload", source: std::sync::Arc::new(other) },
        };
        let client = self.client_for(place).await.map_err(unreadable)?;
        let call = client.get_object().bucket(self.bucket_of(place)?).key(&place.key).set_version_id(place.version.clone());
        let call = call.set_if_match(place.etag.clone());
        let body = match call.send().await {
            Ok(answer) => {
                let found = answer.content_length().and_then(|length| u64::try_from(length).ok());
                // A server that ignores the condition is not trusted with it.
                let is_other = place.etag.as_deref().zip(answer.e_tag()).is_some_and(|(accepted, found)| accepted != found);
                if is_other || found.is_some_and(|found| found != size_bytes) {
                    return Ok(None);
                }
                answer.body
            }
            Err(error) if error.as_service_error().is_some_and(is_gone) => return Ok(None),
            Err(error) => return Err(StoreError::of("read a payload")(error)),
        };
        let failed = |error| StoreError::Unavailable { action: "read a payload", source: std::sync::Arc::new(error) };
        Ok(Some(stream::unfold(body, move |mut body| async move {
            let piece = body.next().await?;
            Some((piece.map_err(failed), body))
        })))
    }

    /// A link to get an object of the service's own bucket.
    pub async fn link_to_get(&self, place: &ObjectPlace, disposition: &str, life: Duration) -> Result<ObjectLink, StoreError> {
        let client = self
            .client_for(place)
            .await
            .map_err(|error| StoreError::Unavailable { action: "link to a payload", source: std::sync::Arc::new(error) })?;
        let call = client.get_object().bucket(self.bucket_of(place)?).key(&place.key).set_version_id(place.version.clone());
        let call = call.response_content_disposition(disposition);
        let signed = call.presigned(presigning(life)?).await.map_err(StoreError::of("link to a payload"))?;
        Ok(ObjectLink { url: signed.uri().to_owned(), headers: Vec::new() })
    }

    /// A link to put an object that is not there yet, of exactly this length and hash.
    pub async fn link_to_put(&self, key: &str, terms: UploadTerms<'_>, life: Duration) -> Result<ObjectLink, StoreError> {
        let bucket = self.bucket.as_ref().ok_or(StoreError::NoBucket)?;
        let call = self.objects.put_object().bucket(bucket).key(key).if_none_match("*").content_type(terms.content_type);
        let call = call.content_length(i64::try_from(terms.size_bytes).unwrap_or(i64::MAX));
        let call = call.set_checksum_sha256(terms.sha256.map(str::to_owned));
        let signed = call.presigned(presigning(life)?).await.map_err(StoreError::of("link to an upload"))?;
        let headers = signed.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
        Ok(ObjectLink { url: signed.uri().to_owned(), headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() })
    }

    /// Deletes an object of the service's own bucket, this version of it.
    pub async fn delete_object(&self, place: &ObjectPlace) -> Result<(), StoreError> {
        let call = self.objects.delete_object().bucket(self.bucket_of(place)?).key(&place.key).set_version_id(place.version.clone());
        call.send().await.map_err(StoreError::of("delete a payload"))?;
        Ok(())
    }

    /// The object at a place, when the service may read it with its own role.
    #[must_use]
    pub fn own_object(&self, place: &ObjectPlace) -> Option<OwnObject> {
        let bucket = self.bucket_of(place).ok().filter(|_| place.role.is_none())?;
        Some(OwnObject { bucket: bucket.to_owned(), key: place.key.clone(), version: place.version.clone(), etag: place.etag.clone() })
    }

    fn bucket_of<'p>(&'p self, place: &'p ObjectPlace) -> Result<&'p str, StoreError> {
        place.bucket.as_deref().or(self.bucket.as_deref()).ok_or(StoreError::NoBucket)
    }

    async fn client_for(&self, place: &ObjectPlace) -> Result<Client, Unreadable> {
        match &place.role {
            None => Ok(self.objects.clone()),
            Some((role_arn, external_id)) => {
                let purpose = Purpose::ReadBucket(self.bucket_of(place)?);
                let credentials = roles::assume(&self.aws, role_arn, external_id, purpose).await?;
                let provider = SharedCredentialsProvider::new(credentials);
                Ok(Client::new(&self.aws.to_builder().credentials_provider(provider).build()))
            }
        }
    }
}

/// Whether the object is no longer there, or is no longer the one that was accepted.
fn is_gone(refused: &GetObjectError) -> bool {
    refused.is_no_such_key() || matches!(refused.code(), Some("NoSuchVersion" | "PreconditionFailed"))
}

fn presigning(life: Duration) -> Result<PresigningConfig, StoreError> {
    PresigningConfig::expires_in(life)
        .map_err(|error| StoreError::Unavailable { action: "make a link", source: std::sync::Arc::new(error) })
}

impl From<NotAssumed> for Unreadable {
    fn from(why: NotAssumed) -> Self {
        match why {
            NotAssumed::NotARole(_) | NotAssumed::Refused => Self::Role,
            NotAssumed::Unavailable(_) => {
                Self::Store(StoreError::Unavailable { action: "assume a customer's role", source: std::sync::Arc::new(why) })
            }
        }
    }
}

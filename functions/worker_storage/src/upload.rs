//! Uploads objects. An object becomes visible only when it is complete.

use std::time::Duration;

use domain::settings::storage::IfExists;
use futures_util::{TryFutureExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore as _, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, TagSet,
};
use store::OwnObject;
use vault::Confidential;
use worker::Payload;

use crate::Meta;
use crate::error::StorageError;
use crate::open_bucket::{OpenBucket, Settings};
use crate::parts::parts;
use crate::wire::{self, Wire};

/// The largest object that is sent in one request and held in memory.
pub(crate) const SINGLE_BYTES_MAX: u64 = 16 << 20;
/// The size of a part. 5 GiB are 640 parts; S3 allows 10,000.
const PART_BYTES: usize = 8 << 20;
/// How many parts are sent at once. With the part that is being filled, this bounds the memory of
/// an upload.
const PARTS_AT_ONCE: usize = 4;
/// The most memory that an upload takes: the parts being sent, the part being filled, and what was
/// read ahead.
pub(crate) const MEMORY_BYTES_MAX: u64 = (PARTS_AT_ONCE as u64 + 2) * PART_BYTES as u64;
/// How long aborting an upload may take after the attempt's deadline.
const ABORT_MAX: Duration = Duration::from_secs(5);

/// Lets S3 copy an object that it stores already, up to 5 GiB. The worker does not transfer its
/// bytes.
pub(crate) async fn copy(
    bucket: &OpenBucket,
    settings: Settings<'_>,
    path: &Path,
    meta: &Meta,
    source: &OwnObject,
) -> Result<PutResult, StorageError> {
    let extensions = wire::copied(source).ok_or_else(StorageError::unintelligible)?;
    Ok(bucket
        .store
        .put_opts(path, PutPayload::new(), options(settings, meta, extensions))
        .await?)
}

/// Uploads an object, in parts if it is large.
pub(crate) async fn upload(
    bucket: &OpenBucket,
    settings: Settings<'_>,
    path: &Path,
    meta: &Meta,
    payload: Payload,
) -> Result<PutResult, StorageError> {
    if payload.size_bytes() <= SINGLE_BYTES_MAX {
        let bytes = payload.collect().await?;
        return Ok(bucket
            .store
            .put_opts(
                path,
                PutPayload::from(bytes),
                options(settings, meta, http::Extensions::new()),
            )
            .await?);
    }
    if let Settings::Gcs(_) = settings {
        // Google does not support conditions on completing parts, and accepts 5 TiB in one request.
        let extensions = wire::streamed(payload.size_bytes(), payload.into_pieces());
        return Ok(bucket
            .store
            .put_opts(path, PutPayload::new(), options(settings, meta, extensions))
            .await?);
    }
    upload_in_parts(bucket, settings, path, meta, payload).await
}

/// Uploads an object in parts regardless of its size.
pub(crate) async fn upload_in_parts(
    bucket: &OpenBucket,
    settings: Settings<'_>,
    path: &Path,
    meta: &Meta,
    payload: Payload,
) -> Result<PutResult, StorageError> {
    let options = PutMultipartOptions {
        tags: tags(settings),
        attributes: attributes(settings, meta),
        extensions: http::Extensions::new(),
    };
    let upload = bucket.store.put_multipart_opts(path, options).await?;
    in_parts(
        Unfinished {
            upload: Some(upload),
            wire: bucket.wire.clone(),
        },
        payload,
    )
    .await
}

fn options(settings: Settings<'_>, meta: &Meta, extensions: http::Extensions) -> PutOptions {
    let mode = if settings.object().if_exists == IfExists::Replace {
        PutMode::Overwrite
    } else {
        PutMode::Create
    };
    PutOptions {
        mode,
        tags: tags(settings),
        attributes: attributes(settings, meta),
        extensions,
    }
}

async fn in_parts(mut unfinished: Unfinished, payload: Payload) -> Result<PutResult, StorageError> {
    let sent = send_parts(&mut unfinished, payload).await;
    let completed = match (sent, &mut unfinished.upload) {
        (Ok(()), Some(upload)) => upload.complete().await.map_err(StorageError::from),
        (Ok(()), None) => Err(StorageError::unintelligible()),
        (Err(error), _) => Err(error),
    };
    if completed.is_ok() {
        unfinished.upload = None;
    } else {
        unfinished.abort().await;
    }
    completed
}

async fn send_parts(unfinished: &mut Unfinished, payload: Payload) -> Result<(), StorageError> {
    let Some(upload) = &mut unfinished.upload else {
        return Ok(());
    };
    let parts = parts(payload, PART_BYTES).map_err(StorageError::from);
    let sending = parts.map_ok(|part| upload.put_part(part).map_err(StorageError::from));
    sending
        .try_buffer_unordered(PARTS_AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await
}

/// An upload that costs storage until it is completed or aborted. Dropping it aborts it in the
/// background.
struct Unfinished {
    upload: Option<Box<dyn MultipartUpload>>,
    wire: Wire,
}

impl Unfinished {
    async fn abort(&mut self) {
        if let Some(upload) = self.upload.take() {
            abort(upload, self.wire.clone()).await;
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (wire, opened) = (self.wire.clone(), Confidential::current());
            runtime.spawn(egress::on_current_behalf(async move {
                opened.during(abort(upload, wire)).await
            }));
        }
    }
}

async fn abort(mut upload: Box<dyn MultipartUpload>, wire: Wire) {
    wire.extend(ABORT_MAX);
    if let Err(error) = upload.abort().await {
        wire.leaves_parts_behind();
        let error = worker::redacted(&error.to_string());
        tracing::info!(
            error,
            "failed to abort an unfinished upload; the bucket's lifecycle rule has to remove it"
        );
    }
}

fn attributes(settings: Settings<'_>, meta: &Meta) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, meta.content_type.clone().into());
    if let Some(class) = &settings.object().storage_class {
        attributes.insert(Attribute::StorageClass, class.clone().into());
    }
    for (name, value) in meta.entries() {
        let name = if let Settings::AzureBlob(_) = settings {
            name.replace('-', "_")
        } else {
            name.to_owned()
        };
        attributes.insert(Attribute::Metadata(name.into()), value.into_owned().into());
    }
    attributes
}

fn tags(settings: Settings<'_>) -> TagSet {
    let mut set = TagSet::default();
    let tags = match settings {
        Settings::S3(settings) => &settings.tags,
        Settings::AzureBlob(settings) => &settings.tags,
        Settings::Gcs(_) => return set,
    };
    for (name, value) in tags {
        set.push(name, value);
    }
    set
}

//! Makes one attempt: looks for the object, uploads it, and looks again if another writer was
//! faster.

use domain::Reason;
use domain::receipt::Receipt;
use domain::settings::storage::{IfExists, key_refusal};
use domain::settle::Outcome;
use object_store::PutResult;
use object_store::path::Path;
use store::OwnObject;
use tokio::time::Instant;
use worker::{ConnectorError, Payload};

use crate::error::StorageError;
use crate::existing::{Existing, Version, look};
use crate::open_bucket::{OpenBucket, Settings, path};
use crate::storage::Storage;
use crate::upload::{SINGLE_BYTES_MAX, copy, upload};
use crate::{Credentials, Meta};

/// The result of a successful attempt.
pub(crate) struct Delivered {
    pub(crate) receipt: Receipt,
    pub(crate) detail: &'static str,
    /// The object that S3 copied, if the payload was not uploaded.
    pub(crate) copied_from: Option<String>,
}

/// The object that was written.
struct Sent {
    put: PutResult,
    copied_from: Option<String>,
}

impl Storage {
    pub(crate) async fn put(
        &self,
        settings: Settings<'_>,
        credentials: &Credentials,
        meta: &Meta,
        key: &str,
        payload: Payload,
        deadline: Instant,
    ) -> Result<Delivered, StorageError> {
        if let Some(refusal) = key_refusal(key) {
            return Err(StorageError::misconfigured(refusal));
        }
        let path = path(key)?;
        let bucket = self
            .open(&meta.organization_id, settings, credentials, deadline)
            .await?;
        let size_bytes = payload.size_bytes();
        let delivered = |version: Version, detail: &'static str| Delivered {
            receipt: self.receipt(settings, key, version.version_id, version.etag),
            detail,
            copied_from: None,
        };
        let if_exists = settings.object().if_exists;
        let source = payload
            .own_object()
            .filter(|_| is_own(settings, credentials))
            .cloned();
        // A look avoids a useless large upload or copy, a second replacement, and overwriting an
        // object on a server that may ignore conditions.
        let is_looked_for = size_bytes > SINGLE_BYTES_MAX
            || source.is_some()
            || if_exists == IfExists::Replace
            || settings.names_its_server();
        if is_looked_for {
            let found = look(&bucket, &path, meta, size_bytes).await?;
            if found == Existing::Unseen
                && settings.names_its_server()
                && if_exists != IfExists::Replace
            {
                self.prove_conditions(&bucket, settings, meta).await?;
            }
            if let Some((version, detail)) = settled(found, if_exists, key)? {
                return Ok(delivered(version, detail));
            }
        }
        let sent = send(&bucket, settings, &path, meta, payload, source.as_ref()).await;
        let taken = match sent {
            Ok(Sent { put, copied_from }) => {
                let version = Version {
                    version_id: put.version,
                    etag: put.e_tag,
                };
                return Ok(Delivered {
                    copied_from,
                    ..delivered(version, "uploaded")
                });
            }
            Err(error) if error.is_taken() && if_exists != IfExists::Replace => {
                look(&bucket, &path, meta, size_bytes).await?
            }
            Err(error) => return Err(error),
        };
        match (taken, if_exists) {
            (Existing::Unseen, IfExists::Skip) => Ok(delivered(
                Version {
                    version_id: None,
                    etag: None,
                },
                SKIPPED,
            )),
            (Existing::Unseen, _) => Err(StorageError::occupied(format!(
                "an object exists at {key}, but the credentials may not read it to find out \
                 whether it is this delivery's"
            ))),
            (taken, _) => match settled(taken, if_exists, key)? {
                Some((version, detail)) => Ok(delivered(version, detail)),
                None => {
                    let detail = format!("another upload to {key} is in progress");
                    Err(ConnectorError::new(Outcome::Retry(Reason::ServerError), detail).into())
                }
            },
        }
    }
}

/// Whether the function uses its own role, which can also read Waybill's bucket, so that S3 can
/// copy the payload.
fn is_own(settings: Settings<'_>, credentials: &Credentials) -> bool {
    matches!(
        (settings, credentials),
        (Settings::S3(_), Credentials::Iam { .. })
    )
}

/// Writes the object, as a copy of `source` if S3 can copy it.
async fn send(
    bucket: &OpenBucket,
    settings: Settings<'_>,
    path: &Path,
    meta: &Meta,
    payload: Payload,
    source: Option<&OwnObject>,
) -> Result<Sent, StorageError> {
    if let Some(source) = source {
        match copy(bucket, settings, path, meta, source).await {
            Ok(put) => {
                let source = format!("{}/{}", source.bucket, source.key);
                return Ok(Sent {
                    put,
                    copied_from: Some(source),
                });
            }
            Err(error) if error.is_taken() => return Err(error),
            // If S3 cannot copy the object, the worker uploads it.
            Err(error) => {
                tracing::info!(
                    error = worker::redacted(&error.to_string()),
                    "S3 did not copy the payload; the worker uploads it"
                )
            }
        }
    }
    Ok(Sent {
        put: upload(bucket, settings, path, meta, payload).await?,
        copied_from: None,
    })
}

const SKIPPED: &str = "another object already exists and was kept";

/// Returns the result if the object at the key decides the attempt, or `None` if the object has to
/// be uploaded.
fn settled(
    found: Existing,
    if_exists: IfExists,
    key: &str,
) -> Result<Option<(Version, &'static str)>, StorageError> {
    match (found, if_exists) {
        (Existing::Ours(version), _) => Ok(Some((version, "uploaded by an earlier attempt"))),
        (Existing::Other(version), IfExists::Skip) => Ok(Some((version, SKIPPED))),
        (Existing::Other(_), IfExists::Fail) => Err(StorageError::occupied(format!(
            "another object exists at {key}"
        ))),
        (Existing::Other(_), IfExists::Replace) | (Existing::Nothing | Existing::Unseen, _) => {
            Ok(None)
        }
    }
}

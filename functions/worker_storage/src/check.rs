//! The connection check: runs the steps of a delivery one after another.

use domain::Reason;
use domain::check::StepName;
use domain::settings::storage::key_refusal;
use domain::settle::Outcome;
use object_store::{GetOptions, ObjectStore as _};
use tokio::time::Instant;
use worker::{ConnectorError, Payload, StepRecorder, within};

use crate::conditions::{Conditions, UNPROTECTED, find_out};
use crate::error::{StorageError, UPLOAD_TIMED_OUT};
use crate::existing::{Existing, look};
use crate::open_bucket::{OpenBucket, Settings, path};
use crate::storage::Storage;
use crate::upload::upload;
use crate::{Credentials, Meta};

const CONTENT: &str = "Waybill checked that it may write here.\n";

/// The steps that follow those of an HTTP connection.
const STEPS: [StepName; 3] = [StepName::Authenticate, StepName::Authorize, StepName::Write];

impl Storage {
    /// Tests connection and credentials step by step and stops at the first step that fails. Writes
    /// a small object whose name contains the sample's `unique` next to its key, and deletes it.
    pub async fn check(
        &self,
        settings: Settings<'_>,
        credentials: &Credentials,
        sample: Sample<'_>,
        deadline: Instant,
        steps: &mut StepRecorder,
    ) -> Result<(), ConnectorError> {
        let probe = self.client.probe(&self.address(settings)?, deadline).await;
        if !steps.probed(&probe, &STEPS) {
            return Ok(());
        }
        let trial = Trial {
            storage: self,
            settings,
            credentials,
            key: sibling_key(sample.key, sample.unique),
            sample,
        };
        Box::pin(trial.take_steps(deadline, steps)).await
    }
}

/// What a check writes in place of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'s> {
    /// The id of the organization that owns the destination.
    pub organization_id: &'s str,
    /// The key that a delivery could have.
    pub key: &'s str,
    /// A text that no other check has.
    pub unique: &'s str,
}

/// The object that the check writes and deletes.
struct Trial<'t> {
    storage: &'t Storage,
    settings: Settings<'t>,
    credentials: &'t Credentials,
    key: String,
    sample: Sample<'t>,
}

impl Trial<'_> {
    async fn take_steps(
        &self,
        deadline: Instant,
        steps: &mut StepRecorder,
    ) -> Result<(), ConnectorError> {
        let authenticating = async {
            let authenticated =
                within(deadline, UPLOAD_TIMED_OUT, self.authenticate(deadline)).await;
            authenticated.map_err(|error| self.explained(error))
        };
        let accepted = |_: &_| "the credentials are accepted".to_owned();
        let bucket = steps
            .take(StepName::Authenticate, authenticating, accepted)
            .await?;
        match within(deadline, UPLOAD_TIMED_OUT, self.write(&bucket)).await {
            Ok(conditions) => {
                steps.passed(
                    StepName::Authorize,
                    format!("the credentials may write to {}", self.settings.bucket()),
                );
                let deleted = self.delete(&bucket, deadline).await;
                steps.passed(StepName::Write, self.summary(&bucket, conditions, deleted));
                Ok(())
            }
            // In a bucket that is publicly readable, only writing shows whether the credentials are
            // valid.
            Err(error) if error.is_unauthenticated() => {
                steps.retract(StepName::Authenticate);
                Err(self.explained(error).at(StepName::Authenticate))
            }
            Err(error) if is_about_permission(&error) => {
                Err(self.explained(error).at(StepName::Authorize))
            }
            Err(error) => {
                steps.skipped(StepName::Authorize, "not known");
                Err(self.explained(error).at(StepName::Write))
            }
        }
    }

    /// Returns the failure. If the bucket does not exist, its detail names the bucket.
    fn explained(&self, error: StorageError) -> ConnectorError {
        let is_missing = error
            .answer()
            .is_some_and(|answer| is_no_bucket(answer.code.as_deref()));
        let error = ConnectorError::from(error);
        if is_missing {
            return error.with_detail(|detail| {
                format!("there is no {} ({detail})", self.settings.bucket())
            });
        }
        error
    }

    /// Requests an object that does not exist. Any answer but an authentication error means that
    /// the credentials are accepted.
    async fn authenticate(&self, deadline: Instant) -> Result<OpenBucket, StorageError> {
        let bucket = self
            .storage
            .open(
                self.sample.organization_id,
                self.settings,
                self.credentials,
                deadline,
            )
            .await?;
        let path = path(&self.key)?;
        match bucket
            .store
            .get_opts(&path, GetOptions::default())
            .await
            .map_err(StorageError::from)
        {
            Err(error) if error.is_unauthenticated() || error.answer().is_none() => Err(error),
            _ => Ok(bucket),
        }
    }

    async fn delete(&self, bucket: &OpenBucket, deadline: Instant) -> Result<(), StorageError> {
        within(
            deadline,
            UPLOAD_TIMED_OUT,
            self.storage.delete(bucket, self.settings, &self.key),
        )
        .await
    }

    /// Returns the detail of the step `write`, with everything that the owner should know.
    fn summary(
        &self,
        bucket: &OpenBucket,
        conditions: Conditions,
        deleted: Result<(), StorageError>,
    ) -> String {
        let mut warnings: Vec<String> = conditions.warning().into_iter().collect();
        let mut summary = format!("{} was written", self.key);
        match deleted {
            Ok(()) => summary.push_str(" and deleted"),
            Err(error) => warnings.push(format!("it could not be deleted ({error}), so it stays")),
        }
        if bucket.wire.left_parts_behind() {
            warnings.push(
                "an unfinished upload in parts could not be aborted; a lifecycle rule \
                 of the bucket has to remove it"
                    .to_owned(),
            );
        }
        for warning in warnings {
            summary.push_str("; warning: ");
            summary.push_str(&warning);
        }
        summary
    }

    /// Writes an object as deliveries do, then again to find out whether an existing object would
    /// be kept.
    async fn write(&self, bucket: &OpenBucket) -> Result<Conditions, StorageError> {
        if let Some(refusal) = key_refusal(self.sample.key).or_else(|| key_refusal(&self.key)) {
            return Err(StorageError::misconfigured(refusal));
        }
        let meta = Meta {
            organization_id: self.sample.organization_id.to_owned(),
            delivery_id: self.sample.unique.to_owned(),
            message_id: self.sample.unique.to_owned(),
            event_type: "waybill.destination.check".to_owned(),
            content_type: "text/plain".to_owned(),
            sha256: None,
            fallback_of: None,
        };
        let path = path(&self.key)?;
        bucket.wire.relies_on_conditions();
        let found = look(bucket, &path, &meta, CONTENT.len() as u64).await?;
        upload(
            bucket,
            self.settings,
            &path,
            &meta,
            Payload::in_memory(CONTENT),
        )
        .await?;
        let conditions = find_out(bucket, self.settings, &path, &meta, CONTENT).await;
        match conditions {
            Ok(Conditions::Honored) => Ok(Conditions::Honored),
            Ok(conditions) if found != Existing::Unseen => Ok(conditions),
            Ok(_) => Err(self
                .withdrawn(bucket, StorageError::misconfigured(UNPROTECTED))
                .await),
            Err(error) => Err(self.withdrawn(bucket, error).await),
        }
    }

    /// Deletes the object after a failed check, if possible, and returns the failure.
    async fn withdrawn(&self, bucket: &OpenBucket, error: StorageError) -> StorageError {
        if let Err(error) = self.storage.delete(bucket, self.settings, &self.key).await {
            let error = worker::redacted(&error.to_string());
            tracing::info!(
                error,
                "failed to delete the object that a check wrote; it stays in the bucket"
            );
        }
        error
    }
}

fn is_no_bucket(code: Option<&str>) -> bool {
    matches!(code, Some("NoSuchBucket" | "ContainerNotFound"))
}

/// Whether an error belongs to the step `authorize`: the credentials may not write, or the bucket
/// does not exist.
fn is_about_permission(error: &StorageError) -> bool {
    match error.outcome() {
        Some(Outcome::ClientError(reason)) => reason == Reason::Authorization,
        Some(Outcome::Reject(Reason::Misconfigured)) => error
            .answer()
            .is_some_and(|answer| is_no_bucket(answer.code.as_deref())),
        _ => false,
    }
}

/// Returns a key with the same prefix as deliveries use.
fn sibling_key(sample_key: &str, unique: &str) -> String {
    let name = format!("waybill-check-{unique}");
    match sample_key.rsplit_once('/') {
        Some((prefix, _)) if key_refusal(prefix).is_none() => format!("{prefix}/{name}"),
        _ => name,
    }
}

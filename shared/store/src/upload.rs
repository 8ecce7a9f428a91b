//! Uploads: objects that a client announced, and the messages that use them. An object is deleted
//! with its last use.

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::id::{MessageId, OrganizationId, UploadId};
use serde::{Deserialize, Serialize};

use crate::attributes::{Item, Put, Reader, number, text};
use crate::delivery::item::expiry_seconds;
use crate::document;
use crate::expression::Condition;
use crate::keys::{self, PK, SK, TTL};
use crate::tally::{Limit, Within};
use crate::{ObjectLocation, Store, StoreError};

/// How much longer than its message's history a use is kept, because unfinished deliveries may
/// still need the object.
const UNFINISHED_DAYS: i64 = 14;

/// How many bytes of an outstanding upload were announced.
const BYTES: &str = "bytes";

/// An upload as it was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The id of the upload.
    pub id: UploadId,
    /// The organization that owns the upload.
    pub organization_id: OrganizationId,
    /// The media type of the file.
    pub content_type: String,
    /// The name of the file.
    pub filename: Option<String>,
    /// The length of the file in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The key of the object that the file is put into.
    pub key: String,
    /// When the upload was announced.
    pub created_at: Timestamp,
    /// Until when the file can be put.
    pub expires_at: Timestamp,
}

impl Upload {
    /// Whether the object is kept as long as the payload of a message that is accepted at `now`.
    /// The bucket's lifecycle rules delete it after a time that its key has named since it was
    /// announced.
    #[must_use]
    pub fn outlives_message(&self, payload_retention_days: u32, now: Timestamp) -> bool {
        const DAY: i64 = 86_400;
        let Some(days) = keys::lifecycle_days_of(&self.key) else {
            return false;
        };
        let kept_until = self.created_at.as_seconds() + (i64::from(days) + UNFINISHED_DAYS) * DAY;
        now.as_seconds() + i64::from(payload_retention_days) * DAY <= kept_until
    }
}

/// The outcome of announcing an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceOutcome {
    /// The file may be put.
    Done,
    /// The file may not be put, because the announced uploads that no message uses have too many
    /// bytes.
    Over {
        /// When the first of those expires and frees its bytes; `None` if there are none.
        until: Option<Timestamp>,
    },
}

impl Store {
    /// Saves an upload for as long as its object may be used. It is outstanding until a message
    /// uses it or it can no longer be put. Outstanding uploads have at most `bytes_max` bytes in
    /// total.
    pub async fn create_upload(
        &self,
        upload: &Upload,
        retention_days: u32,
        bytes_max: Option<u64>,
    ) -> Result<AnnounceOutcome, StoreError> {
        const ACTION: &str = "announce an upload";
        let organization = upload.organization_id;
        let mut item = document::item(&keys::upload(organization, upload.id), upload);
        item.put(
            TTL,
            number(upload.created_at.as_seconds() + i64::from(retention_days) * 86_400),
        );
        let Some(most) = bytes_max else {
            self.put(ACTION, item, Condition::default()).await?;
            return Ok(AnnounceOutcome::Done);
        };
        let mut outstanding = keys::outstanding(organization, upload.id).item();
        outstanding.put(BYTES, number(upload.size_bytes));
        outstanding.put(TTL, number(upload.expires_at.as_seconds()));
        let transaction = || {
            self.transaction()
                .put(item.clone(), Condition::default())
                .put(outstanding.clone(), Condition::default())
        };
        let limit = Limit {
            tally: &keys::uploads_tally(organization),
            amount: upload.size_bytes,
            most,
        };
        let count = || async move { Ok(self.outstanding(organization).await?.0) };
        match self
            .transact_within(ACTION, limit, transaction, count)
            .await?
        {
            Within::Done | Within::Refused => Ok(AnnounceOutcome::Done),
            Within::Over => Ok(AnnounceOutcome::Over {
                until: self.outstanding(organization).await?.1,
            }),
        }
    }

    /// Returns how many bytes are outstanding, and when the first of those uploads expires.
    async fn outstanding(
        &self,
        organization: OrganizationId,
    ) -> Result<(u64, Option<Timestamp>), StoreError> {
        let mut waiting = Condition::default();
        waiting
            .equals(PK, text(keys::uploads(organization)))
            .begins_with(SK, text(keys::OUTSTANDING_PREFIX));
        let read = |item: &Item| -> Result<(u64, i64), StoreError> {
            Ok((Reader(item).number(BYTES)?, Reader(item).number(TTL)?))
        };
        let action = "count outstanding uploads";
        let found = self
            .list_as(action, self.query(waiting), u32::MAX, read)
            .await?;
        let bytes = found
            .items
            .iter()
            .fold(0_u64, |sum, (bytes, _)| sum.saturating_add(*bytes));
        let first = found.items.iter().map(|(_, until)| *until).min();
        Ok((
            bytes,
            first.map(|seconds| Timestamp::from_millis(seconds * 1000)),
        ))
    }

    /// Reads an upload of an organization.
    pub async fn upload(
        &self,
        organization: OrganizationId,
        id: UploadId,
    ) -> Result<Option<Upload>, StoreError> {
        let item = self
            .get("read an upload", &keys::upload(organization, id))
            .await?;
        item.filter(|item| self.is_alive(item))
            .as_ref()
            .map(document::read)
            .transpose()
    }

    /// Records that a message uses an object of the service's bucket that other messages may use
    /// too. This is written before the message: a use without a message keeps the object longer
    /// than needed, while a message without a use could lose it.
    pub(crate) async fn note_use(
        &self,
        location: &ObjectLocation,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        if location.bucket.is_some() {
            return Ok(());
        }
        let mut item = keys::used(&location.key, delivery.id.message).item();
        item.put(
            TTL,
            number(expiry_seconds(delivery) + UNFINISHED_DAYS * 86_400),
        );
        self.put("note a use of an upload", item, Condition::default())
            .await?;
        match keys::upload_of(&location.key) {
            Some(upload) => {
                let outstanding = keys::outstanding(delivery.organization, upload);
                self.delete(
                    "note that an upload is used",
                    &outstanding,
                    Condition::default(),
                )
                .await
                .map(drop)
            }
            None => Ok(()),
        }
    }

    /// Deletes an object of the service's bucket that a message used, unless another message uses
    /// it.
    pub(crate) async fn end_use(
        &self,
        location: &ObjectLocation,
        message: MessageId,
    ) -> Result<(), StoreError> {
        self.delete(
            "end a use of an upload",
            &keys::used(&location.key, message),
            Condition::default(),
        )
        .await?;
        let mut others = Condition::default();
        others.equals(PK, text(keys::uses(&location.key)));
        let others = self
            .list(
                "read who uses an upload",
                self.query(others).consistent_read(true),
                1,
            )
            .await?;
        if others.items.is_empty() {
            self.delete_object(location).await
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::id::Ulid;

    use super::*;

    #[test]
    fn an_upload_is_used_only_while_it_outlives_the_message() {
        let created_at = Timestamp::from_millis(1_764_000_000_000);
        let id = UploadId::from(Ulid::first_at(created_at));
        let organization = OrganizationId::from(Ulid::first_at(created_at));
        let announced = |retention_days| Upload {
            id,
            organization_id: organization,
            content_type: "text/csv".to_owned(),
            filename: None,
            size_bytes: 1,
            sha256: None,
            key: Store::upload_key(retention_days, organization, id),
            created_at,
            expires_at: created_at.plus(Duration::from_secs(86_400)),
        };
        let outlives = |announced_days, days: u64, message_days| {
            let now = created_at.plus(Duration::from_secs(days * 86_400));
            announced(announced_days).outlives_message(message_days, now)
        };
        // The rule of the prefix 30 deletes after 44 days.
        assert!(outlives(30, 0, 30) && outlives(30, 14, 30) && !outlives(30, 15, 30));
        assert!(outlives(31, 0, 60) && outlives(30, 0, 44) && !outlives(30, 0, 45));
        assert!(outlives(30, 29, 15) && !outlives(30, 30, 15));
        assert!(outlives(3650, 0, 3650));
    }
}

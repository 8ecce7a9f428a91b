//! Uploads: what a client said it would put into the bucket, and which messages use it. The object goes with the last of them.

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::id::{MessageId, OrganizationId, UploadId};
use serde::{Deserialize, Serialize};

use crate::attributes::{Put, Reader, number, text};
use crate::delivery::item::expiry_seconds;
use crate::document;
use crate::expression::Condition;
use crate::keys::{self, PK, SK, TTL};
use crate::tally::{Limit, Within};
use crate::{ObjectPlace, Store, StoreError};

/// How much longer than its message's history a use is kept: what is still unfinished then may yet need the object.
const UNFINISHED_DAYS: i64 = 14;

/// How many bytes of an outstanding upload were announced.
const BYTES: &str = "bytes";

/// An upload as it was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its media type.
    pub content_type: String,
    /// What the file is called.
    pub filename: Option<String>,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Where it goes.
    pub key: String,
    /// When it was announced.
    pub created_at: Timestamp,
    /// Until when it can be put.
    pub expires_at: Timestamp,
}

/// What became of an upload that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// It may be put.
    Done,
    /// It may not: too many bytes are announced that no message uses. Some of them are given up then, if not before.
    Over {
        /// When the first of the links expires; `None` when there are none.
        until: Option<Timestamp>,
    },
}

impl Store {
    /// Keeps an upload, for as long as its object may be used. Until a message uses it, or it can no longer be put, it is outstanding;
    /// of those there are at most `bytes_max` bytes.
    pub async fn create_upload(&self, upload: &Upload, retention_days: u32, bytes_max: Option<u64>) -> Result<Announced, StoreError> {
        const ACTION: &str = "announce an upload";
        let organization = upload.organization_id;
        let mut item = document::item(&keys::upload(organization, upload.id), upload);
        item.put(TTL, number(upload.created_at.as_seconds() + i64::from(retention_days) * 86_400));
        let Some(most) = bytes_max else {
            self.put(ACTION, item, Condition::default()).await?;
            return Ok(Announced::Done);
        };
        let mut outstanding = keys::outstanding(organization, upload.id).item();
        outstanding.put(BYTES, number(upload.size_bytes));
        outstanding.put(TTL, number(upload.expires_at.as_seconds()));
        let transaction = || self.transaction().put(item.clone(), Condition::default()).put(outstanding.clone(), Condition::default());
        let limit = Limit { tally: &keys::uploads_tally(organization), amount: upload.size_bytes, most };
        let count = || async move { Ok(self.outstanding(organization).await?.0) };
        match self.transact_within(ACTION, limit, transaction, count).await? {
            Within::Done | Within::Refused => Ok(Announced::Done),
            Within::Over => Ok(Announced::Over { until: self.outstanding(organization).await?.1 }),
        }
    }

    /// How many bytes are outstanding, and until when the first of them are.
    async fn outstanding(&self, organization: OrganizationId) -> Result<(u64, Option<Timestamp>), StoreError> {
        let mut waiting = Condition::default();
        waiting.equals(PK, text(keys::uploads(organization))).begins_with(SK, text(keys::OUTSTANDING_PREFIX));
        let found = self.list("count outstanding uploads", self.query(waiting).consistent_read(true), u32::MAX).await?;
        let (mut bytes, mut first): (u64, Option<i64>) = (0, None);
        for item in found.items.iter().filter(|item| self.is_alive(item)) {
            bytes = bytes.saturating_add(Reader(item).number(BYTES)?);
            let until: i64 = Reader(item).number(TTL)?;
            first = Some(first.map_or(until, |first| first.min(until)));
        }
        Ok((bytes, first.map(|seconds| Timestamp::from_millis(seconds * 1000))))
    }

    /// An upload of an organization.
    pub async fn upload(&self, organization: OrganizationId, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let item = self.get("read an upload", &keys::upload(organization, id)).await?;
        item.filter(|item| self.is_alive(item)).as_ref().map(document::read).transpose()
    }

    /// Notes that a message uses an object of the service's bucket that others may use too. Written before the message: a note without one
    /// keeps the object longer than need be, a message without a note would lose it.
    pub(crate) async fn note_use(&self, place: &ObjectPlace, delivery: &Delivery) -> Result<(), StoreError> {
        if place.bucket.is_some() {
            return Ok(());
        }
        let mut item = keys::used(&place.key, delivery.id.message).item();
        item.put(TTL, number(expiry_seconds(delivery) + UNFINISHED_DAYS * 86_400));
        self.put("note a use of an upload", item, Condition::default()).await?;
        match keys::upload_of(&place.key) {
            Some(upload) => {
                let outstanding = keys::outstanding(delivery.organization, upload);
                self.delete("note that an upload is used", &outstanding, Condition::default()).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Deletes an object of the service's bucket that a message used, unless another message uses it.
    pub(crate) async fn end_use(&self, place: &ObjectPlace, message: MessageId) -> Result<(), StoreError> {
        self.delete("end a use of an upload", &keys::used(&place.key, message), Condition::default()).await?;
        let mut others = Condition::default();
        others.equals(PK, text(keys::uses(&place.key)));
        let others = self.list("read who uses an upload", self.query(others).consistent_read(true), 1).await?;
        if others.items.is_empty() { self.delete_object(place).await } else { Ok(()) }
    }
}

//! Uploads: what a client said it would put into the bucket, and which messages use it. The object goes with the last of them.

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::id::{MessageId, OrganizationId, UploadId};
use serde::{Deserialize, Serialize};

use crate::attributes::{Put, number, text};
use crate::delivery::item::expiry_seconds;
use crate::document;
use crate::expression::Condition;
use crate::keys::{self, PK, TTL};
use crate::{ObjectPlace, Store, StoreError};

/// How much longer than its message's history a use is kept: what is still unfinished then may yet need the object.
const UNFINISHED_DAYS: i64 = 14;

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

impl Store {
    /// Keeps an upload, for as long as its object may be used.
    pub async fn create_upload(&self, upload: &Upload, retention_days: u32) -> Result<(), StoreError> {
        let mut item = document::item(&keys::upload(upload.organization_id, upload.id), upload);
        item.put(TTL, number(upload.created_at.as_seconds() + i64::from(retention_days) * 86_400));
        self.put("announce an upload", item, Condition::default()).await?;
        Ok(())
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
        Ok(())
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

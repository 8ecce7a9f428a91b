//! Uploads: what a client said it would put into the bucket.

use domain::Timestamp;
use domain::id::{OrganizationId, UploadId};
use serde::{Deserialize, Serialize};

use crate::attributes::{Put, number};
use crate::document;
use crate::expression::Condition;
use crate::keys::{self, TTL};
use crate::{Store, StoreError};

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
}

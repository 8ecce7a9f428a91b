//! Confirmations of addresses that are to get alerts: of each address the newest, until it is used or its time is over.

use domain::Timestamp;
use domain::id::OrganizationId;
use serde::{Deserialize, Serialize};

use crate::attributes::{Put, number};
use crate::document::{self, unchanged};
use crate::expression::Condition;
use crate::keys::{self, TTL};
use crate::{Store, StoreError};

/// A link that was mailed to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingConfirmation {
    /// The address.
    pub address: String,
    /// The SHA-256 of the link's secret, lower-case hexadecimal.
    pub secret_sha256: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps the confirmation of an address, in the place of an earlier one. `address_sha256` names it.
    pub async fn save_confirmation(
        &self,
        organization: OrganizationId,
        address_sha256: &str,
        confirmation: &PendingConfirmation,
    ) -> Result<(), StoreError> {
        let mut item = document::item(&keys::confirmation(organization, address_sha256), confirmation);
        item.put(TTL, number(confirmation.expires_at.as_seconds()));
        self.put("keep a confirmation", item, Condition::default()).await.map(drop)
    }

    /// The confirmation of an address that can still be used.
    pub async fn confirmation(
        &self,
        organization: OrganizationId,
        address_sha256: &str,
    ) -> Result<Option<PendingConfirmation>, StoreError> {
        let item = self.get("read a confirmation", &keys::confirmation(organization, address_sha256)).await?;
        item.filter(|item| self.is_alive(item)).as_ref().map(document::read).transpose()
    }

    /// Ends a confirmation, unless there is a newer one.
    pub async fn end_confirmation(
        &self,
        organization: OrganizationId,
        address_sha256: &str,
        confirmation: &PendingConfirmation,
    ) -> Result<(), StoreError> {
        let key = keys::confirmation(organization, address_sha256);
        self.delete("end a confirmation", &key, unchanged(confirmation)).await.map(drop)
    }
}

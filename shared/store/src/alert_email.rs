//! Confirmations of addresses that are to receive alerts. The newest confirmation of each address
//! is kept until it is used or expires.

use domain::Timestamp;
use domain::id::OrganizationId;
use serde::{Deserialize, Serialize};

use crate::attributes::{Put, number};
use crate::document::{self, unchanged};
use crate::expression::Condition;
use crate::keys::{self, TTL};
use crate::{Store, StoreError};

/// A confirmation link that was sent to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingConfirmation {
    /// The address that the link was sent to.
    pub address: String,
    /// The SHA-256 of the link's secret, lower-case hexadecimal.
    pub secret_sha256: String,
    /// The time at which the link expires.
    pub expires_at: Timestamp,
}

impl Store {
    /// Saves the confirmation of an address and replaces an earlier one. `address_sha256`
    /// identifies the address.
    pub async fn save_confirmation(
        &self,
        organization: OrganizationId,
        address_sha256: &str,
        confirmation: &PendingConfirmation,
    ) -> Result<(), StoreError> {
        let mut item = document::item(
            &keys::confirmation(organization, address_sha256),
            confirmation,
        );
        item.put(TTL, number(confirmation.expires_at.as_seconds()));
        self.put("keep a confirmation", item, Condition::default())
            .await
            .map(drop)
    }

    /// Returns the confirmation of an address if it can still be used.
    pub async fn confirmation(
        &self,
        organization: OrganizationId,
        address_sha256: &str,
    ) -> Result<Option<PendingConfirmation>, StoreError> {
        let item = self
            .get(
                "read a confirmation",
                &keys::confirmation(organization, address_sha256),
            )
            .await?;
        item.filter(|item| self.is_alive(item))
            .as_ref()
            .map(document::read)
            .transpose()
    }

    /// Deletes a confirmation, unless a newer one has replaced it.
    pub async fn end_confirmation(
        &self,
        organization: OrganizationId,
        address_sha256: &str,
        confirmation: &PendingConfirmation,
    ) -> Result<(), StoreError> {
        let key = keys::confirmation(organization, address_sha256);
        self.delete("end a confirmation", &key, unchanged(confirmation))
            .await
            .map(drop)
    }
}

//! The progress of reconcile, in one item, so that the next run continues after an interrupted one.

use domain::Timestamp;
use domain::id::{DeliveryId, OrganizationId};
use serde::{Deserialize, Serialize};

use crate::expression::Condition;
use crate::{Store, StoreError, document, keys};

/// A round of reconcile through the deliveries of all organizations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Round {
    /// When the round began; `None` if none is in progress.
    pub began_at: Option<Timestamp>,
    /// The last organization that is complete.
    pub done_with: Option<OrganizationId>,
    /// The current shard of the next organization.
    pub shard: u8,
    /// The last delivery of the shard that was passed.
    pub after: Option<DeliveryId>,
    /// When the last completed round began.
    pub last_began_at: Option<Timestamp>,
}

impl Store {
    /// Reads the round that is in progress, or the result of the last one.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let item = self
            .get("read how far reconcile is", &keys::round())
            .await?;
        item.as_ref().map_or(Ok(Round::default()), document::read)
    }

    /// Saves the progress of a round. If two runs are in progress, the later save wins; a delivery
    /// that both find is queued once.
    pub async fn keep_round(&self, round: &Round) -> Result<(), StoreError> {
        self.put(
            "keep how far reconcile is",
            document::item(&keys::round(), round),
            Condition::default(),
        )
        .await
        .map(drop)
    }
}

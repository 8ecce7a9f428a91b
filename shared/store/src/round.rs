//! How far reconcile has come: one item, so that a run that is cut off leaves the rest to the next.

use domain::Timestamp;
use domain::id::{DeliveryId, OrganizationId};
use serde::{Deserialize, Serialize};

use crate::expression::Condition;
use crate::{Store, StoreError, document, keys};

/// A round of all organizations' deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Round {
    /// When it began; `None` while none is under way.
    pub began_at: Option<Timestamp>,
    /// The last organization it is done with.
    pub done_with: Option<OrganizationId>,
    /// In the next one, the shard it is at.
    pub shard: u8,
    /// In that, the last delivery it has passed.
    pub after: Option<DeliveryId>,
    /// When the last round began that came to its end.
    pub last_began_at: Option<Timestamp>,
}

impl Store {
    /// The round that is under way, or the end of the last one.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let item = self.get("read how far reconcile is", &keys::round()).await?;
        item.as_ref().map_or(Ok(Round::default()), document::read)
    }

    /// Keeps how far a round is. Of two that go on at once the later one stands: what both looked at was sent once.
    pub async fn keep_round(&self, round: &Round) -> Result<(), StoreError> {
        self.put("keep how far reconcile is", document::item(&keys::round(), round), Condition::default()).await.map(drop)
    }
}

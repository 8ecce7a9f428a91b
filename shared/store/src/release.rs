//! How far the release of the deliveries that wait for a destination has come. It is kept in the
//! entry by which the monitor watches the destination.

use domain::Timestamp;
use domain::id::{DeliveryId, DestinationId};
use serde::{Deserialize, Serialize};

use crate::attributes::{Reader, json};
use crate::expression::Change;
use crate::keys::{self, PK};
use crate::{Store, StoreError};

/// The position of an unfinished walk over the deliveries that wait for a destination.
const WALK: &str = "walk";

/// An unfinished walk over the open deliveries of a destination, which releases those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseWalk {
    /// The revision of the destination during the walk. Another revision needs another walk.
    pub revision: u64,
    /// The last delivery that the walk has passed.
    pub after: DeliveryId,
    /// When the walk began, if it has released nothing so far.
    pub idle_since: Option<Timestamp>,
}

impl Store {
    /// Returns the unfinished walk over the deliveries that wait for this revision of a
    /// destination, if there is one.
    pub async fn release_walk(
        &self,
        destination: DestinationId,
        revision: u64,
    ) -> Result<Option<ReleaseWalk>, StoreError> {
        let item = self
            .get("read how far a release is", &keys::waiting(destination))
            .await?;
        let Some(item) = item else { return Ok(None) };
        let walk: Option<ReleaseWalk> = Reader(&item).json_opt(WALK)?;
        Ok(walk.filter(|walk| walk.revision == revision))
    }

    /// Records how far a walk has come; `None` ends it.
    pub async fn keep_release_walk(
        &self,
        destination: DestinationId,
        walk: Option<&ReleaseWalk>,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.set_or_remove(WALK, walk.map(json)).when().exists(PK);
        self.change(
            "record how far a release is",
            &keys::waiting(destination),
            change,
        )
        .await
        .map(drop)
    }
}

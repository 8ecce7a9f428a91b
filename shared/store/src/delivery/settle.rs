//! Settles a delivery: writes an attempt and the state that it led to in one conditional update.

use domain::delivery::{Delivery, DeliveryStatus};
use sha2::{Digest, Sha256};

use super::item::{
    ATTEMPTS, GENERATION, MUTABLE, RECORD, STATUS, TOKEN, decode, encode_progress, encode_record,
    status,
};
use crate::attributes::{Item, Reader, binary, number};
use crate::expression::Change;
use crate::keys;
use crate::table::Written;
use crate::together::Write;
use crate::{Store, StoreError};

/// Bytes of a token that are stored. A token only distinguishes the settles of one delivery.
const TOKEN_BYTES: usize = 8;

/// The outcome of a settle.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The attempt and the state were written.
    Done,
    /// The delivery changed first; this is its current state.
    Lost(Box<Delivery>),
}

impl Store {
    /// Records the last attempt of `after` and its state, unless the delivery changed since
    /// `before` was read. `token` is unique to this attempt: a settle that finds its own token has
    /// already been made.
    pub async fn settle(
        &self,
        before: &Delivery,
        after: &Delivery,
        token: &str,
    ) -> Result<Settled, StoreError> {
        self.archive(before).await?;
        let token = &Sha256::digest(token)[..TOKEN_BYTES];
        let mut change = progress(&encode_progress(after));
        change.set_or_remove(RECORD, encode_record(after));
        change.set(TOKEN, binary(token));
        unchanged_since(&mut change, before);
        change.when().one_of(
            STATUS,
            [
                status(DeliveryStatus::Queued),
                status(DeliveryStatus::Retrying),
            ],
        );
        let write = Write::Update(keys::delivery(before.organization, before.id), change);
        match self.together.write("settle a delivery", write).await? {
            Written::Done => Ok(Settled::Done),
            Written::Refused(Some(item)) if Reader(&item).binary_opt(TOKEN)? == Some(token) => {
                Ok(Settled::Done)
            }
            Written::Refused(found) => {
                self.withdraw(before, found.as_ref()).await?;
                let current = found.as_ref().map(decode).transpose()?;
                Ok(Settled::Lost(Box::new(
                    current.unwrap_or_else(|| before.clone()),
                )))
            }
        }
    }
}

/// Changes every mutable attribute to its value in `item`; an attribute that `item` lacks is
/// removed.
pub(super) fn progress(item: &Item) -> Change {
    let mut change = Change::default();
    for name in MUTABLE {
        change.set_or_remove(name, item.get(*name).cloned());
    }
    change
}

/// Requires that the delivery is unchanged since it was read.
pub(super) fn unchanged_since(change: &mut Change, before: &Delivery) {
    change
        .when()
        .equals(GENERATION, number(before.generation))
        .equals(ATTEMPTS, number(before.attempts));
}

//! Tallies count how much of something an organization has, so that its limit holds for concurrent
//! creations too.
//!
//! A tally is raised in the transaction that creates the thing, on condition that the limit is not
//! exceeded. It is not lowered when things are deleted or expire. When it reaches the limit, what
//! exists is counted and the tally is set to that number, unless it changed meanwhile.

use crate::attributes::{Item, Put, Reader, number};
use crate::document::absent;
use crate::expression::{Change, Condition};
use crate::keys::Key;
use crate::transaction::{Transacted, Transaction};
use crate::{Store, StoreError};

const COUNT: &str = "n";
/// Counts the changes of the tally.
const REVISION: &str = "rev";
/// How often a creation is tried again when others change the tally at the same time.
const RACES_MAX: usize = 16;

/// A limit on what a tally counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit<'a> {
    /// The key of the tally.
    pub(crate) tally: &'a Key,
    /// How much is to be created.
    pub(crate) amount: u64,
    /// How much may exist.
    pub(crate) most: u64,
}

/// The outcome of a creation under a limit.
#[derive(Debug)]
pub(crate) enum Within {
    /// The item was created.
    Done,
    /// It was not created, because it would exceed the limit.
    Over,
    /// It was not created, because another condition of the transaction did not hold.
    Refused,
}

impl Store {
    /// Executes the transaction within the limit. `count` reads how much exists.
    pub(crate) async fn transact_within<'s, C>(
        &'s self,
        action: &'static str,
        limit: Limit<'_>,
        transaction: impl Fn() -> Transaction<'s>,
        count: impl Fn() -> C,
    ) -> Result<Within, StoreError>
    where
        C: Future<Output = Result<u64, StoreError>> + Send,
    {
        let Some(room) = limit.most.checked_sub(limit.amount) else {
            return Ok(Within::Over);
        };
        for _ in 0..RACES_MAX {
            let transaction = transaction();
            let raise = transaction.len();
            match self
                .transact(
                    action,
                    transaction.change(limit.tally, raised(limit.amount, room)),
                )
                .await?
            {
                Transacted::Done => return Ok(Within::Done),
                Transacted::Refused { position, item } if position == raise => {
                    let actual = count().await?;
                    if actual > room {
                        return Ok(Within::Over);
                    }
                    self.retally(limit.tally, item.as_ref(), actual).await?;
                }
                Transacted::Refused { .. } => return Ok(Within::Refused),
            }
        }
        Err(StoreError::contended(action))
    }

    /// Sets a tally to what was counted, unless it changed since it was read; the next try then
    /// sees that change.
    async fn retally(
        &self,
        tally: &Key,
        seen: Option<&Item>,
        actual: u64,
    ) -> Result<(), StoreError> {
        let revision: u64 = seen
            .map(|item| Reader(item).number(REVISION))
            .transpose()?
            .unwrap_or(0);
        let mut item = tally.item();
        item.put(COUNT, number(actual));
        item.put(REVISION, number(revision + 1));
        let condition = match seen {
            Some(_) => {
                let mut condition = Condition::default();
                condition.equals(REVISION, number(revision));
                condition
            }
            None => absent(),
        };
        self.put("count what there is", item, condition)
            .await
            .map(drop)
    }
}

/// Raises the tally by `amount` if it exists and is at most `room`.
fn raised(amount: u64, room: u64) -> Change {
    let mut change = Change::default();
    change.add(COUNT, number(amount)).add(REVISION, number(1));
    let condition = change.when();
    let fits = format!(
        "{} <= {}",
        condition.name(COUNT),
        condition.value(number(room))
    );
    condition.and(fits);
    change
}

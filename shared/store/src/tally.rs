//! Tallies: how much of something an organization has, so that a limit on it holds whoever makes more of it at the same time.
//!
//! A tally is raised in the transaction that makes the thing, on condition that the limit is not exceeded. It is not lowered when things go: they
//! expire, too. When it reaches the limit, what is really there is counted, and the tally set to that, unless it changed meanwhile.

use crate::attributes::{Item, Put, Reader, number};
use crate::document::absent;
use crate::expression::{Change, Condition};
use crate::keys::Key;
use crate::transaction::{Transacted, Transaction};
use crate::{Store, StoreError};

const COUNT: &str = "n";
/// Counts changes of the tally.
const REVISION: &str = "rev";
/// How often a creation is tried again when others change the tally at the same time.
const RACES_MAX: usize = 16;

/// A limit on what a tally counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit<'a> {
    /// Where the tally is.
    pub(crate) tally: &'a Key,
    /// How much of it is made.
    pub(crate) amount: u64,
    /// How much there may be.
    pub(crate) most: u64,
}

/// What became of a creation under a limit.
#[derive(Debug)]
pub(crate) enum Within {
    /// It was done.
    Done,
    /// It was not: there would be too much.
    Over,
    /// It was not: a condition of its own did not hold.
    Refused,
}

impl Store {
    /// Carries out what `transaction` says, within the limit; `count` reads how much there really is.
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
        let Some(room) = limit.most.checked_sub(limit.amount) else { return Ok(Within::Over) };
        for _ in 0..RACES_MAX {
            let transaction = transaction();
            let raise = transaction.len();
            match self.transact(action, transaction.change(limit.tally, raised(limit.amount, room))).await? {
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

    /// Sets a tally to what was counted, unless it has changed since it was read: then that is what the next try sees.
    async fn retally(&self, tally: &Key, seen: Option<&Item>, actual: u64) -> Result<(), StoreError> {
        let revision: u64 = seen.map(|item| Reader(item).number(REVISION)).transpose()?.unwrap_or(0);
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
        self.put("count what there is", item, condition).await.map(drop)
    }
}

/// The tally with `amount` more, if it is at most `room` and was counted before.
fn raised(amount: u64, room: u64) -> Change {
    let mut change = Change::default();
    change.add(COUNT, number(amount)).add(REVISION, number(1));
    let condition = change.when();
    let fits = format!("{} <= {}", condition.name(COUNT), condition.value(number(room)));
    condition.and(fits);
    change
}

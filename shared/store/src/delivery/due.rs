//! The due index, and the walk that finds deliveries whose task was lost.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::{DeliveryId, OrganizationId};
use domain::settle::LONGEST_QUEUED_WAIT;
use domain::waiting::{Waiting, WaitingFor};

use super::item::{STATUS, decode, status};
use crate::attributes::{Item, Reader, text, time};
use crate::expression::Condition;
use crate::keys::{self, DUE, Key, PK, SK};
use crate::page::Walk;
use crate::unreadable::readable;
use crate::{Store, StoreError};

/// How much later than its queued task a delivery is due, so that the task comes first unless it
/// was lost.
const LOST_AFTER: Duration = Duration::from_secs(60);
/// Items that one step of the walk reads.
const WALK_STEP: i32 = 500;

/// A delivery that the due index lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueEntry {
    /// The organization of the delivery.
    pub organization: OrganizationId,
    /// The id of the delivery.
    pub delivery: DeliveryId,
    /// When the delivery is due.
    pub due_at: Timestamp,
}

/// Where a walk through the due index continues.
#[derive(Clone, Debug, PartialEq)]
pub struct DueAfter(Item);

/// Returns when the due index lists a delivery. A longer wait has no task in a queue, so the index
/// is the only thing that ends it.
pub(super) fn due_at(delivery: &Delivery) -> Option<Timestamp> {
    if let Some(Waiting {
        reason,
        expected_at,
    }) = delivery.waiting
    {
        // A delivery that waits for a pause comes due when it expires; the end of the pause
        // releases it otherwise.
        return match reason {
            WaitingFor::Pause => delivery.message.expires_at,
            WaitingFor::Rate | WaitingFor::Concurrency => expected_at.map(|at| at.plus(LOST_AFTER)),
        };
    }
    let next_attempt_at = delivery.state.next_attempt_at()?;
    let in_queue = next_attempt_at.since(delivery.updated_at) <= LONGEST_QUEUED_WAIT;
    Some(if in_queue {
        next_attempt_at.plus(LOST_AFTER)
    } else {
        next_attempt_at
    })
}

impl Store {
    /// Walks the deliveries of one partition that are due by `until`, oldest first. `partition` is
    /// below [`crate::DUE_PARTITIONS`].
    pub async fn due(
        &self,
        partition: u8,
        until: Timestamp,
        after: Option<DueAfter>,
        limit: u32,
    ) -> Result<Walk<DueEntry, DueAfter>, StoreError> {
        let mut condition = Condition::default();
        condition.equals(DUE.pk, text(keys::due(partition)));
        condition.between(DUE.sk, time(Timestamp::from_millis(0)), time(until));
        let call = self
            .query(condition)
            .index_name(DUE.name)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let call = call.set_exclusive_start_key(after.map(|DueAfter(last)| last));
        let answer = call
            .send()
            .await
            .map_err(StoreError::of("read what is due"))?;
        let entry = |from: Reader<'_>| {
            let organization = keys::organization_of(from.text(PK)?)
                .ok_or_else(|| from.corrupt("its partition names no organization"))?;
            let delivery = keys::delivery_of(from.text(SK)?)
                .ok_or_else(|| from.corrupt("its sort key names no delivery"))?;
            Ok(DueEntry {
                organization,
                delivery,
                due_at: from.time(DUE.sk)?,
            })
        };
        let items = readable(answer.items().iter().map(|item| entry(Reader(item))))?;
        Ok(Walk {
            items,
            next: answer.last_evaluated_key.map(DueAfter),
        })
    }

    /// Walks the unfinished deliveries of one shard of an organization, oldest first.
    pub async fn unfinished(
        &self,
        organization: OrganizationId,
        shard: u8,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Walk<Delivery, DeliveryId>, StoreError> {
        let partition = keys::deliveries(organization, shard);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut condition = Condition::default();
        let letters = [DeliveryStatus::Queued, DeliveryStatus::Retrying]
            .map(|unfinished| condition.value(status(unfinished)));
        let unfinished = format!("{} IN ({})", condition.name(STATUS), letters.join(", "));
        condition.equals(PK, text(&partition));
        let start = after.map(|after| {
            Key {
                pk: partition,
                sk: keys::delivery_sort(after),
            }
            .item()
        });
        let call = self
            .query(condition)
            .filter_expression(unfinished)
            .consistent_read(true);
        // Filtered items cost a read but no transfer, so a step reads more than it returns.
        let answer = call
            .set_exclusive_start_key(start)
            .limit(WALK_STEP)
            .send()
            .await
            .map_err(StoreError::of("walk deliveries"))?;
        let mut next = answer.last_evaluated_key().and_then(id_of);
        let mut items = answer.items.unwrap_or_default();
        if items.len() > limit {
            items.truncate(limit);
            next = items.last().and_then(id_of);
        }
        let found = readable(items.iter().filter(|item| self.is_alive(item)).map(decode))?;
        Ok(Walk {
            items: self.committed(found).await?,
            next,
        })
    }
}

fn id_of(item: &Item) -> Option<DeliveryId> {
    keys::delivery_of(&Key::of(item)?.sk)
}

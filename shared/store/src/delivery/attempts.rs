//! Attempts other than a delivery's last: those that a later attempt replaced, and those that ended
//! after another change.
//!
//! The first attempt and the newest ones are kept; the others are only counted.

use std::collections::BTreeSet;

use domain::Timestamp;
use domain::attempt::Attempt;
use domain::delivery::Delivery;
use domain::id::{DeliveryId, OrganizationId};
use domain::receipt::Receipt;
use domain::settle::AfterAttempt;

use super::item::{RECORD, STATUS, encode_progress, encode_record, expiry_seconds, status};
use super::record;
use super::settle::{progress, unchanged_since};
use crate::attributes::{Item, Put, Reader, binary, number, text};
use crate::expression::{Change, Condition};
use crate::keys::{self, Key, PK, TTL};
use crate::table::Written;
use crate::{Store, StoreError};

/// How many of the newest earlier attempts are kept, in addition to the first.
const KEPT_MAX: u32 = 200;
/// How often a late success is tried again when the delivery changes at the same time.
const RACES_MAX: u32 = 16;

impl Store {
    /// Writes a delivery's last attempt to an item of its own, before a later one replaces it. This
    /// is idempotent.
    pub(super) async fn archive(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let Some(attempt) = &delivery.last_attempt else { return Ok(()) };
        self.put_attempt(delivery, attempt, keys::attempt(delivery.id, attempt.number)).await?;
        if attempt.number > KEPT_MAX + 1 {
            let oldest = keys::attempt(delivery.id, attempt.number - KEPT_MAX);
            self.delete("drop an old attempt", &oldest, Condition::default()).await?;
        }
        Ok(())
    }

    async fn put_attempt(&self, delivery: &Delivery, attempt: &Attempt, key: Key) -> Result<(), StoreError> {
        let mut item = key.item();
        item.put(RECORD, binary(record::pack(delivery, attempt, None)));
        item.put(TTL, number(expiry_seconds(delivery)));
        self.put("put an attempt away", item, Condition::default()).await.map(drop)
    }

    /// Records a success that another change overtook, whatever unsuccessful state the delivery is
    /// in now. If the delivery has already succeeded, the attempt is only added to the history.
    pub async fn apply_late_success(
        &self,
        organization: OrganizationId,
        id: DeliveryId,
        attempt: Attempt,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for _ in 0..RACES_MAX {
            let Some(before) = self.delivery(organization, id).await? else { return Ok(()) };
            // Another attempt may have this number by now, so the attempt gets the next one.
            let renumbered = Attempt { number: before.attempts + 1, ..attempt.clone() };
            let Ok(after) = before.clone().settle(renumbered, AfterAttempt::Succeeded(receipt.clone()), now) else {
                // The delivery has already succeeded.
                let applied =
                    before.last_attempt.as_ref().is_some_and(|last| Attempt { number: attempt.number, ..last.clone() } == attempt);
                if applied {
                    return Ok(()); // by the write whose answer was lost
                }
                return self.put_attempt(&before, &attempt, keys::late_attempt(id, &attempt)).await;
            };
            self.archive(&before).await?;
            let mut change = progress(&encode_progress(&after));
            change.set_or_remove(RECORD, encode_record(&after));
            unchanged_since(&mut change, &before);
            change.when().equals(STATUS, status(before.status()));
            if let Written::Done = self.change("apply a late success", &keys::delivery(organization, id), change).await? {
                return Ok(());
            }
        }
        Err(StoreError::contended("apply a late success"))
    }

    /// Adds an attempt that another change overtook to the delivery's history, and changes nothing
    /// else.
    pub async fn append_late_attempt(&self, organization: OrganizationId, id: DeliveryId, attempt: Attempt) -> Result<(), StoreError> {
        let Some(delivery) = self.delivery(organization, id).await? else { return Ok(()) };
        self.put_attempt(&delivery, &attempt, keys::late_attempt(id, &attempt)).await
    }

    /// Erases the response bodies of a delivery's attempts, because they may quote the payload.
    pub(super) async fn erase_answers(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let blank = |mut attempt: Attempt| {
            if let Some(response) = &mut attempt.response {
                response.body = String::new();
                response.truncated = true;
            }
            attempt
        };
        let (attempts, _) = self.attempts(delivery).await?;
        for attempt in attempts.into_iter().filter(|attempt| Some(attempt.number) != delivery.last_attempt.as_ref().map(|last| last.number))
        {
            let key = keys::attempt(delivery.id, attempt.number);
            self.put_attempt(delivery, &blank(attempt), key).await?;
        }
        let Some(last) = delivery.last_attempt.clone() else { return Ok(()) };
        let after = Delivery { last_attempt: Some(blank(last)), ..delivery.clone() };
        let mut change = Change::default();
        change.set_or_remove(RECORD, encode_record(&after));
        unchanged_since(&mut change, delivery);
        self.change("erase an answer", &keys::delivery(delivery.organization, delivery.id), change).await?;
        Ok(())
    }

    /// Returns a delivery's attempts, oldest first and including the last, and how many are no
    /// longer kept.
    pub async fn attempts(&self, delivery: &Delivery) -> Result<(Vec<Attempt>, u32), StoreError> {
        let partition = || {
            let mut condition = Condition::default();
            condition.equals(PK, text(keys::attempts(delivery.id)));
            self.query(condition).consistent_read(true)
        };
        let mut items: Vec<Item> = Vec::new();
        if delivery.attempts > 0 {
            let newest = partition().scan_index_forward(false).limit(i32::try_from(KEPT_MAX).unwrap_or(i32::MAX)).send();
            items = newest.await.map_err(StoreError::of("read attempts"))?.items.unwrap_or_default();
            if items.len() >= KEPT_MAX as usize {
                items.extend(partition().limit(1).send().await.map_err(StoreError::of("read attempts"))?.items.unwrap_or_default());
            }
        }
        let mut attempts: Vec<Attempt> = delivery.last_attempt.iter().cloned().collect();
        for item in items.iter().filter(|item| self.is_alive(item)) {
            attempts.push(unpack(delivery, Reader(item))?);
        }
        // An attempt may be found twice: as both the first and one of the newest, or in an item
        // that a settle wrote before it lost.
        attempts.sort_by_key(|attempt| (attempt.number, attempt.started_at));
        attempts.dedup_by_key(|attempt| (attempt.number, attempt.started_at));
        let numbers: BTreeSet<u32> = attempts.iter().map(|attempt| attempt.number).collect();
        Ok((attempts, delivery.attempts.saturating_sub(u32::try_from(numbers.len()).unwrap_or(u32::MAX))))
    }
}

fn unpack(delivery: &Delivery, from: Reader<'_>) -> Result<Attempt, StoreError> {
    let packed = from.binary_opt(RECORD)?.unwrap_or_default();
    record::unpack(delivery, packed).map(|(attempt, _)| attempt).map_err(|error| from.corrupt(error.to_string()))
}

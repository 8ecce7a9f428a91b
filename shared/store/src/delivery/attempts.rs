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

use super::body::object_key;
use super::item::{
    PAYLOAD_PLACE, RECORD, STATUS, decode, encode_progress, encode_record, expiry_seconds, status,
};
use super::payload::{PLACE_ERASED, is_erased};
use super::record;
use super::settle::{progress, unchanged_since};
use crate::attributes::{Item, Put, Reader, binary, number, text};
use crate::expression::{Change, Condition};
use crate::keys::{self, Key, PK, TTL};
use crate::table::Written;
use crate::unreadable::readable;
use crate::{Store, StoreError, skip_unreadable};

/// How many of the newest earlier attempts are kept, in addition to the first.
const ARCHIVED_MAX: u32 = 200;
/// How often a late success is tried again when the delivery changes at the same time.
const RACES_MAX: u32 = 16;

impl Store {
    /// Writes a delivery's last attempt to an item of its own, before a later one replaces it. This
    /// is idempotent.
    pub(super) async fn archive(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let Some(attempt) = &delivery.last_attempt else {
            return Ok(());
        };
        self.put_attempt(
            delivery,
            attempt,
            keys::attempt(delivery.id, attempt.number),
        )
        .await?;
        if attempt.number > ARCHIVED_MAX + 1 {
            let oldest = keys::attempt(delivery.id, attempt.number - ARCHIVED_MAX);
            self.delete("drop an old attempt", &oldest, Condition::default())
                .await?;
        }
        Ok(())
    }

    async fn put_attempt(
        &self,
        delivery: &Delivery,
        attempt: &Attempt,
        key: Key,
    ) -> Result<(), StoreError> {
        let mut item = key.item();
        item.put(RECORD, binary(record::pack(delivery, attempt, None)));
        item.put(TTL, number(expiry_seconds(delivery)));
        self.put("put an attempt away", item, Condition::default())
            .await
            .map(drop)
    }

    /// Withdraws what an attempt stored before its settle lost: everything if the delivery is gone,
    /// the response body that it archived from its earlier read if the payload was erased. `found`
    /// is the delivery's current item.
    pub(super) async fn withdraw(
        &self,
        before: &Delivery,
        found: Option<&Item>,
    ) -> Result<(), StoreError> {
        if found.is_none() {
            self.remove_body(before.id, &object_key(before)).await?;
        }
        let Some(archived) = &before.last_attempt else {
            return Ok(());
        };
        let key = keys::attempt(before.id, archived.number);
        match found {
            None => self.remove(key).await,
            Some(item) if is_erased(item) => {
                self.put_attempt(before, &without_answer(archived.clone()), key)
                    .await
            }
            Some(_) => Ok(()),
        }
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
            let Some((before, erased)) = self.delivery_and_erasure(organization, id).await? else {
                return Ok(());
            };
            // Another attempt may have this number by now, so the attempt gets the next one.
            let renumbered = Attempt {
                number: before.attempts + 1,
                ..attempt.clone()
            };
            let renumbered = if erased {
                without_answer(renumbered)
            } else {
                renumbered
            };
            let Ok(after) =
                before
                    .clone()
                    .settle(renumbered, AfterAttempt::Succeeded(receipt.clone()), now)
            else {
                // The delivery has already succeeded.
                let is_same = |last: &Attempt| {
                    let last = Attempt {
                        number: attempt.number,
                        ..last.clone()
                    };
                    last == attempt || last == without_answer(attempt.clone())
                };
                if before.last_attempt.as_ref().is_some_and(is_same) {
                    return Ok(()); // by the write whose answer was lost
                }
                return self.append_late_attempt(organization, id, attempt).await;
            };
            self.archive(&before).await?;
            let mut change = progress(&encode_progress(&after));
            change.set_or_remove(RECORD, encode_record(&after));
            unchanged_since(&mut change, &before);
            change.when().equals(STATUS, status(before.status()));
            if !erased {
                change.when().differs(PAYLOAD_PLACE, text(PLACE_ERASED));
            }
            match self
                .change(
                    "apply a late success",
                    &keys::delivery(organization, id),
                    change,
                )
                .await?
            {
                Written::Done => return Ok(()),
                Written::Refused(found) => self.withdraw(&before, found.as_ref()).await?,
            }
        }
        Err(StoreError::contended("apply a late success"))
    }

    /// Adds an attempt that another change overtook to the delivery's history, and changes nothing
    /// else. Its response body is left out if the payload was erased. An erasure that began after
    /// the first read is found by the second.
    pub async fn append_late_attempt(
        &self,
        organization: OrganizationId,
        id: DeliveryId,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        let key = keys::late_attempt(id, &attempt);
        let Some((delivery, erased)) = self.delivery_and_erasure(organization, id).await? else {
            return Ok(());
        };
        if erased {
            return self
                .put_attempt(&delivery, &without_answer(attempt), key)
                .await;
        }
        self.put_attempt(&delivery, &attempt, key.clone()).await?;
        match self.delivery_and_erasure(organization, id).await? {
            None => self.remove(key).await,
            Some((_, true)) => {
                self.put_attempt(&delivery, &without_answer(attempt), key)
                    .await
            }
            Some((_, false)) => Ok(()),
        }
    }

    /// Reads a delivery and whether its payload was erased on request.
    async fn delivery_and_erasure(
        &self,
        organization: OrganizationId,
        id: DeliveryId,
    ) -> Result<Option<(Delivery, bool)>, StoreError> {
        let item = self
            .get("read a delivery", &keys::delivery(organization, id))
            .await?;
        let item = item.filter(|item| self.is_alive(item));
        item.map(|item| Ok((decode(&item)?, is_erased(&item))))
            .transpose()
    }

    /// Erases the response bodies of a delivery's attempts, because they may quote the payload.
    /// Call this after the payload is marked as erased, so that an attempt that is added meanwhile
    /// is added without its response body.
    pub(super) async fn erase_answers(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let action = "erase an answer";
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::attempts(delivery.id)));
        let history = self
            .list("read attempts", self.query(partition), u32::MAX)
            .await?;
        for item in &history.items {
            let Some(key) = Key::of(item) else {
                continue;
            };
            // An unreadable attempt is removed, because it may hold a response body.
            let Some(attempt) = skip_unreadable(unpack(delivery, Reader(item)))? else {
                self.remove(key).await?;
                continue;
            };
            if quotes(&attempt) {
                let mut change = Change::default();
                change.set(
                    RECORD,
                    binary(record::pack(delivery, &without_answer(attempt), None)),
                );
                change.when().exists(PK);
                self.change(action, &key, change).await?;
            }
        }
        for _ in 0..RACES_MAX {
            let Some(current) = self.delivery(delivery.organization, delivery.id).await? else {
                return Ok(());
            };
            let Some(last) = current.last_attempt.clone().filter(quotes) else {
                return Ok(());
            };
            let after = Delivery {
                last_attempt: Some(without_answer(last)),
                ..current.clone()
            };
            let mut change = Change::default();
            change.set_or_remove(RECORD, encode_record(&after));
            unchanged_since(&mut change, &current);
            change.when().equals(STATUS, status(current.status()));
            if self
                .change(
                    action,
                    &keys::delivery(current.organization, current.id),
                    change,
                )
                .await?
                .is_done()
            {
                return Ok(());
            }
        }
        Err(StoreError::contended(action))
    }

    /// Returns a delivery's attempts, oldest first and including the last, and how many are no
    /// longer kept. An unreadable one is logged and counts as no longer kept.
    pub async fn attempts(&self, delivery: &Delivery) -> Result<(Vec<Attempt>, u32), StoreError> {
        let partition = || {
            let mut condition = Condition::default();
            condition.equals(PK, text(keys::attempts(delivery.id)));
            self.query(condition)
        };
        // A delivery without a counted attempt may have one that ended after another change.
        let newest = self
            .list(
                "read attempts",
                partition().scan_index_forward(false),
                ARCHIVED_MAX,
            )
            .await?;
        let mut items = newest.items;
        if newest.more {
            items.extend(self.list("read attempts", partition(), 1).await?.items);
        }
        let mut attempts: Vec<Attempt> = delivery.last_attempt.iter().cloned().collect();
        attempts.extend(readable(
            items.iter().map(|item| unpack(delivery, Reader(item))),
        )?);
        // An attempt may be found twice: as both the first and one of the newest, or in an item
        // that a settle wrote before it lost.
        attempts.sort_by_key(|attempt| (attempt.number, attempt.started_at));
        attempts.dedup_by_key(|attempt| (attempt.number, attempt.started_at));
        let numbers: BTreeSet<u32> = attempts.iter().map(|attempt| attempt.number).collect();
        Ok((
            attempts,
            delivery
                .attempts
                .saturating_sub(u32::try_from(numbers.len()).unwrap_or(u32::MAX)),
        ))
    }
}

/// Whether an attempt holds a response body.
fn quotes(attempt: &Attempt) -> bool {
    attempt
        .response
        .as_ref()
        .is_some_and(|response| !response.body.is_empty())
}

/// Returns an attempt with its response body removed.
fn without_answer(mut attempt: Attempt) -> Attempt {
    if let Some(response) = &mut attempt.response {
        response.body = String::new();
        response.truncated = true;
    }
    attempt
}

fn unpack(delivery: &Delivery, from: Reader<'_>) -> Result<Attempt, StoreError> {
    let packed = from.binary_opt(RECORD)?.unwrap_or_default();
    record::unpack(delivery, packed)
        .map(|(attempt, _)| attempt)
        .map_err(|error| from.corrupt(error.to_string()))
}

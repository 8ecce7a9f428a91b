//! Changes of a delivery without an attempt: leasing, redelivering, skipping, cancelling and
//! requeueing it.

use domain::Timestamp;
use domain::delivery::Delivery;

use super::item::{LEASE, STATUS, encode_progress, status};
use super::settle::{progress, unchanged_since};
use crate::attributes::{Item, Put, text, time};
use crate::expression::Change;
use crate::keys::{self, DUE};
use crate::{Store, StoreError};

/// The outcome of leasing a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// The caller holds the lease.
    Yes,
    /// The delivery changed, or another worker holds the lease.
    Lost,
}

impl Store {
    /// Leases a delivery until `until`, unless it changed since it was read or another lease is
    /// valid at `now`.
    pub async fn lease(
        &self,
        delivery: &Delivery,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Leased, StoreError> {
        let mut change = Change::default();
        change.set(LEASE, time(until));
        change.when().missing_or_at_most(LEASE, time(now));
        let leased = self
            .change_unchanged("lease a delivery", delivery, change)
            .await?;
        Ok(if leased { Leased::Yes } else { Leased::Lost })
    }

    /// Writes the state of `after`, unless the delivery changed since `before` was read. Returns
    /// whether it was written.
    pub async fn transition(
        &self,
        before: &Delivery,
        after: &Delivery,
    ) -> Result<bool, StoreError> {
        let mut change = progress(&encode_progress(after));
        lease_unchanged(&mut change, before);
        self.change_unchanged("change a delivery", before, change)
            .await
    }

    /// Like [`Self::transition`], with a due time that the caller chooses.
    pub async fn move_due(
        &self,
        before: &Delivery,
        after: &Delivery,
        due_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut item = encode_progress(after);
        put_due(&mut item, after, due_at);
        let mut change = progress(&item);
        lease_unchanged(&mut change, before);
        self.change_unchanged("move a delivery's time", before, change)
            .await
    }

    /// Writes a due time for a delivery whose task no queue accepted. If the delivery has changed
    /// meanwhile, it needs none.
    pub async fn remember_due(
        &self,
        delivery: &Delivery,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut item = Item::new();
        put_due(&mut item, delivery, due_at);
        let mut change = Change::default();
        for (name, value) in item {
            change.set(&name, value);
        }
        self.change_unchanged("remember a delivery", delivery, change)
            .await
            .map(drop)
    }

    async fn change_unchanged(
        &self,
        action: &'static str,
        before: &Delivery,
        mut change: Change,
    ) -> Result<bool, StoreError> {
        unchanged_since(&mut change, before);
        change.when().equals(STATUS, status(before.status()));
        Ok(self
            .change(
                action,
                &keys::delivery(before.organization, before.id),
                change,
            )
            .await?
            .is_done())
    }
}

/// Requires that no worker leased the delivery since it was read. Overwriting a lease would let two
/// workers run.
fn lease_unchanged(change: &mut Change, before: &Delivery) {
    match before.state.attempt_until() {
        Some(until) => change.when().equals(LEASE, time(until)),
        None => change.when().missing(LEASE),
    };
}

pub(super) fn put_due(item: &mut Item, delivery: &Delivery, due_at: Timestamp) {
    item.put(DUE.pk, text(keys::due_partition(delivery.id)));
    item.put(DUE.sk, time(due_at));
}

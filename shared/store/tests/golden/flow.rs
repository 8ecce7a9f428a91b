//! What is stored for a destination whose deliveries wait, and for one that failures disabled.
//! Version 0.1.0 had neither.

use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::id::{DestinationId, JobId, OrganizationId};
use domain::recovery::{EnabledAgain, Recovery};
use domain::waiting::{Waiting, WaitingFor};
use store::{Content, Reset, SlotRequest, TakenSlot};

use crate::deliveries::words::PAYLOAD;
use crate::fixture::Fixture;

/// The time between two turns, and how long an attempt takes.
const SECOND: Duration = Duration::from_secs(1);
/// Slots of the destination.
const SLOTS: u32 = 2;

/// A destination with limits, which are changed while a delivery waits, and the recovery of one
/// that is disabled.
pub(crate) struct Flow {
    now: Timestamp,
    destination: Destination,
    delivery: Delivery,
    waiting: Delivery,
    recovery: Recovery,
}

async fn takes(
    fixture: &Fixture,
    id: DestinationId,
    now: Timestamp,
    until: Timestamp,
) -> TakenSlot {
    let taken = fixture
        .store
        .take_slot(
            id,
            now,
            SlotRequest {
                slots: SLOTS,
                until,
                first: 0,
            },
        )
        .await;
    taken.unwrap().expect("a slot is free")
}

impl Flow {
    /// Belongs to the organization of [`super::one_of_each`], whose items are written first.
    pub(crate) fn new(fixture: &Fixture, owner: OrganizationId) -> Self {
        let destination = fixture.new_destination(owner);
        let now = fixture.now();
        let delivery = fixture.message_to(owner, &[destination.id]).remove(0);
        let turn = Waiting {
            reason: WaitingFor::Rate,
            expected_at: Some(now.plus(SECOND * 30)),
        };
        let enabled = EnabledAgain {
            at: now,
            job: fixture.ids.mint::<JobId>(owner, 1),
            is_sent: true,
        };
        let recovery = Recovery {
            began_at: now,
            replay_since: now.minus(SECOND),
            next_check_at: Some(now.plus(SECOND * 60)),
            enabled: Some(enabled),
        };
        Self {
            now,
            waiting: delivery.clone().wait(turn).unwrap(),
            destination,
            delivery,
            recovery,
        }
    }

    pub(crate) async fn write(&self, fixture: &Fixture) {
        let (store, id) = (&fixture.store, self.destination.id);
        store
            .commit(
                std::slice::from_ref(&self.delivery),
                &Content::Bytes(Bytes::from_static(PAYLOAD)),
            )
            .await
            .unwrap();
        assert!(
            store
                .transition(&self.delivery, &self.waiting)
                .await
                .unwrap()
        );
        // The limits are changed after the first turn.
        store.next_turn(id, self.now, SECOND).await.unwrap();
        store
            .reset_turns(&self.destination, self.now)
            .await
            .unwrap();
        store
            .keep_release(id, self.now, Some(self.delivery.id))
            .await
            .unwrap();
        store.next_turn(id, self.now, SECOND).await.unwrap();
        assert_eq!(
            store.take_start(id, self.now, SECOND).await.unwrap(),
            Some(self.now)
        );
        let until = self.now.plus(SECOND * 60);
        let first = takes(fixture, id, self.now, until).await;
        takes(fixture, id, self.now, until).await;
        store
            .leave_slot(&self.destination, first, Some(SECOND), self.now)
            .await
            .unwrap();
        takes(fixture, id, self.now, until).await;
        store.expected_slot(id, self.now, SLOTS).await.unwrap();
        let health = store.health(id).await.unwrap();
        assert!(
            store
                .begin_recovery(id, &health, &self.recovery)
                .await
                .unwrap()
        );
    }

    pub(crate) async fn read(&self, fixture: &Fixture) {
        let (store, id) = (&fixture.store, self.destination.id);
        let waiting = store
            .delivery(self.delivery.organization, self.delivery.id)
            .await
            .unwrap();
        assert_eq!(waiting.as_ref(), Some(&self.waiting));
        let reset = Reset {
            at: self.now,
            released: Some(self.delivery.id),
        };
        assert_eq!(store.turns_reset(id).await.unwrap(), Some(reset));
        assert_eq!(
            store.health(id).await.unwrap().recovery.as_ref(),
            Some(&self.recovery)
        );
        assert_eq!(
            store.next_turn(id, self.now, SECOND).await.unwrap(),
            self.now.plus(SECOND),
            "one turn was given"
        );
        let start = store.take_start(id, self.now, SECOND).await.unwrap();
        assert_eq!(
            start,
            Some(self.now.plus(SECOND / 2)),
            "one attempt has started"
        );
        let until = self.now.plus(SECOND * 120);
        let request = SlotRequest {
            slots: SLOTS,
            until,
            first: 0,
        };
        let answer = store.take_slot(id, self.now, request).await.unwrap();
        assert_eq!(answer, None, "both slots are taken");
        let expected = store.expected_slot(id, self.now, SLOTS).await.unwrap();
        assert_eq!(
            expected,
            self.now.plus(SECOND),
            "one waits already, and attempts take a second"
        );
    }
}

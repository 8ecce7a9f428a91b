//! How many deliveries are pending, for one destination and for many at once.

use std::num::NonZeroU64;
use std::time::Duration;

use domain::audit::AuditEvent;
use domain::delivery::Delivery;
use domain::destination::{Destination, DestinationState, ManagedBy};
use domain::id::DestinationId;
use domain::waiting::{Waiting, WaitingFor};

use super::words::SHARDS;
use crate::fixture::Fixture;

/// Destinations of one organization, counted both ways.
struct Counted {
    fixture: Fixture,
    destinations: Vec<Destination>,
}

impl Counted {
    async fn new(destinations: usize) -> Self {
        let fixture = Fixture::new();
        let organization = fixture.organization().await.id;
        let mut made = Vec::new();
        for _ in 0..destinations {
            made.push(fixture.destination(organization).await);
        }
        Self {
            fixture,
            destinations: made,
        }
    }

    async fn send(&self, destination: usize, count: usize) -> Vec<Delivery> {
        let Destination {
            id,
            organization_id,
            ..
        } = self.destinations[destination];
        let mut sent = Vec::new();
        for _ in 0..count {
            sent.push(self.fixture.committed_for(organization_id, id).await);
        }
        sent
    }

    async fn wait_for_a_pause(&self, delivery: &Delivery) {
        let waiting = Waiting {
            reason: WaitingFor::Pause,
            expected_at: None,
        };
        let after = delivery.clone().wait(waiting).unwrap();
        assert!(
            self.fixture
                .store
                .transition(delivery, &after)
                .await
                .unwrap()
        );
    }

    /// The count of each destination, read together and one by one.
    async fn pending(&self, holding: &[DestinationId]) -> (Vec<u64>, Vec<u64>) {
        let (store, organization) = (&self.fixture.store, self.destinations[0].organization_id);
        let ids: Vec<DestinationId> = self
            .destinations
            .iter()
            .map(|destination| destination.id)
            .collect();
        let together = store
            .pending_of_each(organization, SHARDS, &ids, holding)
            .await
            .unwrap();
        let mut alone = Vec::new();
        for id in ids {
            alone.push(store.pending(organization, SHARDS, id).await.unwrap());
        }
        (together, alone)
    }
}

fn revision(number: u64) -> ManagedBy {
    ManagedBy::Organization {
        revision: NonZeroU64::new(number).unwrap(),
    }
}

#[tokio::test]
async fn queued_retrying_and_waiting_deliveries_are_pending_however_they_are_counted() {
    let counted = Counted::new(4).await;
    let finished = counted.send(0, 3).await;
    counted.fixture.succeed(&finished[0]).await;
    for delivery in counted.send(1, 2).await {
        counted
            .fixture
            .fail(&delivery, Duration::from_secs(90))
            .await;
    }
    for delivery in counted.send(2, 4).await.iter().skip(1) {
        counted.wait_for_a_pause(delivery).await;
    }
    let expected = (vec![2, 2, 4, 0], vec![2, 2, 4, 0]);
    assert_eq!(
        counted.pending(&[counted.destinations[2].id]).await,
        expected
    );
}

#[tokio::test]
async fn deliveries_that_a_resumed_destination_has_not_released_yet_are_pending() {
    let counted = Counted::new(2).await;
    for delivery in counted.send(0, 2).await {
        counted.wait_for_a_pause(&delivery).await;
    }
    let now = counted.fixture.now();
    let paused = DestinationState::Paused {
        at: now,
        reason: None,
        until: None,
    };
    let paused = Destination {
        state: paused,
        managed_by: revision(2),
        ..counted.destinations[0].clone()
    };
    let event: AuditEvent = counted
        .fixture
        .event(paused.organization_id, "destination.paused");
    counted
        .fixture
        .store
        .save_flow(&paused, 1, &event)
        .await
        .unwrap();
    let resumed = Destination {
        state: DestinationState::Enabled,
        managed_by: revision(3),
        ..paused
    };
    let event = counted
        .fixture
        .event(resumed.organization_id, "destination.resumed");
    counted
        .fixture
        .store
        .save_flow(&resumed, 2, &event)
        .await
        .unwrap();
    assert_eq!(counted.pending(&[]).await, (vec![2, 0], vec![2, 0]));
}

#[tokio::test]
async fn a_backlog_that_one_read_does_not_return_is_counted_in_full() {
    let counted = Counted::new(2).await;
    for destination in [0, 1] {
        for delivery in counted.send(destination, 220).await {
            counted
                .fixture
                .fail(&delivery, Duration::from_secs(90))
                .await;
        }
    }
    assert_eq!(counted.pending(&[]).await, (vec![220, 220], vec![220, 220]));
}

use std::time::Duration;

use domain::id::DestinationId;
use futures_util::future::join_all;
use store::{SlotRequest, TakenSlot};

use crate::fixture::Fixture;

const SECOND: Duration = Duration::from_secs(1);

/// Asks for one of so many slots.
async fn asks(fixture: &Fixture, destination: DestinationId, slots: u32) -> Option<TakenSlot> {
    let now = fixture.now();
    let request = SlotRequest {
        slots,
        until: now.plus(60 * SECOND),
        first: 3,
    };
    fixture
        .store
        .take_slot(destination, now, request)
        .await
        .unwrap()
}

#[tokio::test]
async fn attempts_that_started_under_a_higher_limit_count_towards_a_lower_one() {
    let fixture = Fixture::new();
    let destination = fixture.new_destination(fixture.ids.organization());
    let taken: Vec<_> = join_all((0..8).map(|_| asks(&fixture, destination.id, 5)))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(taken.len(), 5);
    for (left, slot) in taken.into_iter().enumerate() {
        let running = 5 - left;
        assert_eq!(
            asks(&fixture, destination.id, 2).await.is_some(),
            running < 2,
            "{running} attempts run"
        );
        fixture
            .store
            .leave_slot(&destination, slot, Some(SECOND), fixture.now())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn starts_are_given_at_the_pace_of_the_limit_a_second() {
    let fixture = Fixture::new();
    let destination = fixture.new_destination(fixture.ids.organization());
    let at = |ms| fixture.now().plus(Duration::from_millis(ms));
    let start = async |ms| {
        fixture
            .store
            .take_start(destination.id, at(ms), SECOND / 10)
            .await
            .unwrap()
    };
    let mut at_once = join_all((0..14).map(|_| start(0))).await;
    at_once.sort();
    let given = [0, 50, 150, 250, 350, 450, 550, 650, 750, 850, 950].map(|ms| Some(at(ms)));
    assert_eq!(
        at_once[..3],
        [None; 3],
        "those that would have to wait for longer"
    );
    assert_eq!(at_once[3..], given);
    assert_eq!(
        start(200).await,
        Some(at(1_050)),
        "what was refused has used no start"
    );
    assert_eq!(start(5_000).await, Some(at(5_000)));
    assert_eq!(
        start(5_000).await,
        Some(at(5_050)),
        "what was not used is not caught up"
    );
    fixture
        .store
        .reset_turns(&destination, fixture.now())
        .await
        .unwrap();
    assert_eq!(
        start(5_000).await,
        Some(at(5_150)),
        "a destination without turns has none to reset"
    );
    fixture
        .store
        .next_turn(destination.id, fixture.now(), SECOND)
        .await
        .unwrap();
    fixture
        .store
        .reset_turns(&destination, fixture.now())
        .await
        .unwrap();
    assert_eq!(
        start(5_000).await,
        Some(at(5_000)),
        "changed limits begin again"
    );
}

use std::time::Duration;

use domain::Timestamp;
use domain::id::DestinationId;
use futures_util::future::join_all;
use store::{PlaceAnswer, PlaceRequest, TakenPlace};

use crate::fixture::Fixture;

const SECOND: Duration = Duration::from_secs(1);

/// Asks for one of so many places, without a limit of starts.
async fn asks(fixture: &Fixture, destination: DestinationId, places: u32) -> Option<TakenPlace> {
    let now = fixture.now();
    let request = PlaceRequest { places, until: now.plus(60 * SECOND), start: None };
    match fixture.store.take_place(destination, now, request).await.unwrap() {
        PlaceAnswer::Taken(place) => Some(place),
        PlaceAnswer::Full => None,
        PlaceAnswer::TooSoon(wait) => panic!("starts are not limited, and one has to wait for {wait:?}"),
    }
}

#[tokio::test]
async fn attempts_that_started_under_a_higher_limit_count_towards_a_lower_one() {
    let fixture = Fixture::new();
    let destination = fixture.new_destination(fixture.ids.organization());
    let taken: Vec<_> = join_all((0..8).map(|_| asks(&fixture, destination.id, 5))).await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 5);
    for (left, place) in taken.into_iter().enumerate() {
        let running = 5 - left;
        assert_eq!(asks(&fixture, destination.id, 2).await.is_some(), running < 2, "{running} attempts run");
        fixture.store.leave_place(&destination, place, Some(SECOND), fixture.now()).await.unwrap();
    }
}

/// Asks for one of ten places at a destination that takes ten a second.
async fn starts(fixture: &Fixture, destination: DestinationId, at: Timestamp) -> PlaceAnswer {
    let request = PlaceRequest { places: 10, until: at.plus(60 * SECOND), start: Some((at, SECOND / 10)) };
    fixture.store.take_place(destination, at, request).await.unwrap()
}

#[tokio::test]
async fn places_are_given_at_the_pace_of_the_limit_a_second() {
    let fixture = Fixture::new();
    let destination = fixture.new_destination(fixture.ids.organization());
    let at = |ms| fixture.now().plus(Duration::from_millis(ms));
    let answers = join_all((0..10).map(|_| starts(&fixture, destination.id, at(0)))).await;
    let taken = answers.iter().filter(|answer| matches!(answer, PlaceAnswer::Taken(_))).count();
    assert_eq!(taken, 1, "{answers:?}");
    let wait = Duration::from_millis(50);
    assert!(answers.iter().all(|answer| matches!(answer, PlaceAnswer::Taken(_)) || *answer == PlaceAnswer::TooSoon(wait)), "{answers:?}");
    for ms in [50, 150, 250] {
        assert!(matches!(starts(&fixture, destination.id, at(ms - 1)).await, PlaceAnswer::TooSoon(_)), "{ms} ms");
        assert!(matches!(starts(&fixture, destination.id, at(ms)).await, PlaceAnswer::Taken(_)), "{ms} ms");
    }
    // What was not used is not caught up.
    assert!(matches!(starts(&fixture, destination.id, at(5_000)).await, PlaceAnswer::Taken(_)));
    assert_eq!(starts(&fixture, destination.id, at(5_000)).await, PlaceAnswer::TooSoon(wait));
}

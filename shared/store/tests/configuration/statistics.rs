use domain::Reason;
use domain::id::DestinationId;
use domain::statistics::{Counted, Tally, hour_of};
use std::time::Duration;

use crate::fixture::Fixture;

#[tokio::test]
async fn counts_of_batches_add_up_by_the_hour_for_one_write_unit_each() {
    let fixture = Fixture::new();
    let destination: DestinationId = fixture.ids.mint(fixture.ids.organization(), 1);
    let mut tally = Tally::default();
    tally.add("report.ready", None, 120);
    tally.add("report.ready", Some(Reason::Timeout), 30_000);
    let recorder = fixture.engines.record();
    for _ in 0..3 {
        fixture
            .store
            .add_statistics(destination, fixture.now(), &tally)
            .await
            .unwrap();
    }
    let units: f64 = recorder
        .take()
        .iter()
        .map(local_aws::Call::write_units)
        .sum();
    println!(
        "an update of the statistics costs {} write units",
        units / 3.0
    );
    assert_eq!(units, 3.0);
    let first = hour_of(fixture.now());
    fixture.advance(Duration::from_secs(3600));
    fixture
        .store
        .add_statistics(destination, fixture.now(), &tally)
        .await
        .unwrap();

    let hours = fixture
        .store
        .statistics(
            destination,
            first,
            fixture.now().plus(Duration::from_secs(1)),
        )
        .await
        .unwrap();
    assert_eq!(
        hours
            .iter()
            .map(|(at, tally)| (*at, tally.succeeded))
            .collect::<Vec<_>>(),
        [(first, 3), (hour_of(fixture.now()), 1)]
    );
    assert_eq!(hours[0].1.failed[&Reason::Timeout], 3);
    assert_eq!(hours[1].1, tally);
}

#[tokio::test]
async fn event_types_without_end_are_counted_together() {
    let fixture = Fixture::new();
    let destination: DestinationId = fixture.ids.mint(fixture.ids.organization(), 1);
    for number in 0..50 {
        let mut tally = Tally::default();
        tally.add(&format!("order.{number}"), None, 1);
        fixture
            .store
            .add_statistics(destination, fixture.now(), &tally)
            .await
            .unwrap();
    }
    let later = fixture.now().plus(Duration::from_secs(1));
    let hours = fixture
        .store
        .statistics(destination, hour_of(fixture.now()), later)
        .await
        .unwrap();
    let (_, tally) = &hours[0];
    assert_eq!((tally.succeeded, tally.event_types.len()), (50, 41));
    assert_eq!(
        tally.event_types["(other)"],
        Counted {
            succeeded: 10,
            failed: 0
        }
    );
}

/// Decision 52: what a failure rate costs.
#[tokio::test]
async fn counting_by_the_minute_costs_no_write_of_its_own_and_an_hour_of_it_stays_within_a_write_unit()
 {
    let fixture = Fixture::new();
    let destination: DestinationId = fixture.ids.mint(fixture.ids.organization(), 1);
    let first = hour_of(fixture.now());
    fixture.advance(Duration::from_secs(
        3600 - u64::try_from(fixture.now().as_seconds() - first.as_seconds()).unwrap(),
    ));
    let hour = hour_of(fixture.now());
    let recorder = fixture.engines.record();
    for minute in 0..60 {
        let mut tally = Tally::default();
        tally.add("report.ready", None, 120);
        tally.add("report.ready", Some(Reason::ServerError), 80);
        tally.minutes.insert(
            minute,
            Counted {
                succeeded: 1,
                failed: 1,
            },
        );
        fixture
            .store
            .add_statistics(destination, fixture.now(), &tally)
            .await
            .unwrap();
        fixture.advance(Duration::from_secs(59));
    }
    let calls = recorder.take();
    let units: f64 = calls.iter().map(local_aws::Call::write_units).sum();
    println!(
        "{} updates of the statistics cost {units} write units",
        calls.len()
    );
    assert_eq!((calls.len(), units), (60, 60.0));
    let hours = fixture
        .store
        .statistics(destination, hour, fixture.now())
        .await
        .unwrap();
    let minutes: u64 = hours
        .iter()
        .flat_map(|(_, tally)| tally.minutes.values())
        .map(|counted| counted.succeeded + counted.failed)
        .sum();
    assert_eq!(minutes, 120);
}

use std::time::Duration;

use futures_util::future::join_all;
use store::{Counted, Usage, Window};

use crate::fixture::Fixture;

const MINUTE: Duration = Duration::from_secs(60);

fn window(name: &str, limit: u32) -> Window<'_> {
    Window {
        name,
        length: MINUTE,
        limit,
    }
}

#[tokio::test]
async fn a_window_takes_so_many_calls_and_no_more() {
    let fixture = Fixture::new();
    let start = fixture.now();
    let calls = (0..20).map(|_| {
        fixture
            .store
            .count_in_window(window("org_1#check", 5), 1, start)
    });
    let counted: Vec<Counted> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        counted
            .iter()
            .filter(|counted| **counted == Counted::Done)
            .count(),
        5
    );
    let over = Counted::Over {
        until: start.plus(MINUTE),
    };
    assert_eq!(
        counted.iter().filter(|counted| **counted == over).count(),
        15
    );
    assert_eq!(
        fixture
            .store
            .count_in_window(window("org_2#check", 5), 1, start)
            .await
            .unwrap(),
        Counted::Done
    );
    assert_eq!(
        fixture
            .store
            .count_in_window(
                window("org_1#check", 5),
                1,
                start.plus(MINUTE - Duration::from_millis(1))
            )
            .await
            .unwrap(),
        over
    );
    assert_eq!(
        fixture
            .store
            .count_in_window(window("org_1#check", 5), 1, start.plus(MINUTE))
            .await
            .unwrap(),
        Counted::Done
    );
}

#[tokio::test]
async fn calls_that_come_together_are_counted_together_or_not() {
    let fixture = Fixture::new();
    let start = fixture.now();
    for (calls, fits) in [(6, false), (3, true), (3, false), (2, true), (1, false)] {
        let counted = fixture
            .store
            .count_in_window(window("mails", 5), calls, start)
            .await
            .unwrap();
        assert_eq!(counted == Counted::Done, fits, "{calls}");
    }
}

#[tokio::test]
async fn usage_adds_up_over_all_instances_for_one_write_unit_each_time() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let more = Usage {
        requests: 16,
        deliveries: 40,
    };
    let recorder = fixture.engines.record();
    for times in 1..=5 {
        let all = fixture
            .store
            .add_usage(organization, more, fixture.now())
            .await
            .unwrap();
        assert_eq!(
            all,
            Usage {
                requests: 16 * times,
                deliveries: 40 * times
            }
        );
    }
    let units: f64 = recorder
        .take()
        .iter()
        .map(local_aws::Call::write_units)
        .sum();
    assert_eq!(units, 5.0);
}

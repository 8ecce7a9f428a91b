use std::time::Duration;

use domain::alert::{Alert, AlertKind};
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::health::{Health, LastError};
use domain::id::{DestinationId, OrganizationId};
use domain::{Reason, Timestamp};

use crate::fixture::{Fixture, TABLE};
use store::Saved;

/// The number of failures from which a streak is alerted.
const THRESHOLD: u32 = 3;

struct Watched {
    fixture: Fixture,
    organization: OrganizationId,
    destination: DestinationId,
}

impl Watched {
    fn new() -> Self {
        let fixture = Fixture::new();
        let organization = fixture.ids.organization();
        let destination = fixture.ids.mint(organization, 1);
        Self {
            fixture,
            organization,
            destination,
        }
    }

    async fn fails(&self, epoch: u32, token: &str) -> bool {
        let error = LastError {
            reason: Reason::Timeout,
            detail: "no answer".to_owned(),
        };
        let store = &self.fixture.store;
        store
            .count_failure(
                self.destination,
                self.organization,
                epoch,
                token,
                self.fixture.now(),
                error,
            )
            .await
            .unwrap()
    }

    async fn succeeds(&self, at: Timestamp) -> bool {
        self.fixture
            .store
            .end_streak(self.destination, &self.health().await, at, THRESHOLD, false)
            .await
            .unwrap()
    }

    async fn health(&self) -> Health {
        self.fixture.store.health(self.destination).await.unwrap()
    }

    /// How many entries the index of failing destinations has.
    async fn listed_as_failing(&self) -> usize {
        let scan = self
            .fixture
            .table
            .scan()
            .table_name(TABLE)
            .index_name("failing")
            .send()
            .await
            .unwrap();
        scan.items()
            .iter()
            .filter(|item| {
                item["fa_sk"]
                    .as_s()
                    .unwrap()
                    .ends_with(&self.destination.to_string())
            })
            .count()
    }
}

#[tokio::test]
async fn failures_at_once_are_all_counted() {
    let watched = Watched::new();
    let tokens: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let counted =
        futures_util::future::join_all(tokens.iter().map(|token| watched.fails(0, token))).await;
    assert_eq!(counted, [true; 20]);
    let health = watched.health().await;
    assert_eq!(health.consecutive_failures, 20);
    assert_eq!(
        (health.first_failure_at, health.last_failure_at),
        (Some(watched.fixture.now()), Some(watched.fixture.now()))
    );
    assert_eq!(health.last_error.unwrap().reason, Reason::Timeout);
}

#[tokio::test]
async fn one_failure_counts_once() {
    let watched = Watched::new();
    assert!(watched.fails(0, "a").await);
    assert!(!watched.fails(0, "a").await);
    assert!(watched.fails(0, "b").await);
    assert_eq!(watched.health().await.consecutive_failures, 2);
}

#[tokio::test]
async fn a_failure_that_is_counted_after_a_later_success_belongs_to_the_streak_that_the_success_ended()
 {
    let watched = Watched::new();
    let now = watched.fixture.now();
    assert!(watched.fails(0, "a").await);
    assert!(watched.succeeds(now.plus(Duration::from_secs(2))).await);
    assert_eq!(
        watched.listed_as_failing().await,
        0,
        "one failure is no reason to look"
    );
    for token in ["b", "c"] {
        assert!(
            watched.fails(0, token).await,
            "it happened before the success"
        );
    }
    assert!(!watched.fails(0, "c").await, "it is counted already");
    let health = watched.health().await;
    assert_eq!(
        (health.consecutive_failures, health.first_failure_at),
        (0, None)
    );
    let ended = health.ended.unwrap();
    assert_eq!((ended.failures, ended.began_at), (3, Some(now)));
    assert_eq!(watched.listed_as_failing().await, 1, "the monitor finds it");
}

#[tokio::test]
async fn a_streak_that_reached_the_threshold_stays_listed_after_its_end_until_it_is_alerted_once() {
    let watched = Watched::new();
    let mut destination = watched.fixture.new_destination(watched.organization);
    destination.id = watched.destination;
    for token in ["a", "b", "c", "d"] {
        assert!(watched.fails(0, token).await);
    }
    for second in 1..4 {
        assert!(
            watched
                .succeeds(watched.fixture.now().plus(Duration::from_secs(second)))
                .await
        );
    }
    assert!(watched.fails(0, "e").await, "counted late");
    let (health, store, fixture) = (
        watched.health().await,
        &watched.fixture.store,
        &watched.fixture,
    );
    assert_eq!(
        (
            health.consecutive_failures,
            health.ended.as_ref().map(|ended| ended.failures)
        ),
        (0, Some(5))
    );
    assert_eq!(watched.listed_as_failing().await, 1);
    let alerts = [
        alert(&destination, fixture, AlertKind::Failing),
        alert(&destination, fixture, AlertKind::Failing),
    ];
    let won = [
        store.alert_ended(&health, &alerts[0]).await.unwrap(),
        store.alert_ended(&health, &alerts[1]).await.unwrap(),
    ];
    assert_eq!(won, [true, false]);
    let health = watched.health().await;
    assert_eq!(
        (health.ended.as_ref(), watched.listed_as_failing().await),
        (None, 1),
        "people wait to hear of its end"
    );
    assert!(
        store
            .write_recovery_alert(
                &health,
                &alert(&destination, fixture, AlertKind::Recovered),
                false
            )
            .await
            .unwrap()
    );
    assert_eq!(watched.listed_as_failing().await, 0);
}

fn alert(destination: &Destination, fixture: &Fixture, kind: AlertKind) -> Alert {
    Alert {
        id: fixture.ids.mint(destination.organization_id, 1),
        organization_id: destination.organization_id,
        destination_id: destination.id,
        kind,
        occurred_at: fixture.now(),
        data: serde_json::Value::Null,
        message: None,
    }
}

/// Disables a destination and enables it again.
async fn enabled_anew(fixture: &Fixture, before: &Destination) -> Destination {
    let disabled = DestinationState::Disabled {
        at: fixture.now(),
        by: DisabledBy::User,
        reason: None,
    };
    let disabled = Destination {
        state: disabled,
        ..before.revised(before.updated_at)
    };
    let enabled = Destination {
        state: DestinationState::Enabled,
        ..disabled.revised(before.updated_at)
    };
    let event = || fixture.event(before.organization_id, "destination.switched");
    for (after, kind) in [
        (&disabled, AlertKind::Disabled),
        (&enabled, AlertKind::Enabled),
    ] {
        let alert = alert(after, fixture, kind);
        assert_eq!(
            fixture
                .store
                .switch_destination(after, after.revision() - 1, &event(), &alert)
                .await
                .unwrap(),
            Saved::Done
        );
    }
    enabled
}

#[tokio::test]
async fn failures_of_an_earlier_epoch_do_not_count() {
    let mut watched = Watched::new();
    watched.organization = watched.fixture.organization().await.id;
    let destination = watched.fixture.destination(watched.organization).await;
    watched.destination = destination.id;
    watched.fails(0, "a").await;
    let destination = enabled_anew(&watched.fixture, &destination).await;
    let health = watched.health().await;
    assert_eq!(
        (
            health.epoch,
            health.consecutive_failures,
            health.first_failure_at
        ),
        (1, 0, None)
    );
    assert!(!watched.fails(0, "b").await);
    assert_eq!(watched.listed_as_failing().await, 0);
    assert!(watched.fails(1, "c").await);
    enabled_anew(&watched.fixture, &destination).await;
    assert_eq!(watched.health().await.epoch, 2);
}

#[tokio::test]
async fn when_two_monitors_alert_concurrently_one_succeeds_and_recovery_is_announced_once() {
    let watched = Watched::new();
    let mut destination = watched.fixture.new_destination(watched.organization);
    destination.id = watched.destination;
    watched.fails(0, "a").await;
    let health = watched.health().await;
    let (store, fixture) = (&watched.fixture.store, &watched.fixture);
    let alerts = [
        alert(&destination, fixture, AlertKind::Failing),
        alert(&destination, fixture, AlertKind::Failing),
    ];
    let won = [
        store.alert(&health, 1, &alerts[0]).await.unwrap(),
        store.alert(&health, 1, &alerts[1]).await.unwrap(),
    ];
    assert_eq!(won, [true, false]);
    watched.fixture.advance(Duration::from_secs(1));
    assert!(watched.succeeds(watched.fixture.now()).await);
    assert_eq!(
        watched.listed_as_failing().await,
        1,
        "people wait to hear of it"
    );
    let health = watched.health().await;
    let alerts = [
        alert(&destination, fixture, AlertKind::Recovered),
        alert(&destination, fixture, AlertKind::Recovered),
    ];
    let won = [
        store
            .write_recovery_alert(&health, &alerts[0], false)
            .await
            .unwrap(),
        store
            .write_recovery_alert(&health, &alerts[1], false)
            .await
            .unwrap(),
    ];
    assert_eq!(won, [true, false]);
    assert_eq!(watched.listed_as_failing().await, 0);
    let listed = store
        .alerts_page(watched.organization, None, 10)
        .await
        .unwrap()
        .items;
    assert_eq!(
        listed.iter().map(|alert| alert.kind).collect::<Vec<_>>(),
        [AlertKind::Recovered, AlertKind::Failing]
    );
}

#[tokio::test]
async fn a_later_success_ends_the_streak() {
    let watched = Watched::new();
    assert_eq!(watched.health().await, Health::default());
    let before = watched.fixture.now();
    watched.fixture.advance(Duration::from_secs(1));
    watched.fails(0, "a").await;
    let failed_at = watched.fixture.now();
    assert_eq!(watched.listed_as_failing().await, 1);

    assert!(
        !watched.succeeds(before).await,
        "it was over before the failure"
    );
    assert_eq!(watched.health().await.consecutive_failures, 1);

    watched.fixture.advance(Duration::from_secs(1));
    assert!(watched.succeeds(watched.fixture.now()).await);
    let health = watched.health().await;
    assert_eq!(
        (health.consecutive_failures, health.first_failure_at),
        (0, None)
    );
    assert_eq!(
        (health.last_failure_at, health.last_success_at),
        (Some(failed_at), Some(watched.fixture.now()))
    );
    assert_eq!(watched.listed_as_failing().await, 0);
    assert!(
        !watched.succeeds(before).await,
        "an older success is no news"
    );
}

#[tokio::test]
async fn the_health_of_several_comes_in_their_order() {
    let watched = Watched::new();
    watched.fails(0, "a").await;
    let healthy: DestinationId = watched.fixture.ids.mint(watched.organization, 1);
    let streaks = async || -> Vec<u32> {
        let both = [healthy, watched.destination];
        let healths = watched.fixture.store.healths(&both).await.unwrap();
        let streaks = healths.iter().map(|health| health.consecutive_failures);
        streaks.collect()
    };
    assert_eq!(streaks().await, [0, 1]);
    // An unreadable one counts as new.
    let partition = format!("HEALTH#{}", watched.destination);
    watched.fixture.damage(&partition, "H", "n").await;
    assert_eq!(streaks().await, [0, 0]);
}

#[tokio::test]
async fn a_destination_with_a_failure_rate_stays_listed_after_a_success_until_its_window_has_no_failure()
 {
    let watched = Watched::new();
    let mut destination = watched.fixture.new_destination(watched.organization);
    destination.id = watched.destination;
    watched.fails(0, "a").await;
    watched.fixture.advance(Duration::from_secs(1));
    let (store, fixture) = (&watched.fixture.store, &watched.fixture);
    assert!(
        store
            .end_streak(
                watched.destination,
                &watched.health().await,
                fixture.now(),
                THRESHOLD,
                true
            )
            .await
            .unwrap()
    );
    assert_eq!(watched.listed_as_failing().await, 1);
    let health = watched.health().await;
    let alerts = [
        alert(&destination, fixture, AlertKind::Failing),
        alert(&destination, fixture, AlertKind::Failing),
    ];
    let won = [
        store.alert_rate(&health, &alerts[0]).await.unwrap(),
        store.alert_rate(&health, &alerts[1]).await.unwrap(),
    ];
    assert_eq!(won, [true, false]);
    let health = watched.health().await;
    assert_eq!(
        (health.rate_alerted_at, health.alerted_at),
        (Some(fixture.now()), None)
    );
    assert!(
        store
            .write_recovery_alert(
                &health,
                &alert(&destination, fixture, AlertKind::Recovered),
                true
            )
            .await
            .unwrap()
    );
    let health = watched.health().await;
    assert_eq!(
        (
            health.rate_alerted_at,
            health.rate_since,
            watched.listed_as_failing().await
        ),
        (None, Some(fixture.now()), 1)
    );
    watched.fixture.advance(Duration::from_secs(1));
    watched.fails(0, "b").await;
    assert!(
        store
            .end_streak(
                watched.destination,
                &watched.health().await,
                fixture.now(),
                THRESHOLD,
                true
            )
            .await
            .unwrap()
    );
    store
        .unwatch_destination(watched.destination, &health)
        .await
        .unwrap();
    assert_eq!(
        watched.listed_as_failing().await,
        1,
        "it failed since its health was read"
    );
    store
        .unwatch_destination(watched.destination, &watched.health().await)
        .await
        .unwrap();
    assert_eq!(watched.listed_as_failing().await, 0);
}

//! Alerts by failure rate: sent once although successes keep ending the streak, and again only
//! after the destination was healthy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::alert::{Alert, AlertKind};
use domain::failure_rate::FailureRate;
use domain::organization::{FailurePolicy, Organization, OrganizationSettings};
use domain::settle::Outcome;
use simulation::receiver::{Receiver, delivered};
use simulation::world::World;

use crate::in_simulated_time;

const RATE: FailureRate = FailureRate {
    percent: 40,
    window_seconds: 300,
    min_attempts: 10,
};

/// A receiver that fails every second request until it is repaired.
struct Unsteady {
    world: World,
    fails: Arc<AtomicBool>,
}

impl Unsteady {
    async fn with(rate: Option<FailureRate>) -> Self {
        let (fails, requests) = (Arc::new(AtomicBool::new(true)), AtomicU32::new(0));
        let unsteady = Arc::clone(&fails);
        let receiver = Receiver::scripted(move |_, _| {
            let odd = requests.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            match odd && unsteady.load(Ordering::Relaxed) {
                true => Outcome::Reject(Reason::ServerError),
                false => delivered(),
            }
        });
        let world = World::create(1, receiver).await;
        let policy = FailurePolicy {
            failure_rate: rate,
            ..FailurePolicy::default()
        };
        let settings = OrganizationSettings {
            failure_policy: policy,
            ..OrganizationSettings::default()
        };
        let changed = Organization {
            settings,
            revision: world.organization.revision + 1,
            ..world.organization.clone()
        };
        world
            .store
            .update_organization(&changed, world.organization.revision, &world.event())
            .await
            .expect("the organization is saved");
        Self { world, fails }
    }

    /// Makes `requests` requests one after the other, with a run of the monitor after each.
    async fn receives(&self, requests: u32) {
        for _ in 0..requests {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.world
                .dispatcher
                .submit(&self.world.submission(1, Bytes::from_static(b"{}")))
                .await
                .expect("it is accepted");
            assert_eq!(self.world.poll_worker().await, 1);
            Box::pin(self.world.monitor(None)).await;
        }
    }

    async fn passes(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Box::pin(self.world.monitor(None)).await;
    }

    /// Returns the alerts, oldest first.
    async fn alerts(&self) -> Vec<Alert> {
        let page = self
            .world
            .store
            .alerts_page(self.world.organization.id, None, 100)
            .await
            .expect("the table answers");
        page.items.into_iter().rev().collect()
    }

    async fn kinds(&self) -> Vec<AlertKind> {
        self.alerts().await.iter().map(|alert| alert.kind).collect()
    }

    /// Whether the monitor still watches the destination.
    async fn is_watched(&self) -> bool {
        let mut watched = 0;
        for partition in 0..store::FAILING_PARTITIONS {
            watched += self
                .world
                .store
                .watched(partition)
                .await
                .expect("the table answers")
                .len();
        }
        watched > 0
    }
}

#[test]
fn a_receiver_that_fails_every_second_time_alerts_once_by_rate_and_again_only_after_it_was_healthy()
{
    in_simulated_time(async || {
        let unsteady = Unsteady::with(Some(RATE)).await;
        unsteady.receives(9).await;
        assert_eq!(unsteady.kinds().await, [], "nine attempts are too few");
        unsteady.receives(30).await;
        let alerts = unsteady.alerts().await;
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        let data = &alerts[0].data;
        assert_eq!(
            (
                alerts[0].kind,
                data["reason"].as_str(),
                data["next"].as_str()
            ),
            (AlertKind::Failing, Some("failure_rate"), Some("retrying"))
        );
        assert_eq!(
            (
                data["failure_rate"]["attempts"].as_u64(),
                data["failure_rate"]["failed_attempts"].as_u64()
            ),
            (Some(10), Some(5)),
            "{data}"
        );
        assert!(
            data["detail"]
                .as_str()
                .unwrap()
                .starts_with("5 of 10 attempts in the last 300 s failed, which is 50 %"),
            "{data}"
        );
        assert!(data["since"].is_string(), "{data}");
        for _ in 0..20 {
            unsteady.passes(240).await;
            unsteady.receives(12).await;
        }
        assert_eq!(
            unsteady.kinds().await,
            [AlertKind::Failing],
            "it was never healthy"
        );

        unsteady.fails.store(false, Ordering::Relaxed);
        unsteady.passes(361).await;
        assert_eq!(
            unsteady.kinds().await,
            [AlertKind::Failing],
            "nothing was attempted, so nothing is known"
        );
        unsteady.receives(3).await;
        assert_eq!(
            unsteady.kinds().await,
            [AlertKind::Failing, AlertKind::Recovered]
        );
        unsteady.passes(3600).await;
        assert!(
            !unsteady.is_watched().await,
            "a healthy destination is not looked at"
        );
        unsteady.fails.store(true, Ordering::Relaxed);
        unsteady.receives(30).await;
        assert_eq!(
            unsteady.kinds().await,
            [AlertKind::Failing, AlertKind::Recovered, AlertKind::Failing]
        );
    });
}

#[test]
fn failures_older_than_the_window_no_longer_count() {
    in_simulated_time(async || {
        let unsteady = Unsteady::with(Some(RATE)).await;
        unsteady.receives(9).await;
        assert!(unsteady.is_watched().await);
        unsteady.passes(301).await;
        assert!(
            !unsteady.is_watched().await,
            "its last failure has left the window"
        );
        unsteady.receives(9).await;
        assert_eq!(unsteady.kinds().await, []);
        unsteady.receives(1).await;
        assert_eq!(unsteady.kinds().await, [AlertKind::Failing]);
    });
}

#[test]
fn a_destination_without_a_rate_is_neither_counted_by_the_minute_nor_looked_at_after_a_success() {
    in_simulated_time(async || {
        let unsteady = Unsteady::with(None).await;
        unsteady.receives(40).await;
        unsteady.receives(1).await;
        assert_eq!(unsteady.kinds().await, []);
        assert!(!unsteady.is_watched().await);
        let (id, now) = (unsteady.world.destinations[0], unsteady.world.clock.now());
        let hours = unsteady
            .world
            .store
            .statistics(
                id,
                domain::statistics::hour_of(now),
                now.plus(Duration::from_millis(1)),
            )
            .await;
        let (_, tally) = &hours.expect("the table answers")[0];
        assert_eq!(
            (
                tally.succeeded + tally.failed_attempts(),
                tally.minutes.len()
            ),
            (41, 0)
        );
    });
}

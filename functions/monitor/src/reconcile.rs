//! Reconcile finds deliveries whose task is lost by reading their records, which are authoritative.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Timestamp;
use domain::delivery::{Delivery, Pending};
use domain::id::{DeliveryId, DestinationId, MessageId, Ulid};
use domain::organization::Organization;
use futures_util::future::try_join_all;
use queue::JobTask;
use store::{Round, StoreError, skip_unreadable};

use crate::interrupted::Interrupted;
use crate::sweep::SWEEP_INTERVAL;
use crate::{Monitor, Reconcile};

/// A delivery that is still queued after this long, while its queue is empty, has lost its task.
const LOST_WHEN_QUEUE_EMPTY: Duration = Duration::from_secs(3600);
/// A delivery that is still queued after this long has lost its task, even if its queue is not
/// empty. If the delivery has a task after all, the second one costs one read.
const LOST_AT_LATEST: Duration = Duration::from_secs(6 * 3600);
/// A job that has had no run for this long has lost its message.
const JOB_LOST: Duration = Duration::from_secs(900);
/// A round begins with the deliveries that were created this long before the start of the previous
/// round. A lost task is found after six hours, and a submission that is repeated within a day has
/// the id, and thus the position in the walk, of its first try.
const LOOKBACK: Duration = Duration::from_secs(32 * 3600);
/// How long a run works before it leaves the rest to the next run. This is well within the
/// function's time limit.
const RUN_MAX: Duration = Duration::from_secs(40);
/// The number of organizations or deliveries that one query reads.
const PAGE: u32 = 100;
/// The number of steps after which the progress of a round is saved.
const SAVE_INTERVAL_STEPS: u32 = 20;

impl Monitor {
    /// Queues a new task for every delivery that is lost according to `scope`. An hourly run
    /// continues where the last one stopped, and reads no delivery that an earlier round has
    /// covered.
    pub(crate) async fn reconcile(
        &self,
        scope: Reconcile,
        interrupted: &Interrupted,
    ) -> Result<(), StoreError> {
        let waited = match scope {
            Reconcile::Start => Duration::ZERO,
            Reconcile::Hourly if self.queues.are_empty().await => LOST_WHEN_QUEUE_EMPTY,
            Reconcile::Hourly => LOST_AT_LATEST,
        };
        let began_at = self.clock.now();
        let mut round = match scope {
            Reconcile::Start => Round::default(),
            // If the progress is unreadable, the round begins again.
            Reconcile::Hourly => skip_unreadable(self.store.round().await)?.unwrap_or_default(),
        };
        round.began_at.get_or_insert(began_at);
        let (mut sent, mut stretches) = (0, 0);
        loop {
            let page = self.store.organizations(round.done_with, PAGE).await?;
            for organization in &page.items {
                while round.shard < organization.shards {
                    sent += self
                        .reconcile_stretch(organization, &mut round, scope, waited, interrupted)
                        .await?;
                    stretches += 1;
                    let too_long = self.clock.now().since(began_at) >= RUN_MAX;
                    if scope == Reconcile::Hourly
                        && (too_long || stretches % SAVE_INTERVAL_STEPS == 0)
                    {
                        self.store.keep_round(&round).await?;
                        if too_long {
                            tracing::info!(
                                sent,
                                "reconcile reached its time limit; the next hourly run continues"
                            );
                            return Ok(());
                        }
                    }
                }
                self.reconcile_jobs(organization).await?;
                // The process that enabled `auto_recover` may have stopped before the destinations
                // were watched.
                skip_unreadable(self.store.watch_recoverable(organization).await)?;
                round = Round {
                    done_with: Some(organization.id),
                    shard: 0,
                    after: None,
                    ..round
                };
            }
            if !page.more || page.items.is_empty() {
                break;
            }
        }
        if scope == Reconcile::Hourly {
            self.store
                .keep_round(&Round {
                    last_began_at: round.began_at,
                    ..Round::default()
                })
                .await?;
        }
        if sent > 0 {
            tracing::info!(sent, ?scope, "queued tasks for deliveries that had none");
        }
        Ok(())
    }

    /// Queues the jobs again that have had no run for a while: their message was lost, because the
    /// process that created them stopped before sending it, or because the queue dropped it. A
    /// second message is harmless.
    async fn reconcile_jobs(&self, organization: &Organization) -> Result<(), StoreError> {
        let now = self.clock.now();
        let unfinished = self.store.unfinished_jobs(organization.id).await?;
        for job in unfinished
            .into_iter()
            .filter(|job| now.since(job.lease_until.unwrap_or(job.created_at)) >= JOB_LOST)
        {
            let sent = self
                .jobs
                .send(JobTask {
                    organization: organization.id,
                    job: job.id,
                })
                .await;
            match sent {
                Ok(()) => {
                    tracing::info!(
                        job = %job.id,
                        organization = %organization.id,
                        "queued the message of a job that had none"
                    )
                }
                Err(error) => {
                    tracing::warn!(
                        error = %domain::chain(&error),
                        job = %job.id,
                        "failed to send a job's message; the next run sends it"
                    )
                }
            }
        }
        Ok(())
    }

    /// Reads the next deliveries of the round in this organization.
    async fn reconcile_stretch(
        &self,
        organization: &Organization,
        round: &mut Round,
        scope: Reconcile,
        waited: Duration,
        interrupted: &Interrupted,
    ) -> Result<usize, StoreError> {
        let after = round
            .after
            .or(round.last_began_at.map(|at| created_before(at, LOOKBACK)));
        let page = self
            .store
            .unfinished(organization.id, round.shard, after, PAGE)
            .await?;
        let now = self.clock.now();
        if scope == Reconcile::Start {
            let destinations: BTreeSet<DestinationId> = page
                .items
                .iter()
                .map(|delivery| delivery.destination)
                .collect();
            try_join_all(
                destinations
                    .into_iter()
                    .map(|destination| self.store.free_slots(destination)),
            )
            .await?;
        }
        let lost = page
            .items
            .into_iter()
            .filter(|delivery| is_lost(delivery, scope, waited, now));
        let (held, lost): (Vec<Delivery>, Vec<Delivery>) =
            lost.partition(|delivery| interrupted.holds(delivery));
        self.end_leases(held).await?;
        let (sent, outcome) = self.send_superseded(lost).await;
        // An error about one delivery must not stop the round there.
        outcome.or_else(|error| {
            if error.is_unavailable() {
                Err(error)
            } else {
                Ok(())
            }
        })?;
        round.after = page.next;
        round.shard += u8::from(page.next.is_none());
        Ok(sent)
    }
}

impl Monitor {
    /// Ends the leases of workers that died, so that the tasks in the queue can lease their
    /// deliveries.
    async fn end_leases(&self, deliveries: Vec<Delivery>) -> Result<(), StoreError> {
        let due_at = self.clock.now().plus(SWEEP_INTERVAL);
        for before in deliveries {
            if let Ok(after) = before.clone().abandon_attempt() {
                self.store.move_due(&before, &after, due_at).await?;
            }
        }
        Ok(())
    }
}

/// Returns an id that sorts after every delivery that was created at least `so_long` before `at`.
fn created_before(at: Timestamp, so_long: Duration) -> DeliveryId {
    let at = Timestamp::from_millis(
        at.as_millis()
            .saturating_sub(i64::try_from(so_long.as_millis()).unwrap_or(i64::MAX)),
    );
    DeliveryId {
        message: MessageId::from(Ulid::first_at(at)),
        position: 0,
    }
}

/// Whether the task of a delivery is lost. `waited` is the age from which a queued delivery has
/// lost its task.
fn is_lost(delivery: &Delivery, scope: Reconcile, waited: Duration, now: Timestamp) -> bool {
    match (delivery.state.pending(), scope) {
        // A waiting delivery has left the queue. The due index and its destination's index find it.
        (Some(_), _) if delivery.waiting.is_some() => {
            let may_start =
                delivery.in_flight(now) || delivery.starts_at().is_some_and(|at| at <= now);
            scope == Reconcile::Start && may_start
        }
        (Some(Pending::Queued), _) => {
            now.since(delivery.created_at) >= waited
                && (scope == Reconcile::Start || !delivery.in_flight(now))
        }
        (
            Some(Pending::Retrying {
                next_attempt_at, ..
            }),
            Reconcile::Start,
        ) => next_attempt_at <= now,
        // The due index finds every other retrying delivery.
        _ => false,
    }
}

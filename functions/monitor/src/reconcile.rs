//! Reconcile: finds deliveries whose task is lost, by walking the records, which are the truth.

use std::time::Duration;

use domain::Timestamp;
use domain::delivery::{Delivery, State};
use domain::organization::Organization;
use queue::JobTask;
use store::StoreError;

use crate::{Monitor, Reconcile};

/// A delivery still queued after this long, while its queue is empty, has lost its task.
const LOST_WHEN_QUEUE_EMPTY: Duration = Duration::from_secs(3600);
/// … and after this long whatever the queue holds: a second task costs one read.
const LOST_ANYHOW: Duration = Duration::from_secs(6 * 3600);
/// A job nobody has been at for this long has lost its message.
const JOB_LOST: Duration = Duration::from_secs(900);
/// Organizations, deliveries and jobs read at once.
const PAGE: u32 = 100;

impl Monitor {
    /// Sends a new task for every delivery that `scope` takes for lost.
    pub(crate) async fn reconcile(&self, scope: Reconcile) -> Result<(), StoreError> {
        let waited = match scope {
            Reconcile::Start => Duration::ZERO,
            Reconcile::Hourly if self.queues.are_empty().await => LOST_WHEN_QUEUE_EMPTY,
            Reconcile::Hourly => LOST_ANYHOW,
        };
        let (mut after, mut sent) = (None, 0);
        loop {
            let page = self.store.organizations(after, PAGE).await?;
            for organization in &page.items {
                for shard in 0..organization.shards {
                    sent += self.reconcile_shard(organization, shard, scope, waited).await?;
                }
                self.reconcile_jobs(organization).await?;
            }
            after = page.items.last().map(|organization| organization.id);
            if !page.more || after.is_none() {
                break;
            }
        }
        if sent > 0 {
            tracing::info!(sent, ?scope, "deliveries without a task were sent");
        }
        Ok(())
    }

    /// A job that nobody has been at for a while has lost its message: whoever asked for it died before sending it, or its queue gave it up. A
    /// second message does no harm.
    async fn reconcile_jobs(&self, organization: &Organization) -> Result<(), StoreError> {
        let now = self.clock.now();
        let jobs = self.store.jobs_page(organization.id, None, PAGE).await?.items;
        let unfinished = jobs.into_iter().filter(|job| job.finished_at.is_none());
        for job in unfinished.filter(|job| now.since(job.lease_until.unwrap_or(job.created_at)) >= JOB_LOST) {
            let sent = self.jobs.send(JobTask { organization: organization.id, job: job.id }).await;
            match sent {
                Ok(()) => tracing::info!(job = %job.id, organization = %organization.id, "a job without a message was sent"),
                Err(error) => tracing::warn!(%error, job = %job.id, "a job waits for the next reconcile"),
            }
        }
        Ok(())
    }

    async fn reconcile_shard(
        &self,
        organization: &Organization,
        shard: u8,
        scope: Reconcile,
        waited: Duration,
    ) -> Result<usize, StoreError> {
        let (mut after, mut sent) = (None, 0);
        loop {
            let page = self.store.unfinished(organization.id, shard, after, PAGE).await?;
            let now = self.clock.now();
            after = page.next;
            let lost = page.items.into_iter().filter(|delivery| is_lost(delivery, scope, waited, now)).collect();
            sent += self.send_superseded(lost).await?;
            if after.is_none() {
                return Ok(sent);
            }
        }
    }
}

fn is_lost(delivery: &Delivery, scope: Reconcile, waited: Duration, now: Timestamp) -> bool {
    match (&delivery.state, scope) {
        (State::Queued, _) => now.since(delivery.created_at) >= waited && (scope == Reconcile::Start || !delivery.in_flight(now)),
        (State::Retrying { next_attempt_at, .. }, Reconcile::Start) => *next_attempt_at <= now,
        // The due index answers for every other retrying one.
        _ => false,
    }
}

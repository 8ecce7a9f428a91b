//! Reconciles on an operator's request: queues accepted deliveries again whose task may be lost,
//! whatever the queues hold.

use std::time::Duration;

use domain::delivery::{Delivery, DeliveryStatus};
use store::{Job, JobStatus, StoreError};

use crate::Jobs;
use crate::run::Step;

/// A delivery that has waited this long, and of which no attempt can be running, is treated as lost.
/// If its task is in the queue after all, the second one costs one read.
const WAITED: Duration = Duration::from_secs(60);
/// When a delivery comes due whose new task is lost too.
const DUE_AFTER: Duration = Duration::from_secs(600);
const PAGE: u32 = 100;
/// Steps of the list that are read before a run saves its progress.
const STRETCHES_MAX: usize = 20;

impl Jobs {
    /// Reads the shards up to the next deliveries that are lost. The job records how far it came,
    /// for the next run.
    pub(crate) async fn reconcile(&self, mut job: Job) -> Result<Step, StoreError> {
        let shards = self.shards(&job).await?;
        for _ in 0..STRETCHES_MAX {
            if job.shard >= shards {
                let now = self.clock.now();
                return self.saved(job.ended(JobStatus::Finished, now)).await;
            }
            let page = self
                .store
                .unfinished(job.organization_id, job.shard, job.after, PAGE)
                .await?;
            let now = self.clock.now();
            let lost = page.items.into_iter().filter(|delivery| {
                let is_queued = delivery.status() == DeliveryStatus::Queued;
                let waits = is_queued
                    && delivery.waiting.is_none()
                    && now.since(delivery.created_at) >= WAITED;
                let may_run = delivery.in_flight(now)
                    || delivery.unleased_until().is_some_and(|until| now < until);
                waits && !may_run
            });
            let sent = self.send_again(lost.collect()).await?;
            job.done += sent;
            job.total = job.done;
            job.after = page.next;
            job.shard += u8::from(job.after.is_none());
            if sent > 0 {
                break;
            }
        }
        self.saved(job).await
    }

    async fn send_again(&self, lost: Vec<Delivery>) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let (mut ours, mut failed) = (Vec::new(), None);
        for before in lost {
            let Ok(after) = before.clone().supersede_tasks() else {
                continue;
            };
            match self
                .store
                .move_due(&before, &after, now.plus(DUE_AFTER))
                .await
            {
                Ok(true) => ours.push(after),
                Ok(false) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // This also runs when the table fails midway, because the deliveries that were changed have
        // no other task.
        let sent = self.dispatcher.send_or_remember(&ours, now).await;
        failed.map_or(Ok(sent as u64), Err)
    }
}

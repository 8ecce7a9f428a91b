//! Reconcile on an operator's call: accepted deliveries whose task may be lost are sent anew, whatever the queues hold.

use std::time::Duration;

use domain::delivery::{Delivery, DeliveryStatus};
use store::{Job, JobStatus, StoreError};

use crate::Jobs;
use crate::run::Step;

/// A delivery that waits for longer has lost its task, says the operator who asks. A second task costs one read.
const WAITED: Duration = Duration::from_secs(60);
/// When the new task is lost too, the due index brings the delivery back after this long.
const DUE_AFTER: Duration = Duration::from_secs(600);
const PAGE: u32 = 100;
/// Stretches that are looked at before a run takes stock.
const STRETCHES_MAX: usize = 20;

impl Jobs {
    /// Looks at a stretch of the shards, to the next deliveries that are lost. How far it came stands in the job, for the run that goes on.
    pub(crate) async fn reconcile(&self, mut job: Job) -> Result<Step, StoreError> {
        let shards = self.shards(&job).await?;
        for _ in 0..STRETCHES_MAX {
            if job.shard >= shards {
                let now = self.clock.now();
                return self.saved(job.ended(JobStatus::Finished, now)).await;
            }
            let page = self.store.unfinished(job.organization_id, job.shard, job.after, PAGE).await?;
            let now = self.clock.now();
            let lost = page.items.into_iter().filter(|delivery| {
                let is_queued = delivery.status() == DeliveryStatus::Queued;
                let waits = is_queued && delivery.waiting.is_none() && now.since(delivery.created_at) >= WAITED;
                waits && !delivery.in_flight(now)
            });
            let sent = self.send_anew(lost.collect()).await?;
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

    async fn send_anew(&self, lost: Vec<Delivery>) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let (mut ours, mut failed) = (Vec::new(), None);
        for before in lost {
            let Ok(after) = before.clone().supersede_tasks() else { continue };
            match self.store.move_due(&before, &after, now.plus(DUE_AFTER)).await {
                Ok(true) => ours.push(after),
                Ok(false) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // Also when the table fails half-way: what was moved has no other task.
        self.dispatcher.send(&ours, now).await;
        failed.map_or(Ok(ours.len() as u64), Err)
    }
}

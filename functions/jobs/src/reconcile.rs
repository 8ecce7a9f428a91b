//! Reconcile on an operator's call: accepted deliveries whose task may be lost are sent anew, whatever the queues hold.

use std::time::Duration;

use domain::delivery::{Delivery, State};
use store::{Job, JobStatus, StoreError};

use crate::Jobs;
use crate::run::Step;

/// A delivery that waits for longer has lost its task, says the operator who asks. A second task costs one read.
const WAITED: Duration = Duration::from_secs(60);
/// When the new task is lost too, the due index brings the delivery back after this long.
const DUE_AFTER: Duration = Duration::from_secs(600);
const PAGE: u32 = 100;

impl Jobs {
    /// Looks through the shards once; a step is all of it, for what is unfinished is little.
    pub(crate) async fn reconcile(&self, mut job: Job) -> Result<Step, StoreError> {
        for shard in 0..self.shards(&job).await? {
            let mut after = None;
            loop {
                let page = self.store.unfinished(job.organization_id, shard, after, PAGE).await?;
                let now = self.clock.now();
                let lost = page.items.into_iter().filter(|delivery| {
                    let waits = matches!(delivery.state, State::Queued) && now.since(delivery.created_at) >= WAITED;
                    waits && !delivery.in_flight(now)
                });
                job.done += self.send_anew(lost.collect()).await?;
                job.total = job.done;
                let Some(saved) = self.save(job.clone()).await? else { return self.saved(job).await };
                job = saved;
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let now = self.clock.now();
        self.saved(job.ended(JobStatus::Finished, now)).await
    }

    async fn send_anew(&self, lost: Vec<Delivery>) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut ours = Vec::new();
        for before in lost {
            let after = before.clone().supersede_tasks();
            if self.store.move_due(&before, &after, now.plus(DUE_AFTER)).await? {
                ours.push(after);
            }
        }
        self.dispatcher.send(&ours, now).await;
        Ok(ours.len() as u64)
    }
}

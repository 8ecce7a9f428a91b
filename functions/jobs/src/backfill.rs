//! Backfills a destination: sends it the matching messages that were accepted and never addressed
//! to it, each once and oldest first.
//!
//! A message has at most one delivery to a destination, so a second job, or this one after a crash,
//! finds the delivery that exists.

use std::time::Duration;

use dispatch::{Addition, Target};
use domain::Timestamp;
use domain::attempt::Trigger;
use domain::delivery::Delivery;
use domain::destination::Destination;
use store::{Added, Job, JobStatus, Missed, StoreError, skip_unreadable};

use crate::Jobs;
use crate::run::Step;

/// Steps of the list that are read before a run saves its progress.
const STRETCHES_MAX: usize = 20;
/// The most messages in a chunk.
const CHUNK: usize = 50;
const DAY: Duration = Duration::from_secs(86_400);

impl Jobs {
    /// Plans a chunk, or executes the one that is planned.
    pub(crate) async fn backfill(&self, mut job: Job, resumed: bool) -> Result<Step, StoreError> {
        let Some((destination, shards, missed)) = self.missed(&job).await? else {
            let now = self.clock.now();
            let error = Some("the destination no longer takes deliveries".to_owned());
            return self
                .saved(Job {
                    error,
                    ..job.ended(JobStatus::Failed, now)
                })
                .await;
        };
        if job.chunk.is_empty() {
            if job.walked {
                let now = self.clock.now();
                return self.saved(job.ended(JobStatus::Finished, now)).await;
            }
            for _ in 0..STRETCHES_MAX {
                let step = self
                    .store
                    .missed(job.organization_id, shards, &missed, job.after, CHUNK)
                    .await?;
                job.chunk = step.items.iter().map(|first| first.id).collect();
                job.after = step.next;
                job.walked = job.after.is_none();
                if job.walked || !job.chunk.is_empty() {
                    break;
                }
            }
            let Some(planned) = self.save(job.clone()).await? else {
                return self.saved(job).await;
            };
            job = planned;
            if job.chunk.is_empty() {
                return Ok(Step::More(Box::new(job)));
            }
        }
        self.backfill_chunk(job, &destination, resumed).await
    }

    async fn backfill_chunk(
        &self,
        mut job: Job,
        destination: &Destination,
        resumed: bool,
    ) -> Result<Step, StoreError> {
        let ids: Vec<_> = std::mem::take(&mut job.chunk)
            .into_iter()
            .map(|id| (job.organization_id, id))
            .collect();
        let target = Target {
            destination: destination.id,
            kind: destination.kind(),
            enabled: destination.takes_deliveries(),
        };
        for first in self.store.deliveries(&ids).await? {
            let Some(first) = first else {
                job.skipped += 1;
                continue;
            };
            match skip_unreadable(self.backfill_one(&first, &target).await)? {
                Some(Added::Done(_)) => job.done += 1,
                // After a crash, an existing delivery is one that this chunk added.
                Some(Added::There(delivery)) if resumed && delivery.trigger == Trigger::Replay => {
                    job.done += 1
                }
                Some(Added::There(_) | Added::Gone) => job.skipped += 1,
                None => job.failed += 1,
            }
        }
        job.total = job.total.max(job.done + job.skipped + job.failed);
        self.saved(job).await
    }

    async fn backfill_one(&self, first: &Delivery, target: &Target) -> Result<Added, StoreError> {
        if self.store.content(first).await?.is_none() {
            return Ok(Added::Gone);
        }
        self.dispatcher
            .add(
                first,
                target,
                Addition {
                    trigger: Trigger::Replay,
                    fallback_of: None,
                },
            )
            .await
    }

    /// Returns what the job's destination missed; `None` if the destination takes no deliveries.
    async fn missed(&self, job: &Job) -> Result<Option<(Destination, u8, Missed)>, StoreError> {
        let Some(id) = job.filter.destination else {
            return Ok(None);
        };
        let destination = self
            .store
            .destination(job.organization_id, id)
            .await?
            .filter(Destination::takes_deliveries);
        let (Some(destination), Some(organization)) = (
            destination,
            self.store.organization(job.organization_id).await?,
        ) else {
            return Ok(None);
        };
        let retention = DAY
            * organization
                .settings
                .retention_days
                .min(organization.settings.payload_retention_days);
        let missed = Missed {
            destination: id,
            event_types: destination.event_types.clone().unwrap_or_default(),
            event_type: job.filter.event_type.clone(),
            reference: job.filter.reference.clone(),
            since: job
                .filter
                .since
                .unwrap_or(Timestamp::from_millis(0))
                .max(job.created_at.minus(retention)),
            until: job.filter.until.unwrap_or(job.created_at),
        };
        Ok(Some((destination, organization.shards, missed)))
    }

    /// Counts the messages that a backfill will send.
    pub(crate) async fn count_backfill(&self, job: &Job) -> Result<u64, StoreError> {
        match self.missed(job).await? {
            Some((_, shards, missed)) => {
                self.store
                    .count_missed(job.organization_id, shards, &missed)
                    .await
            }
            None => Ok(0),
        }
    }
}

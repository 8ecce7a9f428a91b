//! Runs a job: takes it, works on it for a while, and completes it or passes it on.

use std::time::Duration;

use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::id::Id as _;
use queue::JobTask;
use store::{Job, JobKind, JobStatus, Saved, StoreError};

use crate::Jobs;

/// How long a run works before it passes its job on, well within the function's time.
const RUN_MAX: Duration = Duration::from_secs(60);
/// How long a run may go without writing before it is considered dead. A chunk with its rests takes
/// a few seconds.
const LEASE: Duration = Duration::from_secs(20);
/// How long counting the matches may take. With a filter that no index answers, it reads every
/// candidate.
const COUNT_MAX: Duration = Duration::from_secs(20);
/// How often a run that waits for a lease checks again.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a run waits for an unavailable table before it leaves the job to a later run.
const UNAVAILABLE_WAITS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// The result of a step of a job.
pub(crate) enum Step {
    /// There is more to do.
    More(Box<Job>),
    /// The job has ended.
    Over,
}

impl Jobs {
    /// Works on a job until it ends or its time is up.
    pub(crate) async fn run(&self, task: JobTask) -> Result<(), lambda_runtime::Error> {
        let stop_at = self.clock.now().plus(RUN_MAX);
        let Some(mut job) = self.take(task).await? else {
            return Ok(());
        };
        let (mut resumed, mut failures) = (true, UNAVAILABLE_WAITS.iter());
        loop {
            let started = tokio::time::Instant::now();
            match self.step(job.clone(), resumed).await {
                Ok(Step::Over) => return Ok(()),
                Ok(Step::More(next)) => {
                    job = *next;
                    resumed = false;
                    failures = UNAVAILABLE_WAITS.iter();
                }
                Err(error) if error.is_unavailable() => {
                    let Some(wait) = failures.next() else {
                        return Err(error.into());
                    };
                    tokio::time::sleep(*wait).await;
                    // It is unknown what of the chunk was done.
                    let Some(again) = self
                        .store
                        .job(job.organization_id, job.id)
                        .await?
                        .filter(|job| !job.status.is_over())
                    else {
                        return Ok(());
                    };
                    (job, resumed) = (again, true);
                    continue;
                }
                Err(error) => return self.give_up(job, &error).await,
            }
            if self.clock.now() >= stop_at {
                return self.continue_in_next_run(job, task).await;
            }
            // Reopening rests after each part of a chunk.
            if !matches!(job.kind, JobKind::Retry | JobKind::Replay) {
                self.pause_after(started.elapsed()).await;
            }
            self.pace().await;
        }
    }

    /// Leases the job; `None` if it has ended. While another run holds the lease, this one waits,
    /// because that run may be dead.
    async fn take(&self, task: JobTask) -> Result<Option<Job>, StoreError> {
        loop {
            let Some(job) = self
                .store
                .job(task.organization, task.job)
                .await?
                .filter(|job| !job.status.is_over())
            else {
                return Ok(None);
            };
            let now = self.clock.now();
            if job.lease_until.is_some_and(|until| now < until) {
                tokio::time::sleep(LEASE_POLL_INTERVAL).await;
                continue;
            }
            let total = if job.status.is_queued() {
                self.count(&job).await?
            } else {
                job.total
            };
            if let Some(leased) = self
                .save(Job {
                    status: JobStatus::Running,
                    total,
                    ..job
                })
                .await?
            {
                return Ok(Some(leased));
            }
        }
    }

    /// Saves a job and renews the lease; `None` if it changed first.
    pub(crate) async fn save(&self, job: Job) -> Result<Option<Job>, StoreError> {
        let lease_until = (!job.status.is_over()).then(|| self.clock.now().plus(LEASE));
        let job = Job {
            revision: job.revision + 1,
            lease_until,
            ..job
        };
        Ok(match self.store.save_job(&job).await? {
            Saved::Done => Some(job),
            Saved::Conflict => None,
        })
    }

    /// Counts the deliveries that the job works on; 0 if only the walk can count them.
    async fn count(&self, job: &Job) -> Result<u64, StoreError> {
        tokio::time::timeout(COUNT_MAX, self.count_all(job))
            .await
            .unwrap_or(Ok(0))
    }

    async fn count_all(&self, job: &Job) -> Result<u64, StoreError> {
        let shards = self.shards(job).await?;
        match job.kind {
            JobKind::Retry => {
                self.store
                    .count_deliveries(job.organization_id, shards, &job.filter)
                    .await
            }
            JobKind::Backfill => self.count_backfill(job).await,
            // Only the walk shows which of these finished in time.
            JobKind::Replay | JobKind::Reconcile => Ok(0),
            JobKind::Erase => {
                self.store
                    .count_deliveries(
                        job.organization_id,
                        shards,
                        &store::DeliveryFilter::default(),
                    )
                    .await
            }
        }
    }

    pub(crate) async fn shards(&self, job: &Job) -> Result<u8, StoreError> {
        Ok(self
            .store
            .organization(job.organization_id)
            .await?
            .map_or(0, |organization| organization.shards))
    }

    async fn step(&self, job: Job, resumed: bool) -> Result<Step, StoreError> {
        match job.kind {
            JobKind::Retry | JobKind::Replay => self.reopen(job, resumed).await,
            JobKind::Backfill => self.backfill(job, resumed).await,
            JobKind::Reconcile => self.reconcile(job).await,
            JobKind::Erase => self.erase(job).await,
        }
    }

    /// Erases some of an organization's deliveries, or everything else once none are left.
    async fn erase(&self, job: Job) -> Result<Step, StoreError> {
        for shard in 0..self.shards(&job).await? {
            let erased = self
                .store
                .erase_deliveries(job.organization_id, shard)
                .await?;
            if erased > 0 {
                let done = job.done + erased;
                return self
                    .saved(Job {
                        done,
                        total: job.total.max(done),
                        ..job
                    })
                    .await;
            }
        }
        self.store
            .erase_organization(job.organization_id, job.id)
            .await?;
        let now = self.clock.now();
        // The event's id is derived from the job's, so that a repeat does not write a second event.
        let line = AuditEvent::new(
            job.id.ulid().into(),
            job.organization_id,
            now,
            job.actor.clone(),
            "organization.erased",
            job.organization_id,
        );
        self.store.record_audit(&line).await?;
        self.saved(job.ended(JobStatus::Finished, now)).await
    }

    /// Saves the result of a step.
    pub(crate) async fn saved(&self, job: Job) -> Result<Step, StoreError> {
        let over = job.status.is_over();
        let counts = (job.done, job.failed, job.skipped);
        let (organization, id) = (job.organization_id, job.id);
        match self.save(job).await? {
            Some(_) if over => Ok(Step::Over),
            Some(saved) => Ok(Step::More(Box::new(saved))),
            None => self.note_counts(organization, id, counts).await,
        }
    }

    /// Saves the counts of a job that was cancelled while a chunk was executed.
    async fn note_counts(
        &self,
        organization: domain::id::OrganizationId,
        id: domain::id::JobId,
        (done, failed, skipped): (u64, u64, u64),
    ) -> Result<Step, StoreError> {
        if let Some(job) = self.store.job(organization, id).await?
            && job.status.is_cancelled()
        {
            self.save(Job {
                done,
                failed,
                skipped,
                chunk: Vec::new(),
                ..job
            })
            .await?;
        }
        Ok(Step::Over)
    }

    async fn continue_in_next_run(
        &self,
        job: Job,
        task: JobTask,
    ) -> Result<(), lambda_runtime::Error> {
        // If the message cannot be sent, the current one is received again.
        let revision = job.revision + 1;
        if self
            .store
            .save_job(&Job {
                lease_until: None,
                revision,
                ..job
            })
            .await?
            == Saved::Done
        {
            self.own_queue.send(task).await?;
        }
        Ok(())
    }

    async fn give_up(&self, job: Job, error: &StoreError) -> Result<(), lambda_runtime::Error> {
        tracing::error!(
            error = %domain::chain(&error),
            job = %job.id,
            organization = %job.organization_id,
            "a job failed"
        );
        let failed = job.ended(JobStatus::Failed, self.clock.now());
        let error = Some("Waybill failed to complete the job; the log names the cause".to_owned());
        self.save(Job { error, ..failed }).await?;
        Ok(())
    }
}

/// Whether a change was made before the job was requested. A job leaves alone what changed later.
pub(crate) fn untouched_since(job: &Job, changed_at: Timestamp) -> bool {
    changed_at <= job.created_at
}

//! A run: takes a job, works on it for a while, ends it or hands it on.

use std::time::Duration;

use domain::Timestamp;
use domain::audit::{AuditEvent, AuditOutcome};
use domain::id::{AuditId, Id as _};
use queue::JobTask;
use store::{Job, JobKind, JobStatus, Saved, StoreError};

use crate::Jobs;

/// A run hands its job on after this long: well within the function's time.
const RUN_MAX: Duration = Duration::from_secs(60);
/// A run that does not write for this long is taken for dead. A chunk with its pause takes a few seconds.
const LEASE: Duration = Duration::from_secs(20);
/// How long counting what matches may take. With a filter that no index answers, it may be a walk through everything.
const COUNT_MAX: Duration = Duration::from_secs(20);
/// How often somebody who waits for a lease looks again.
const LOOK: Duration = Duration::from_millis(500);
/// How long a run waits for a table that does not answer, before it leaves the job to a later one.
const PATIENCE: [Duration; 4] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1), Duration::from_secs(3)];

/// What a step left of its job.
pub(crate) enum Step {
    /// There is more to do.
    More(Box<Job>),
    /// It is over, one way or another.
    Over,
}

impl Jobs {
    /// Works on a job until it is over or somebody else's turn comes.
    pub(crate) async fn run(&self, task: JobTask) -> Result<(), lambda_runtime::Error> {
        let stop_at = self.clock.now().plus(RUN_MAX);
        let Some(mut job) = self.take(task).await? else { return Ok(()) };
        let (mut resumed, mut failures) = (true, PATIENCE.iter());
        loop {
            let started = tokio::time::Instant::now();
            match self.step(job.clone(), resumed).await {
                Ok(Step::Over) => return Ok(()),
                Ok(Step::More(next)) => {
                    job = *next;
                    resumed = false;
                    failures = PATIENCE.iter();
                }
                Err(error) if error.is_unavailable() => {
                    let Some(wait) = failures.next() else { return Err(error.into()) };
                    tokio::time::sleep(*wait).await;
                    // What of the chunk was done is not known.
                    let Some(again) = self.store.job(job.organization_id, job.id).await?.filter(|job| !job.status.is_over()) else {
                        return Ok(());
                    };
                    (job, resumed) = (again, true);
                    continue;
                }
                Err(error) => return self.give_up(job, &error).await,
            }
            if self.clock.now() >= stop_at {
                return self.hand_on(job, task).await;
            }
            // What reopens rests in between.
            if !matches!(job.kind, JobKind::Retry | JobKind::Replay) {
                self.rest(started.elapsed()).await;
            }
            self.pace().await;
        }
    }

    /// The job, leased; `None` when there is nothing left to do. While another run is at it, this one waits: that one may be dead.
    async fn take(&self, task: JobTask) -> Result<Option<Job>, StoreError> {
        loop {
            let Some(job) = self.store.job(task.organization, task.job).await?.filter(|job| !job.status.is_over()) else { return Ok(None) };
            let now = self.clock.now();
            if job.lease_until.is_some_and(|until| now < until) {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let total = if job.status.is_queued() { self.count(&job).await? } else { job.total };
            if let Some(leased) = self.save(Job { status: JobStatus::Running, total, ..job }).await? {
                return Ok(Some(leased));
            }
        }
    }

    /// Saves a job and renews the lease; `None` when somebody changed it first.
    pub(crate) async fn save(&self, job: Job) -> Result<Option<Job>, StoreError> {
        let lease_until = (!job.status.is_over()).then(|| self.clock.now().plus(LEASE));
        let job = Job { revision: job.revision + 1, lease_until, ..job };
        Ok(match self.store.save_job(&job).await? {
            Saved::Done => Some(job),
            Saved::Conflict => None,
        })
    }

    /// How many deliveries the job is about; 0 when the walk is to tell.
    async fn count(&self, job: &Job) -> Result<u64, StoreError> {
        tokio::time::timeout(COUNT_MAX, self.count_all(job)).await.unwrap_or(Ok(0))
    }

    async fn count_all(&self, job: &Job) -> Result<u64, StoreError> {
        let shards = self.shards(job).await?;
        match job.kind {
            JobKind::Retry => self.store.count_deliveries(job.organization_id, shards, &job.filter).await,
            JobKind::Backfill => self.count_backfill(job).await,
            // Of these, some finished too early: the walk tells.
            JobKind::Replay | JobKind::Reconcile => Ok(0),
            JobKind::Erase => self.store.count_deliveries(job.organization_id, shards, &store::DeliveryFilter::default()).await,
        }
    }

    pub(crate) async fn shards(&self, job: &Job) -> Result<u8, StoreError> {
        Ok(self.store.organization(job.organization_id).await?.map_or(0, |organization| organization.shards))
    }

    async fn step(&self, job: Job, resumed: bool) -> Result<Step, StoreError> {
        match job.kind {
            JobKind::Retry | JobKind::Replay => self.reopen(job, resumed).await,
            JobKind::Backfill => self.backfill(job, resumed).await,
            JobKind::Reconcile => self.reconcile(job).await,
            JobKind::Erase => self.erase(job).await,
        }
    }

    /// Some of an organization's deliveries go; when none are left, everything else does.
    async fn erase(&self, job: Job) -> Result<Step, StoreError> {
        for shard in 0..self.shards(&job).await? {
            let erased = self.store.erase_deliveries(job.organization_id, shard).await?;
            if erased > 0 {
                let done = job.done + erased;
                return self.saved(Job { done, total: job.total.max(done), ..job }).await;
            }
        }
        self.store.erase_organization(job.organization_id, job.id).await?;
        let now = self.clock.now();
        // The job's own id tells the line apart, so that doing this again writes no second one.
        let line = AuditEvent {
            id: AuditId::from(job.id.ulid()),
            organization_id: job.organization_id,
            at: now,
            action: "organization.erased".to_owned(),
            outcome: AuditOutcome::Succeeded,
            actor: job.actor.clone(),
            ip: None,
            target: Some(job.organization_id.to_string()),
            changes: Vec::new(),
            request_id: None,
        };
        self.store.record_audit(&line).await?;
        self.saved(job.ended(JobStatus::Finished, now)).await
    }

    /// Saves what a step made of its job.
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

    /// Somebody cancelled the job while a chunk was done: what was done is said all the same.
    async fn note_counts(
        &self,
        organization: domain::id::OrganizationId,
        id: domain::id::JobId,
        (done, failed, skipped): (u64, u64, u64),
    ) -> Result<Step, StoreError> {
        if let Some(job) = self.store.job(organization, id).await?
            && job.status.is_cancelled()
        {
            self.save(Job { done, failed, skipped, chunk: Vec::new(), ..job }).await?;
        }
        Ok(Step::Over)
    }

    async fn hand_on(&self, job: Job, task: JobTask) -> Result<(), lambda_runtime::Error> {
        // Should the message not be sent, this one comes back.
        let revision = job.revision + 1;
        if self.store.save_job(&Job { lease_until: None, revision, ..job }).await? == Saved::Done {
            self.own_queue.send(task).await?;
        }
        Ok(())
    }

    async fn give_up(&self, job: Job, error: &StoreError) -> Result<(), lambda_runtime::Error> {
        tracing::error!(error = %domain::chain(&error), job = %job.id, organization = %job.organization_id, "a job failed");
        let failed = job.ended(JobStatus::Failed, self.clock.now());
        let error = Some("Waybill could not go on; the log says why".to_owned());
        self.save(Job { error, ..failed }).await?;
        Ok(())
    }
}

/// The end of what a job may touch: what came after it was asked for is not its business.
pub(crate) fn untouched_since(job: &Job, changed_at: Timestamp) -> bool {
    changed_at <= job.created_at
}

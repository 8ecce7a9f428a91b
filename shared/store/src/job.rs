//! Jobs, which work on many deliveries in chunks. Each job is one item, and every change is
//! conditional on its revision, so that a run that another has replaced notices before it writes.

use std::time::Duration;

use domain::Timestamp;
use domain::audit::Actor;
use domain::delivery::DeliveryStatus;
use domain::id::{DeliveryId, DestinationId, JobId, OrganizationId, Ulid};
use domain::limits::JOBS_MAX;
use serde::{Deserialize, Serialize};

use crate::attributes::{Item, Put, number, text};
use crate::document::{self, Saved, absent, at_revision};
use crate::expression::Condition;
use crate::keys::{self, PK, SK, TTL};
use crate::table::Written;
use crate::tally::{Limit, Within};
use crate::transaction::Transaction;
use crate::unreadable::readable;
use crate::{DeliveryFilter, Page, Store, StoreError};

/// How long jobs are kept after they were requested.
const RETENTION_SECONDS: i64 = 30 * 86_400;

/// A job and its progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The id of the job.
    pub id: JobId,
    /// The organization whose deliveries the job works on.
    pub organization_id: OrganizationId,
    /// What the job does.
    pub kind: JobKind,
    /// The state of the job.
    pub status: JobStatus,
    /// Which deliveries the job works on. It leaves alone those that were created or changed after
    /// it was requested.
    #[serde(default)]
    pub filter: DeliveryFilter,
    /// Restricts the filter to deliveries that finished at this time or later.
    #[serde(default)]
    pub finished_since: Option<Timestamp>,
    /// How many deliveries matched when the job started; if they could not be counted in time, how
    /// many were found so far.
    pub total: u64,
    /// How many deliveries the job has processed.
    pub done: u64,
    /// How many deliveries the job could not process.
    pub failed: u64,
    /// How many deliveries needed nothing, or could not be sent.
    pub skipped: u64,
    /// Who requested the job.
    pub actor: Actor,
    /// When the job was requested.
    pub created_at: Timestamp,
    /// When the job ended.
    pub finished_at: Option<Timestamp>,
    /// Why the job failed.
    pub error: Option<String>,
    /// The deliveries that are being processed. They are saved first, so that the next run can
    /// check them after a crash.
    #[serde(default)]
    pub chunk: Vec<DeliveryId>,
    /// The last delivery that the walk has passed.
    #[serde(default)]
    pub after: Option<DeliveryId>,
    /// The shard that the walk is in, if it reads the shards one after the other.
    #[serde(default)]
    pub shard: u8,
    /// Whether the walk has reached the end.
    #[serde(default)]
    pub walked: bool,
    /// Until when the current run holds the job.
    #[serde(default)]
    pub lease_until: Option<Timestamp>,
    /// Counts the changes of the job.
    pub revision: u64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Redelivers the deliveries that match.
    Retry,
    /// Redelivers what a destination missed.
    Replay,
    /// Sends a destination the accepted messages that were never addressed to it.
    Backfill,
    /// Queues accepted deliveries again whose task was lost.
    Reconcile,
    /// Erases an organization and all its data.
    Erase,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// The job was requested. Changes when a run takes it or it is cancelled.
    Queued,
    /// A run works on the job, or will continue it. Changes when the job ends or is cancelled.
    Running,
    /// The job has done its work.
    Finished,
    /// The job was cancelled on request.
    Cancelled,
    /// The job could not be completed because of a failure in Waybill.
    Failed,
}

impl JobStatus {
    /// Whether the job has ended.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Failed)
    }

    /// Whether no run has taken the job yet.
    #[must_use]
    pub fn is_queued(self) -> bool {
        matches!(self, Self::Queued)
    }

    /// Whether the job was cancelled.
    #[must_use]
    pub fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

impl Job {
    /// Creates a job that no run has taken.
    #[must_use]
    pub fn new(
        id: JobId,
        organization_id: OrganizationId,
        kind: JobKind,
        actor: Actor,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            organization_id,
            kind,
            status: JobStatus::Queued,
            filter: DeliveryFilter::default(),
            finished_since: None,
            total: 0,
            done: 0,
            failed: 0,
            skipped: 0,
            actor,
            created_at,
            finished_at: None,
            error: None,
            chunk: Vec::new(),
            after: None,
            shard: 0,
            walked: false,
            lease_until: None,
            revision: 1,
        }
    }

    /// Creates a job that redelivers what a destination missed: deliveries that ended since `since`
    /// without success, and that have not changed when the job is requested at `created_at`.
    #[must_use]
    pub fn replay(
        id: JobId,
        organization_id: OrganizationId,
        destination: DestinationId,
        since: Timestamp,
        actor: Actor,
        created_at: Timestamp,
    ) -> Self {
        let filter = DeliveryFilter {
            destination: Some(destination),
            statuses: vec![DeliveryStatus::Failed, DeliveryStatus::Skipped],
            ..DeliveryFilter::default()
        };
        let replay = Self {
            filter,
            finished_since: Some(since),
            ..Self::new(id, organization_id, JobKind::Replay, actor, created_at)
        };
        replay.requested_at(created_at)
    }

    /// Returns the job as if it was requested at `now`.
    #[must_use]
    pub fn requested_at(self, now: Timestamp) -> Self {
        let filter = DeliveryFilter {
            until: Some(now.plus(Duration::from_millis(1))),
            ..self.filter
        };
        Self {
            filter,
            created_at: now,
            ..self
        }
    }

    /// Ends the job. Deliveries that matched at the start and were not found later have changed on
    /// their own and count as skipped.
    #[must_use]
    pub fn ended(mut self, status: JobStatus, now: Timestamp) -> Self {
        let met = self.done + self.failed + self.skipped;
        if status == JobStatus::Finished {
            self.skipped += self.total.saturating_sub(met);
            self.total = self.done + self.failed + self.skipped;
        }
        self.status = status;
        self.finished_at = Some(now);
        self.lease_until = None;
        self
    }
}

impl Store {
    /// Saves a new job. If a job with its id exists, because the request is a repeat, that job is
    /// returned unchanged.
    pub async fn create_job(&self, job: &Job) -> Result<Job, StoreError> {
        match self.put("create a job", item(job), absent()).await? {
            Written::Refused(Some(there)) => document::read(&there),
            _ => Ok(job.clone()),
        }
    }

    /// Saves a new job as [`Store::create_job`] does, unless its organization has reached its limit
    /// of unfinished jobs. Returns `None` in that case.
    pub async fn create_job_within(&self, job: &Job) -> Result<Option<Job>, StoreError> {
        let organization = job.organization_id;
        match self
            .transact_with_job("create a job", job, || self.transaction())
            .await?
        {
            Within::Done => Ok(Some(job.clone())),
            Within::Over => self.job(organization, job.id).await,
            Within::Refused => Ok(Some(
                self.job(organization, job.id)
                    .await?
                    .unwrap_or_else(|| job.clone()),
            )),
        }
    }

    /// Executes a transaction that also saves a new job, unless its organization has reached its
    /// limit of unfinished jobs.
    pub(crate) async fn transact_with_job<'s>(
        &'s self,
        action: &'static str,
        job: &Job,
        transaction: impl Fn() -> Transaction<'s>,
    ) -> Result<Within, StoreError> {
        let organization = job.organization_id;
        let limit = Limit {
            tally: &keys::jobs_tally(organization),
            amount: 1,
            most: JOBS_MAX as u64,
        };
        let with_job = || transaction().put(item(job), absent());
        let count = || async move { Ok(self.unfinished_jobs(organization).await?.len() as u64) };
        self.transact_within(action, limit, with_job, count).await
    }

    /// Lists all jobs of an organization that have not ended, oldest first.
    pub async fn unfinished_jobs(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<Job>, StoreError> {
        let mut range = Condition::default();
        range.equals(PK, text(keys::jobs(organization)));
        let query = self.query(range).consistent_read(true);
        let found = self.list("list unfinished jobs", query, u32::MAX).await?;
        let alive = found.items.iter().filter(|item| self.is_alive(item));
        let mut jobs: Vec<Job> = readable(alive.map(document::read))?;
        jobs.retain(|job| !job.status.is_over());
        Ok(jobs)
    }

    /// Reads a job; `None` if it does not exist.
    pub async fn job(
        &self,
        organization: OrganizationId,
        id: JobId,
    ) -> Result<Option<Job>, StoreError> {
        let item = self.get("read a job", &keys::job(organization, id)).await?;
        item.as_ref()
            .filter(|item| self.is_alive(item))
            .map(document::read)
            .transpose()
    }

    /// Saves a changed job whose revision is already raised.
    pub async fn save_job(&self, job: &Job) -> Result<Saved, StoreError> {
        let written = self
            .put("save a job", item(job), at_revision(job.revision - 1))
            .await?;
        Ok(if written.is_done() {
            Saved::Done
        } else {
            Saved::Conflict
        })
    }

    /// Includes in a stored replay what was skipped until `now`. Returns the job unchanged if it was
    /// changed by someone else first.
    pub async fn extend_replay(&self, job: Job, now: Timestamp) -> Result<Job, StoreError> {
        let extended = Job {
            revision: job.revision + 1,
            ..job.clone().requested_at(now)
        };
        Ok(match self.save_job(&extended).await? {
            Saved::Done => extended,
            Saved::Conflict => job,
        })
    }

    /// Lists an organization's jobs, newest first.
    pub async fn jobs_page(
        &self,
        organization: OrganizationId,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Page<Job>, StoreError> {
        let first_at = |millis| JobId::from(Ulid::first_at(Timestamp::from_millis(millis)));
        let bound = after.unwrap_or(first_at(i64::MAX)).to_string();
        let mut range = Condition::default();
        range.equals(PK, text(keys::jobs(organization))).between(
            SK,
            text(first_at(0).to_string()),
            text(&bound),
        );
        // Reads one more item, because the bound itself is in the range but not in the page.
        let query = self.query(range).scan_index_forward(false);
        let mut page = self
            .list_as(
                "list jobs",
                query,
                limit.saturating_add(1),
                document::read::<Job>,
            )
            .await?;
        page.items.retain(|job| Some(job.id) != after);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = page.more || page.items.len() > limit;
        page.items.truncate(limit);
        Ok(Page {
            items: page.items,
            more,
        })
    }
}

pub(crate) fn item(job: &Job) -> Item {
    let mut item = document::revised(&keys::job(job.organization_id, job.id), job, job.revision);
    item.put(TTL, number(job.created_at.as_seconds() + RETENTION_SECONDS));
    item
}

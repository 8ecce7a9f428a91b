//! Jobs: what is done to many deliveries, chunk by chunk. Each is one item, and every change of it is conditional on its revision, so that
//! a run that lost its place notices before it writes.

use std::time::Duration;

use domain::Timestamp;
use domain::audit::Actor;
use domain::delivery::DeliveryStatus;
use domain::id::{DeliveryId, DestinationId, JobId, OrganizationId, Ulid};
use domain::limits::JOBS_MAX;
use serde::{Deserialize, Serialize};

use crate::attributes::{Item, Put, Reader, number, text};
use crate::document::{self, Saved, absent, at_revision};
use crate::expression::Condition;
use crate::keys::{self, PK, SK, TTL};
use crate::table::Written;
use crate::tally::{Limit, Within};
use crate::{DeliveryFilter, Page, Store, StoreError};

/// Jobs are remembered this long after they were asked for.
const REMEMBERED_SECONDS: i64 = 30 * 86_400;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose deliveries it is about.
    pub organization_id: OrganizationId,
    /// What it does.
    pub kind: JobKind,
    /// How far it is.
    pub status: JobStatus,
    /// Which deliveries; only those that were there, and untouched since, when it was asked for.
    #[serde(default)]
    pub filter: DeliveryFilter,
    /// Of these, those that finished at this time or later.
    #[serde(default)]
    pub finished_since: Option<Timestamp>,
    /// How many matched when it started, or, where they could not be counted soon enough, how many were met so far.
    pub total: u64,
    /// How many it has done.
    pub done: u64,
    /// How many it could not do.
    pub failed: u64,
    /// How many needed nothing, or could not be sent anywhere.
    pub skipped: u64,
    /// Who asked for it.
    pub actor: Actor,
    /// When that was.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// What is being done: written down before, so that whoever goes on after a crash knows what to look at.
    #[serde(default)]
    pub chunk: Vec<DeliveryId>,
    /// How far the walk has come.
    #[serde(default)]
    pub after: Option<DeliveryId>,
    /// Which shard it is in, where it walks one after the other.
    #[serde(default)]
    pub shard: u8,
    /// Whether the walk has come to its end.
    #[serde(default)]
    pub walked: bool,
    /// A run is at it until then.
    #[serde(default)]
    pub lease_until: Option<Timestamp>,
    /// Counts changes.
    pub revision: u64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Reopens what matches.
    Retry,
    /// Reopens what a destination missed.
    Replay,
    /// Sends a destination what was accepted and never addressed to it.
    Backfill,
    /// Sends accepted deliveries anew whose task is lost.
    Reconcile,
    /// Removes an organization with everything that is its.
    Erase,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// It was asked for. Left when a run takes it, or by a cancel.
    Queued,
    /// A run is at it, or will go on. Left at its end, or by a cancel.
    Running,
    /// It is done.
    Finished,
    /// Somebody stopped it.
    Cancelled,
    /// Waybill could not do it.
    Failed,
}

impl JobStatus {
    /// Is there nothing left to do?
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Failed)
    }

    /// Has no run taken it yet?
    #[must_use]
    pub fn is_queued(self) -> bool {
        matches!(self, Self::Queued)
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

impl Job {
    /// A job that nobody has begun.
    #[must_use]
    pub fn new(id: JobId, organization_id: OrganizationId, kind: JobKind, actor: Actor, created_at: Timestamp) -> Self {
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

    /// A job that delivers again what a destination missed: what ended since `since` without having arrived, and is untouched when the job
    /// is requested at `created_at`.
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
            until: Some(created_at.plus(Duration::from_millis(1))),
            ..DeliveryFilter::default()
        };
        Self { filter, finished_since: Some(since), ..Self::new(id, organization_id, JobKind::Replay, actor, created_at) }
    }

    /// Ends it; what matched when it started and was not met any more has moved on by itself.
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
    /// Keeps a new job; one with its id that is there already, of a request that is repeated, stands.
    pub async fn create_job(&self, job: &Job) -> Result<Job, StoreError> {
        match self.put("create a job", item(job), absent()).await? {
            Written::Refused(Some(there)) => document::read(&there),
            _ => Ok(job.clone()),
        }
    }

    /// Keeps a new job as [`Store::create_job`] does, unless its organization has as many that have
    /// not finished as it may: then the answer is `None`.
    pub async fn create_job_within(&self, job: &Job) -> Result<Option<Job>, StoreError> {
        let organization = job.organization_id;
        let transaction = || self.transaction().put(item(job), absent());
        let limit = Limit { tally: &keys::jobs_tally(organization), amount: 1, most: JOBS_MAX as u64 };
        let count = || self.unfinished_jobs(organization);
        match self.transact_within("create a job", limit, transaction, count).await? {
            Within::Done => Ok(Some(job.clone())),
            Within::Over => self.job(organization, job.id).await,
            Within::Refused => Ok(Some(self.job(organization, job.id).await?.unwrap_or_else(|| job.clone()))),
        }
    }

    /// How many jobs of an organization have not finished.
    pub async fn unfinished_jobs(&self, organization: OrganizationId) -> Result<u64, StoreError> {
        let mut range = Condition::default();
        range.equals(PK, text(keys::jobs(organization)));
        let query = self.query(range).consistent_read(true);
        let found = self.list("count jobs", query, u32::MAX).await?;
        let alive = found.items.iter().filter(|item| self.is_alive(item));
        let jobs: Vec<Job> = alive.map(document::read).collect::<Result<_, _>>()?;
        Ok(jobs.iter().filter(|job| !job.status.is_over()).count() as u64)
    }

    /// One job.
    pub async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Option<Job>, StoreError> {
        let item = self.get("read a job", &keys::job(organization, id)).await?;
        item.as_ref().filter(|item| self.is_alive(item)).map(document::read).transpose()
    }

    /// Saves a changed job, its revision already raised.
    pub async fn save_job(&self, job: &Job) -> Result<Saved, StoreError> {
        let written = self.put("save a job", item(job), at_revision(job.revision - 1)).await?;
        Ok(if written.is_done() { Saved::Done } else { Saved::Conflict })
    }

    /// An organization's jobs, newest first.
    pub async fn jobs_page(&self, organization: OrganizationId, after: Option<JobId>, limit: u32) -> Result<Page<Job>, StoreError> {
        let first_at = |millis| JobId::from(Ulid::first_at(Timestamp::from_millis(millis)));
        let bound = after.unwrap_or(first_at(i64::MAX)).to_string();
        let mut range = Condition::default();
        range.equals(PK, text(keys::jobs(organization))).between(SK, text(first_at(0).to_string()), text(&bound));
        // One more, for the bound itself is in the range and not in the page.
        let mut page = self.list("list jobs", self.query(range).scan_index_forward(false), limit.saturating_add(1)).await?;
        page.items.retain(|item| Reader(item).text(SK).is_ok_and(|id| id != bound));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = page.more || page.items.len() > limit;
        page.items.truncate(limit);
        let items: Result<_, _> = page.items.iter().map(document::read).collect();
        Ok(Page { items: items?, more })
    }
}

pub(crate) fn item(job: &Job) -> Item {
    let mut item = document::revised(&keys::job(job.organization_id, job.id), job, job.revision);
    item.put(TTL, number(job.created_at.as_seconds() + REMEMBERED_SECONDS));
    item
}

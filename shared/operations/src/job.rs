//! Jobs: operations on many deliveries. They are requested here and executed by the jobs function.

use domain::Timestamp;
use domain::delivery::DeliveryStatus;
use domain::destination::Destination;
use domain::event_type::EventType;
use domain::id::{DestinationId, Id as _, JobId, MessageId, OrganizationId};
use domain::input::{Errors, FieldCode, Fields};
use domain::limits::JOBS_MAX;
use domain::role::{Permission, Role};
use queue::{JobTask, QueueError};
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;
use store::{DeliveryFilter, Job, JobKind, JobStatus, Missed, Saved};
use utoipa::ToSchema;

use crate::body::read_members;
use crate::cursor::ListScope;
use crate::message::parse_reference;
use crate::organization::no_parameters;
use crate::page::{Page, PageQuery};
use crate::view::job::{JobTotal, JobView};
use crate::{Context, Input, Operations, Query, RACES_MAX, Refusal, RefusalCode};

const KINDS: &[(&str, JobKind)] = &[
    ("retry", JobKind::Retry),
    ("backfill", JobKind::Backfill),
    ("reconcile", JobKind::Reconcile),
];
const DAY: Duration = Duration::from_secs(86_400);
/// The statuses that a retry selects if its filter has none: those of deliveries that ended without
/// success.
const RETRIED: &[DeliveryStatus] = &[
    DeliveryStatus::Failed,
    DeliveryStatus::Skipped,
    DeliveryStatus::Cancelled,
];

/// The body of `POST /v1/jobs`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateJob {
    /// `retry` reopens the deliveries that match. `backfill` sends to a destination the messages
    /// that match and were never addressed to it. `reconcile`, for operators, sends accepted
    /// deliveries again whose task may be lost.
    #[schema(example = "retry")]
    pub kind: String,
    /// Selects deliveries as `GET /v1/deliveries` does; without a status, those that failed, were
    /// skipped or were cancelled.
    pub filter: Option<JobFilterBody>,
    /// The destination of a `backfill`. Its filter takes `since`, which is required, `until`,
    /// `reference` and `event_type` (without it: the destination's `event_types`).
    pub destination_id: Option<String>,
    /// Count the matching deliveries without changing them.
    #[schema(default = false)]
    pub dry_run: Option<bool>,
}

/// Selects the deliveries that a job processes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobFilter)]
pub struct JobFilterBody {
    /// Only deliveries to this destination.
    pub destination_id: Option<String>,
    /// In one of these statuses; one may be given by itself.
    pub status: Option<Vec<String>>,
    /// Only this event type.
    pub event_type: Option<String>,
    /// Only deliveries of this message.
    pub message_id: Option<String>,
    /// Only messages with this reference.
    pub reference: Option<String>,
    /// Only messages that were accepted at or after this time.
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// Only messages that were accepted before this time.
    #[schema(format = DateTime)]
    pub until: Option<String>,
}

/// The outcome of a request for a job.
#[derive(Debug)]
pub enum CreateJobOutcome {
    /// The job was accepted.
    Accepted(Box<JobView>),
    /// The request was a dry run, which only counted.
    Counted(JobTotal),
}

/// A job to create, or to count only.
#[derive(Debug)]
pub struct NewJob {
    kind: JobKind,
    filter: DeliveryFilter,
    dry_run: bool,
}

impl NewJob {
    /// Creates a retry of the deliveries that the parameters of a list select. With `dry_run`, they
    /// are only counted.
    pub fn retry<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
        dry_run: bool,
    ) -> Result<Self, Refusal> {
        let filter = filter_of(parameters, |fields| Some(read_filter(fields)))?;
        Ok(Self {
            kind: JobKind::Retry,
            filter,
            dry_run,
        })
    }

    /// Creates a backfill of a destination with the messages that the parameters select. Without
    /// `since`, these are all messages that are kept.
    pub fn backfill<'a>(
        destination: &str,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
        dry_run: bool,
    ) -> Result<Self, Refusal> {
        let destination =
            DestinationId::from_client(destination).map_err(|_| Refusal::not_found())?;
        let earliest = Timestamp::from_millis(0).to_string();
        let given: Vec<(&str, &str)> = parameters.into_iter().collect();
        let has_since = given.iter().any(|(name, _)| *name == "since");
        let since = (!has_since).then_some(("since", &*earliest));
        let filter = filter_of(given.into_iter().chain(since), |fields| {
            Some(read_backfill(fields))
        })?;
        let filter = DeliveryFilter {
            destination: Some(destination),
            ..filter
        };
        Ok(Self {
            kind: JobKind::Backfill,
            filter,
            dry_run,
        })
    }
}

/// Reads the filter of a job from the parameters of a list, in which `status` may be repeated.
fn filter_of<'a>(
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    read: impl FnOnce(&mut Fields<'_>) -> Option<DeliveryFilter>,
) -> Result<DeliveryFilter, Refusal> {
    let mut members = Map::new();
    let mut statuses = Vec::new();
    for (name, value) in parameters {
        if name == "status" {
            statuses.push(Value::from(value));
        } else {
            members.insert(name.to_owned(), value.into());
        }
    }
    if !statuses.is_empty() {
        members.insert("status".to_owned(), statuses.into());
    }
    Ok(read_members(members, Errors::default(), read)?)
}

impl Operations {
    /// `POST /v1/jobs`: creates a job, or counts what it would process.
    pub async fn create_job(
        &self,
        ctx: &Context,
        mut input: Input<NewJob>,
    ) -> Result<CreateJobOutcome, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let operator = ctx.caller.role == Role::Operator;
        let NewJob {
            kind,
            mut filter,
            dry_run,
        } = input.required(|fields| read(fields, operator))?;
        if kind == JobKind::Backfill {
            return self
                .create_backfill(ctx, organization, filter, dry_run)
                .await;
        }
        let is_foreign = !self.filter_is_own(ctx, organization, &filter).await;
        if kind == JobKind::Retry && filter.statuses.is_empty() {
            filter.statuses = RETRIED.to_vec();
        }
        let now = self.clock.now();
        filter.until = Some(
            filter
                .until
                .map_or(after(now), |until| until.min(after(now))),
        );
        if is_foreign {
            // An id of another organization matches nothing.
            filter.until = filter.since.or(Some(Timestamp::from_millis(0)));
            filter.since = filter.until;
        }
        if dry_run {
            let total = self
                .store
                .count_deliveries(organization, self.shards(organization).await?, &filter)
                .await?;
            return Ok(CreateJobOutcome::Counted(JobTotal {
                total,
                not_kept_before: None,
            }));
        }
        let job = Job {
            filter,
            ..Job::new(
                self.id_for(ctx, organization),
                organization,
                kind,
                ctx.actor(),
                now,
            )
        };
        self.start_job(ctx, job)
            .await
            .map(|job| CreateJobOutcome::Accepted(Box::new(job)))
    }

    async fn create_backfill(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        mut filter: DeliveryFilter,
        dry_run: bool,
    ) -> Result<CreateJobOutcome, Refusal> {
        let now = self.clock.now();
        let missing = || Refusal::not_found_at(["/destination_id".to_owned()]);
        let id = filter.destination.ok_or_else(missing)?;
        if !self.owns_or_records(ctx, organization, id).await {
            return Err(missing());
        }
        let destination = self.store.destination(organization, id).await?;
        let destination = destination
            .filter(|found| !found.is_deleted() && !found.is_system())
            .ok_or_else(missing)?;
        if !destination.takes_deliveries() {
            return Err(Refusal::new(
                RefusalCode::DestinationDisabled,
                "the destination is disabled; enable it first",
            ));
        }
        let routes = self
            .store
            .routes(organization)
            .await?
            .ok_or_else(Refusal::not_found)?;
        let settings = &routes.settings;
        let retention = DAY * settings.retention_days.min(settings.payload_retention_days);
        let kept_since = now.minus(retention);
        filter.until = Some(
            filter
                .until
                .map_or(after(now), |until| until.min(after(now))),
        );
        // The response says from when on messages are kept, if the filter asks for earlier ones.
        let since = filter.since.unwrap_or(kept_since);
        let not_kept_before = Some(kept_since).filter(|kept_since| since < *kept_since);
        if dry_run {
            let missed = Missed {
                destination: id,
                event_types: destination.event_types.unwrap_or_default(),
                event_type: filter.event_type,
                reference: filter.reference,
                since: since.max(kept_since),
                until: filter.until.unwrap_or(now),
            };
            let total = self
                .store
                .count_missed(organization, routes.shards, &missed)
                .await?;
            return Ok(CreateJobOutcome::Counted(JobTotal {
                total,
                not_kept_before,
            }));
        }
        let job = Job {
            filter,
            ..Job::new(
                self.id_for(ctx, organization),
                organization,
                JobKind::Backfill,
                ctx.actor(),
                now,
            )
        };
        let view = self.start_job(ctx, job).await?;
        Ok(CreateJobOutcome::Accepted(Box::new(JobView {
            not_kept_before,
            ..view
        })))
    }

    /// Returns a new job that delivers again what a destination missed since a time.
    pub(crate) fn replay(&self, ctx: &Context, destination: &Destination, since: Timestamp) -> Job {
        let organization = destination.organization_id;
        Job::replay(
            self.id_for(ctx, organization),
            organization,
            destination.id,
            since,
            ctx.actor(),
            self.clock.now(),
        )
    }

    /// Stores a job and sends its task. If the queue refuses the task, the job is stored as failed,
    /// and a repeat of the request starts another one.
    pub(crate) async fn start_job(&self, ctx: &Context, job: Job) -> Result<JobView, Refusal> {
        let mut stored = self.stored_job(&job).await?;
        if matches!(stored.status, JobStatus::Failed) {
            let another = Job {
                id: self.ids.mint(job.organization_id, 1),
                ..job
            };
            stored = self.stored_job(&another).await?;
        }
        let job = stored;
        if let Err(error) = self.record_and_send(ctx, &job).await {
            let failed = job.clone().ended(JobStatus::Failed, self.clock.now());
            self.store
                .save_job(&Job {
                    revision: job.revision + 1,
                    ..failed
                })
                .await?;
            return Err(Refusal::unavailable(error));
        }
        Ok(self.job_view(ctx, job))
    }

    /// Sends the task of a job that was stored together with another change. If the queue refuses
    /// the task, the monitor sends it later.
    pub(crate) async fn start_stored_job(&self, ctx: &Context, job: Job) -> JobView {
        if let Err(error) = self.record_and_send(ctx, &job).await {
            tracing::warn!(
                error = %domain::chain(&error),
                job = %job.id,
                "failed to send a job's message; the monitor sends it"
            );
        }
        self.job_view(ctx, job)
    }

    /// Records in the audit log that a job was created, and sends its task.
    async fn record_and_send(&self, ctx: &Context, job: &Job) -> Result<(), QueueError> {
        let changes = vec![
            crate::audit::set("/kind", serde_json::to_value(job.kind).unwrap_or_default()),
            crate::audit::set(
                "/filter",
                serde_json::to_value(&job.filter).unwrap_or_default(),
            ),
        ];
        let event = self.event(ctx, job.organization_id, "job.created", job.id, changes);
        self.record_made(&event).await;
        let task = JobTask {
            organization: job.organization_id,
            job: job.id,
        };
        self.jobs.send(task).await
    }

    /// Stores a new job. Returns the stored job if an earlier run of the request stored it.
    async fn stored_job(&self, job: &Job) -> Result<Job, Refusal> {
        match job.kind {
            // An erasure is not limited by the number of the organization's jobs.
            JobKind::Erase => Ok(self.store.create_job(job).await?),
            _ => self
                .store
                .create_job_within(job)
                .await?
                .ok_or_else(too_many),
        }
    }

    /// Refuses an action that needs a job if the organization has as many unfinished jobs as it
    /// may.
    pub(crate) async fn require_job_capacity(
        &self,
        organization: OrganizationId,
    ) -> Result<(), Refusal> {
        let unfinished = self.store.unfinished_jobs(organization).await?;
        if unfinished.len() < JOBS_MAX {
            Ok(())
        } else {
            Err(too_many())
        }
    }

    /// `GET /v1/jobs`: lists jobs, newest first.
    pub async fn jobs(&self, ctx: &Context, mut query: Query) -> Result<Page<JobView>, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/jobs").with("organization", Some(organization));
        let found = self
            .store
            .jobs_page(organization, page.after(&self.cursors, &scope)?, page.limit)
            .await?;
        let next_cursor = self.next_cursor(
            &scope,
            found.items.last().map(|job| job.id).filter(|_| found.more),
        );
        Ok(Page {
            data: found
                .items
                .into_iter()
                .map(|job| self.job_view(ctx, job))
                .collect(),
            next_cursor,
        })
    }

    /// `GET /v1/jobs/{id}`: returns one job. An operator can also read the job that erased an
    /// organization, after the organization is gone.
    pub async fn job(&self, ctx: &Context, id: &str, mut query: Query) -> Result<JobView, Refusal> {
        self.require(ctx, Permission::Read).await?;
        let organization = self.scope_even_if_erased(ctx, &mut query).await?;
        let id: JobId = self.own_id(ctx, organization, id).await?;
        let job = self
            .store
            .job(organization, id)
            .await?
            .ok_or_else(Refusal::not_found)?;
        no_parameters(query)?;
        Ok(self.job_view(ctx, job))
    }

    /// `POST /v1/jobs/{id}/cancel`: cancels a job. What it has done is not undone.
    pub async fn cancel_job(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<()>,
    ) -> Result<JobView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let id: JobId = self.own_id(ctx, organization, id).await?;
        let mut job = self
            .store
            .job(organization, id)
            .await?
            .ok_or_else(Refusal::not_found)?;
        input.nothing()?;
        if job.kind == JobKind::Erase && ctx.caller.role != Role::Operator {
            return Err(Refusal::forbidden());
        }
        for _ in 0..RACES_MAX {
            if job.status.is_cancelled() {
                return Ok(self.job_view(ctx, job));
            }
            if job.status.is_over() {
                return Err(Refusal::new(
                    RefusalCode::AlreadyFinished,
                    "the job is over",
                ));
            }
            let cancelled = job.clone().ended(JobStatus::Cancelled, self.clock.now());
            let cancelled = Job {
                revision: job.revision + 1,
                ..cancelled
            };
            if self.store.save_job(&cancelled).await? == Saved::Done {
                let event = self.event(ctx, organization, "job.cancelled", id, Vec::new());
                self.record_made(&event).await;
                return Ok(self.job_view(ctx, cancelled));
            }
            job = self
                .store
                .job(organization, id)
                .await?
                .ok_or_else(Refusal::not_found)?;
        }
        Err(Refusal::contended())
    }

    pub(crate) fn job_view(&self, ctx: &Context, job: Job) -> JobView {
        let url = ctx.link("jobs", job.id);
        JobView::of(job, url)
    }
}

pub(crate) fn too_many() -> Refusal {
    let detail = format!(
        "an organization has at most {JOBS_MAX} unfinished jobs; wait until one finishes, or \
         cancel one"
    );
    Refusal::new(RefusalCode::LimitReached, detail)
}

/// Returns the next millisecond, so that a range that excludes its end includes what is accepted
/// now.
fn after(now: Timestamp) -> Timestamp {
    now.plus(Duration::from_millis(1))
}

fn read(fields: &mut Fields<'_>, operator: bool) -> Option<NewJob> {
    let given = fields.given("kind");
    let kind = fields.choice("kind", KINDS);
    let kind = fields.require("kind", given, kind);
    if kind == Some(JobKind::Reconcile) && !operator {
        fields.refuse("kind", FieldCode::InvalidValue, "is for operators");
    }
    let filter = match kind {
        Some(JobKind::Backfill) => {
            let given = fields.given("destination_id");
            let destination = fields.parsed("destination_id", DestinationId::from_client);
            let destination = fields.require("destination_id", given, destination);
            let given = fields.given("filter");
            let filter = fields.object("filter", read_backfill);
            DeliveryFilter {
                destination,
                ..fields.require("filter", given, filter).unwrap_or_default()
            }
        }
        _ => fields.object("filter", read_filter).unwrap_or_default(),
    };
    let dry_run = fields.boolean("dry_run").unwrap_or(false);
    Some(NewJob {
        kind: kind?,
        filter,
        dry_run,
    })
}

/// Reads the filter of a backfill. Its destination is a separate member of the body.
fn read_backfill(fields: &mut Fields<'_>) -> DeliveryFilter {
    let given = fields.given("since");
    let since = fields.parsed("since", Timestamp::parse);
    DeliveryFilter {
        since: fields.require("since", given, since),
        event_type: fields.parsed("event_type", EventType::parse),
        reference: fields.parsed("reference", parse_reference),
        until: fields.parsed("until", Timestamp::parse),
        ..DeliveryFilter::default()
    }
}

fn read_filter(fields: &mut Fields<'_>) -> DeliveryFilter {
    DeliveryFilter {
        destination: fields.parsed("destination_id", DestinationId::from_client),
        statuses: read_statuses(fields),
        event_type: fields.parsed("event_type", EventType::parse),
        message: fields.parsed("message_id", MessageId::from_client),
        reference: fields.parsed("reference", parse_reference),
        since: fields.parsed("since", Timestamp::parse),
        until: fields.parsed("until", Timestamp::parse),
    }
}

/// Reads one status, or a list of them, as the query parameter can be given once or several times.
fn read_statuses(fields: &mut Fields<'_>) -> Vec<DeliveryStatus> {
    let pointer = fields.pointer_to("status");
    let known = |text: &str| {
        DeliveryStatus::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, status)| *status)
    };
    let words: Vec<&str> = DeliveryStatus::ALL.iter().map(|(name, _)| *name).collect();
    let read = |pointer: &str, value: &Value, errors: &Errors| {
        let status = value.as_str().and_then(known);
        if status.is_none() {
            errors.add(
                pointer,
                FieldCode::InvalidValue,
                format!("must be one of {}", words.join(", ")),
            );
        }
        status
    };
    let mut statuses: Vec<DeliveryStatus> = match fields.take("status") {
        None => Vec::new(),
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| read(&format!("{pointer}/{i}"), item, fields.errors()))
            .collect(),
        Some(one) => read(&pointer, &one, fields.errors()).into_iter().collect(),
    };
    statuses.sort();
    statuses.dedup();
    statuses
}

//! The views of jobs.

use domain::Timestamp;
use domain::id::{JobId, OrganizationId};
use serde::Serialize;
use serde_json::{Value, json};
pub use store::JobKind;
use store::{DeliveryFilter, Job, JobStatus};
use utoipa::ToSchema;

/// An operation on many deliveries, which runs in the background.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "job_01kavd83802s63efghp3q1cpj4")]
    pub id: JobId,
    /// The organization that the object belongs to.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// `retry`, `replay`, `backfill`, `reconcile` or `erase`.
    #[schema(value_type = String, example = "retry")]
    pub kind: JobKind,
    /// `queued`, `running`, `finished`, `cancelled` or `failed`.
    #[schema(value_type = String, example = "running")]
    pub status: JobStatus,
    /// The filter that selects the job's deliveries.
    #[schema(value_type = Object)]
    pub filter: Value,
    /// How many deliveries matched when the job started; if counting took too long, how many it has
    /// found so far. 0 before it starts.
    pub total: u64,
    /// The number of deliveries that were processed so far.
    pub done: u64,
    /// The number of deliveries that could not be processed.
    pub failed: u64,
    /// The number of deliveries that needed nothing or could not be sent: the destination is
    /// disabled or deleted, the payload is no longer kept, or the delivery had changed.
    pub skipped: u64,
    /// When the job was requested.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the job ended; null while it has not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// Why the job failed; null if it did not.
    pub error: Option<String>,
    /// For a backfill that covers a longer period: messages accepted before this time are no longer
    /// stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_kept_before: Option<Timestamp>,
    /// A link to this object in the console.
    pub url: String,
}

/// The response to a dry run: how many deliveries the job would process.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobTotal {
    /// The number of deliveries that match the filter.
    pub total: u64,
    /// For a backfill that covers a longer period: messages accepted before this time are no longer
    /// stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_kept_before: Option<Timestamp>,
}

impl JobView {
    pub(crate) fn of(job: Job, url: String) -> Self {
        Self {
            id: job.id,
            organization_id: job.organization_id,
            kind: job.kind,
            status: job.status,
            filter: filter(&job.filter),
            total: job.total,
            done: job.done,
            failed: job.failed,
            skipped: job.skipped,
            created_at: job.created_at,
            finished_at: job.finished_at,
            error: job.error,
            not_kept_before: None,
            url,
        }
    }
}

/// Returns a filter with the names that `GET /v1/deliveries` uses.
fn filter(filter: &DeliveryFilter) -> Value {
    let mut json = json!({
        "destination_id": filter.destination,
        "status": filter.statuses,
        "event_type": filter.event_type,
        "message_id": filter.message,
        "reference": filter.reference,
        "since": filter.since,
        "until": filter.until,
    });
    if let Some(members) = json.as_object_mut() {
        members.retain(|_, value| {
            !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty())
        });
    }
    json
}

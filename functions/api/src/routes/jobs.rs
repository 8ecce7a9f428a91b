//! `/v1/jobs`.

use axum::Router;
use axum::routing::get;
use domain::role::Permission;
use operations::view::job::{JobTotal, JobView};
use operations::{CreateJob, CreateJobOutcome, Input, Page};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, accepted, ok};
use crate::extract::{Call, Content};

pub(crate) fn router(api: &Api) -> Router<Api> {
    let manage = Permission::ManageDestinations;
    Router::new()
        .route(
            "/v1/jobs",
            get(list_jobs).merge(post_once(api, manage, create_job)),
        )
        .route("/v1/jobs/{id}", get(get_job))
        .route("/v1/jobs/{id}/cancel", post_once(api, manage, cancel_job))
}

/// List jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "Jobs",
    responses((status = 200, description = "A page of the list.", body = Page<JobView>)))]
pub(crate) async fn list_jobs(call: Call) -> Answer {
    ok(call.operations.jobs(&call.ctx, call.query).await?)
}

/// Retry every delivery that matches a filter.
///
/// The job covers everything that matches when it starts, reopens each delivery at most once, and
/// leaves alone what has changed since it was requested. It is paced so that it hardly affects live
/// deliveries. `dry_run` only counts.
#[utoipa::path(post, path = "/v1/jobs", tag = "Jobs", request_body = CreateJob,
    responses((status = 202, description = "The job was accepted.", body = JobView),
        (status = 200, description = "The number of matching deliveries (dry run).",
            body = JobTotal),
        (status = 409, description = "`limit_reached`: 20 jobs of the organization have not \
             finished.")))]
pub(crate) async fn create_job(call: Call, Content(body): Content) -> Answer {
    match call
        .operations
        .create_job(&call.ctx, Input::request(call.query, body))
        .await?
    {
        CreateJobOutcome::Accepted(job) => {
            accepted(Some(format!("/v1/jobs/{}", job.id)), job, false)
        }
        CreateJobOutcome::Counted(total) => ok(total),
    }
}

/// Read a job and its progress.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The job.", body = JobView)))]
pub(crate) async fn get_job(call: Call<String>) -> Answer {
    ok(call
        .operations
        .job(&call.ctx, &call.path, call.query)
        .await?)
}

/// Cancel a job. It stops within seconds, and what it has done is not undone.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The object in its current state.", body = JobView),
        (status = 409, description = "`already_finished`: it has finished and cannot be cancelled.")))]
pub(crate) async fn cancel_job(call: Call<String>, Content(body): Content) -> Answer {
    ok(call
        .operations
        .cancel_job(&call.ctx, &call.path, Input::request(call.query, body))
        .await?)
}

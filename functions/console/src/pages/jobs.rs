//! The list of jobs, and the page of a job with its progress.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use domain::Timestamp;
use domain::delivery::DeliveryStatus;
use front::Front;
use operations::Counted;
use operations::view::destination::DestinationView;
use operations::view::job::{JobKind, JobView};
use serde_json::Value;

use crate::answer::{Answer, if_available, log_unread, page};
use crate::captions;
use crate::filter::{Filter, pairs};
use crate::form::Form;
use crate::notice::{self, Notice};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/{id}", get(read))
        .route("/jobs/{id}/cancel", post(cancel))
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    jobs: &'a [JobView],
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    j: &'a JobView,
    kind: String,
    status: String,
    filter: Vec<(String, String)>,
    is_over: bool,
    handled: u64,
    destination: Option<&'a DestinationView>,
    /// The current number of deliveries that match the filter of the job, by state. `None` if it is
    /// unknown.
    now: Option<&'a [(DeliveryStatus, Counted)]>,
    /// The address of the list of deliveries that match the filter of the job, in any state.
    list: String,
}

impl JobPage<'_> {
    /// Returns the address of the list of its deliveries in a state.
    fn of(&self, status: &DeliveryStatus) -> String {
        format!("{}&status={}", self.list, status.as_str())
    }
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let parameters = filter.for_operation(&["cursor"], v.now);
    let found = front
        .operations()
        .await?
        .jobs(&v.ctx, v.query(&pairs(&parameters)))
        .await?;
    let next = found.next_cursor.map(|cursor| filter.next(&v, &cursor));
    page(&JobsPage {
        page: Page::of(Some(&v), "jobs"),
        v: &v,
        jobs: &found.data,
        next,
    })
}

async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let j = front
        .operations()
        .await?
        .job(&v.ctx, &id, v.query(&[]))
        .await?;
    let operations = front.operations().await?;
    let status = show::word(&j.status);
    let filter = j
        .filter
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| *value != &Value::Array(Vec::new()));
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    let filter: Vec<(String, String)> = filter
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    let about: Vec<(&str, &str)> = filter
        .iter()
        .filter(|(name, _)| name != "status")
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let destination = match filter.iter().find(|(name, _)| name == "destination_id") {
        Some((_, id)) => if_available(operations.destination(&v.ctx, id, v.query(&[])).await)?,
        None => None,
    };
    let is_about_deliveries = matches!(j.kind, JobKind::Retry | JobKind::Replay);
    let now = match is_about_deliveries {
        true => operations
            .delivery_counts(&v.ctx, v.query(&about))
            .await
            .map_err(|refusal| log_unread("the counts of a job's deliveries", &refusal))
            .ok(),
        false => None,
    };
    page(&JobPage {
        page: Page::of(Some(&v), "jobs"),
        v: &v,
        kind: show::word(&j.kind),
        is_over: !matches!(&*status, "queued" | "running"),
        status,
        handled: j.done + j.failed + j.skipped,
        destination: destination.as_ref(),
        now: now.as_deref(),
        list: if is_about_deliveries {
            format!("/deliveries?{}", show::query(&about))
        } else {
            String::new()
        },
        filter: filter
            .iter()
            .filter(|(name, _)| name != "destination_id")
            .map(shown)
            .collect(),
        j: &j,
    })
}

/// Formats a member of a job's filter for the page.
fn shown((name, value): &(String, String)) -> (String, String) {
    let at = matches!(&**name, "since" | "until")
        .then(|| Timestamp::parse(value).ok())
        .flatten();
    (
        captions::label(name),
        at.map_or_else(|| value.clone(), show::exact),
    )
}

async fn cancel(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    let cancelled = front
        .operations()
        .await?
        .cancel_job(&v.ctx, &id, v.command(()))
        .await;
    let notice = match cancelled {
        Ok(_) => {
            Notice::done("The job was stopped. Deliveries that it has already sent are not undone.")
        }
        Err(refusal) if refusal.is_correctable() => Notice::refused(&refusal),
        Err(refusal) => return Err(refusal.into()),
    };
    notice::to(&front, &v, &v.at("/jobs", &id), notice).await
}

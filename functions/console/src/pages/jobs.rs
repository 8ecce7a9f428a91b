//! Jobs: what was asked for in bulk, and how far it is.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use front::Front;
use operations::Body;
use operations::view::job::JobView;
use serde_json::Value;

use crate::answer::{Answer, page, see};
use crate::filter::{Filter, pairs};
use crate::form::Form;
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/jobs", get(list)).route("/jobs/{id}", get(read)).route("/jobs/{id}/cancel", post(cancel))
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
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let parameters = filter.for_operation(&["cursor"], v.now);
    let found = front.operations().await?.jobs(&v.ctx, v.query(&pairs(&parameters))).await?;
    let next = found.next_cursor.map(|cursor| filter.with(&v, "cursor", &cursor));
    page(&JobsPage { page: Page::of(Some(&v), "jobs"), v: &v, jobs: &found.data, next })
}

async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let j = front.operations().await?.job(&v.ctx, &id, v.query(&[])).await?;
    let status = show::word(&j.status);
    let filter = j.filter.as_object().into_iter().flatten().filter(|(_, value)| *value != &Value::Array(Vec::new()));
    page(&JobPage {
        page: Page::of(Some(&v), "jobs"),
        v: &v,
        kind: show::word(&j.kind),
        is_over: !matches!(&*status, "queued" | "running"),
        status,
        filter: filter.map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect(),
        handled: j.done + j.failed + j.skipped,
        j: &j,
    })
}

async fn cancel(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    front.operations().await?.cancel_job(&v.ctx, &id, v.query(&[]), Body::new("".into())).await?;
    Ok(see(&v.href(&format!("/jobs/{id}"))))
}
